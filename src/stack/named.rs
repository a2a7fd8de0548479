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
    /// Finds the position of a node.
    pub fn position(&self, name: &N) -> Option<P> {
        self.names.get_index_of(name).map(P::new)
    }

    /// Returns the name of a node.
    pub fn name(&self, position: P) -> &N {
        &self.names[position.index()]
    }
}

/// Builds stacks from names and, for each, the names of its lower nodes. Positions are in this order; a repeated name is
/// left out, and so are unknown lower names.
impl<N: Eq + Hash, P: Position, L: IntoIterator<Item = N>> FromIterator<(N, L)> for NamedStacks<N, P> {
    fn from_iter<I: IntoIterator<Item = (N, L)>>(nodes: I) -> Self {
        let (mut names, mut below) = (IndexSet::new(), Vec::new());
        for (name, lowers) in nodes {
            if names.insert(name) {
                below.push(lowers);
            }
        }
        let known = |lower: N| names.get_index_of(&lower).map(P::new);
        let lowers = |lowers: L| lowers.into_iter().filter_map(known).collect::<Positions<P>>();
        let stacks = below.into_iter().map(lowers).collect();
        Self { names, stacks }
    }
}

impl<N, P> From<NamedStacks<N, P>> for Stacks<P> {
    fn from(named: NamedStacks<N, P>) -> Self {
        named.stacks
    }
}

impl<N, P> Deref for NamedStacks<N, P> {
    type Target = Stacks<P>;

    fn deref(&self) -> &Stacks<P> {
        &self.stacks
    }
}
