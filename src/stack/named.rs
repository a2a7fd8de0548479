//! Stacks whose nodes are known by a value: a device number, a key, a path.

use std::hash::Hash;
use std::ops::Deref;

use indexmap::IndexSet;

use super::position::Position;
use super::{Positions, Stacks};

/// [`Stacks`] that know the position of each node by its name, which is any value that tells nodes apart.
#[derive(Debug, Clone)]
pub struct NamedStacks<N, P> {
    names: IndexSet<N>,
    stacks: Stacks<P>,
}

impl<N: Eq + Hash, P: Position> NamedStacks<N, P> {
    /// Builds the stacks of `names`, whose order is that of the positions; a name counts once, where it comes first.
    /// Lower nodes that are not among them are left out.
    pub fn new<L>(names: impl IntoIterator<Item = N>, mut below: impl FnMut(&N) -> L) -> Self
    where
        L: IntoIterator<Item = N>,
    {
        let names: IndexSet<N> = names.into_iter().collect();
        let known = |lower: N| names.get_index_of(&lower).map(P::new);
        let lowers = |name| below(name).into_iter().filter_map(known).collect::<Positions<P>>();
        let stacks = names.iter().map(lowers).collect();
        Self { names, stacks }
    }

    /// Finds the position of a node.
    pub fn position(&self, name: &N) -> Option<P> {
        self.names.get_index_of(name).map(P::new)
    }

    /// Returns the name of a node.
    pub fn name(&self, position: P) -> &N {
        &self.names[position.index()]
    }
}

impl<N, P> Deref for NamedStacks<N, P> {
    type Target = Stacks<P>;

    fn deref(&self) -> &Stacks<P> {
        &self.stacks
    }
}
