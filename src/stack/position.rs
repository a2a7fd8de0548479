//! Positions that are types of their own, and lists that only positions of the right type index.
//!
//! A plan counts mappings, devices, steps and tasks, each from 0. A position of one list has no meaning in another, so
//! each has a type: [`position!`] declares it. Positions take four bytes, for a plan may hold several for each of a
//! hundred thousand mappings.

use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// A place in one kind of list, from 0 and without gaps.
pub trait Position: Copy + Ord + Hash + Debug {
    /// Converts from an index. There are fewer than 2^32 positions of any kind.
    fn new(index: usize) -> Self;

    /// Converts to the index it was made from.
    fn index(self) -> usize;

    /// Returns the position behind this one.
    fn next(self) -> Self {
        Self::new(self.index() + 1)
    }
}

/// Declares a [`Position`]: `position! { /// A step of a plan. pub struct StepId; }`.
macro_rules! position {
    ($(#[$attribute:meta])* $visible:vis struct $name:ident;) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visible struct $name(u32);

        impl $crate::stack::Position for $name {
            fn new(index: usize) -> Self {
                // A list that is longer does not fit into memory.
                Self(u32::try_from(index).unwrap_or(u32::MAX))
            }

            fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}
pub(crate) use position;

/// A list that is indexed by a [`Position`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexVec<P, T> {
    items: Vec<T>,
    position: PhantomData<P>,
}

impl<P: Position, T> IndexVec<P, T> {
    /// Creates an empty list with room for `count` items.
    pub fn with_capacity(count: usize) -> Self {
        Vec::with_capacity(count).into()
    }

    /// Creates a list that holds `item` at each of `count` positions.
    pub fn filled(item: T, count: usize) -> Self
    where
        T: Clone,
    {
        vec![item; count].into()
    }

    /// Adds an item and returns its position.
    pub fn push(&mut self, item: T) -> P {
        self.items.push(item);
        P::new(self.items.len() - 1)
    }
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns the item at a position, unless the list ends before it.
    pub fn get(&self, position: P) -> Option<&T> {
        self.items.get(position.index())
    }

    /// Lists the positions in order.
    pub fn positions(&self) -> impl DoubleEndedIterator<Item = P> + ExactSizeIterator + use<P, T> {
        (0..self.items.len()).map(P::new)
    }

    /// Lists the items with their positions.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = (P, &T)> + ExactSizeIterator {
        self.items.iter().enumerate().map(|(index, item)| (P::new(index), item))
    }

    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.items.iter()
    }

    /// Lists the items, to be changed in place.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.items.iter_mut()
    }

    /// Takes the items out.
    pub fn into_vec(self) -> Vec<T> {
        self.items
    }
}

impl<P, T> Default for IndexVec<P, T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<P, T> From<Vec<T>> for IndexVec<P, T> {
    fn from(items: Vec<T>) -> Self {
        Self { items, position: PhantomData }
    }
}

impl<P, T> FromIterator<T> for IndexVec<P, T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Vec::from_iter(items).into()
    }
}

impl<'v, P: Position, T> IntoIterator for &'v IndexVec<P, T> {
    type Item = &'v T;
    type IntoIter = std::slice::Iter<'v, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<'v, P, T> IntoIterator for &'v mut IndexVec<P, T> {
    type Item = &'v mut T;
    type IntoIter = std::slice::IterMut<'v, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter_mut()
    }
}

impl<P: Position, T> Index<P> for IndexVec<P, T> {
    type Output = T;

    fn index(&self, position: P) -> &T {
        &self.items[position.index()]
    }
}

impl<P: Position, T> IndexMut<P> for IndexVec<P, T> {
    fn index_mut(&mut self, position: P) -> &mut T {
        &mut self.items[position.index()]
    }
}
