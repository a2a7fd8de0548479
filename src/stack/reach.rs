//! A walk to every node that can be reached, which learns the next nodes on the way.

use std::collections::VecDeque;
use std::hash::Hash;

use rustc_hash::FxHashSet;

/// The nodes that are still to be visited, each once, nearest first. The caller takes the [`next`](Self::next) node, adds
/// the nodes below or above it with `extend`, and ends when no node is left.
///
/// A circle does not stop the walk, and it does not recurse: it takes memory in proportion to the nodes that are reached.
#[derive(Debug)]
pub(crate) struct Reach<N, M = FxHashSet<N>> {
    marks: M,
    left: VecDeque<N>,
}

/// The nodes that a walk has reached. A set is enough, but for nodes that are found in a list: a mark for each is faster.
pub(crate) trait Marks<N> {
    /// Marks a node. Returns whether it had no mark.
    fn mark(&mut self, node: &N) -> bool;
}

impl<N: Clone + Eq + Hash> Marks<N> for FxHashSet<N> {
    fn mark(&mut self, node: &N) -> bool {
        self.insert(node.clone())
    }
}

impl<N, M: Marks<N>> Reach<N, M> {
    /// Begins a walk that has not reached a node, and marks in `marks` those that it reaches.
    pub(crate) fn with_marks(marks: M) -> Self {
        Self { marks, left: VecDeque::new() }
    }

    /// Takes the next node to visit.
    pub(crate) fn next(&mut self) -> Option<N> {
        self.left.pop_front()
    }
}

impl<N, M: Marks<N>> Extend<N> for Reach<N, M> {
    fn extend<I: IntoIterator<Item = N>>(&mut self, nodes: I) {
        let Self { marks, left } = self;
        left.extend(nodes.into_iter().filter(|node| marks.mark(node)));
    }
}

impl<N: Clone + Eq + Hash> FromIterator<N> for Reach<N> {
    fn from_iter<I: IntoIterator<Item = N>>(nodes: I) -> Self {
        let mut reach = Self::with_marks(FxHashSet::default());
        reach.extend(nodes);
        reach
    }
}
