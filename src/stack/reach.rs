//! A walk to every node that can be reached, which learns the next nodes on the way.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;

/// The nodes that are still to be visited, each once, nearest first. The caller takes the [`next`](Self::next) node, adds
/// the nodes below or above it with `extend`, and ends when no node is left.
///
/// A circle does not stop the walk, and it does not recurse: it takes memory in proportion to the nodes that are reached.
#[derive(Debug)]
pub(crate) struct Reach<N> {
    seen: HashSet<N>,
    left: VecDeque<N>,
}

impl<N: Copy + Eq + Hash> Reach<N> {
    /// Takes the next node to visit.
    pub(crate) fn next(&mut self) -> Option<N> {
        self.left.pop_front()
    }
}

impl<N: Copy + Eq + Hash> Extend<N> for Reach<N> {
    fn extend<I: IntoIterator<Item = N>>(&mut self, nodes: I) {
        let Self { seen, left } = self;
        left.extend(nodes.into_iter().filter(|node| seen.insert(*node)));
    }
}

impl<N: Copy + Eq + Hash> FromIterator<N> for Reach<N> {
    fn from_iter<I: IntoIterator<Item = N>>(nodes: I) -> Self {
        let mut reach = Self { seen: HashSet::new(), left: VecDeque::new() };
        reach.extend(nodes);
        reach
    }
}
