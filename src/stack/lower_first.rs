//! A walk through stacks that yields each node after the nodes below it, and learns the lower nodes on the way.
//!
//! It is a depth-first search that keeps its own path, for a stack may be deeper than that of a thread.

use super::position::{IndexVec, Position};
use super::{Edge, Positions, Stacks};

/// The state of a node in the search.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Search {
    Ahead,
    /// On the path: the search is among its lower nodes.
    Inside,
    /// Left, as are all nodes below it.
    Done,
    /// Left, and in a circle or above one.
    Circular,
}

/// A node on the path.
struct Frame<P> {
    position: P,
    lowers: Positions<P>,
    /// The count of `lowers` that the search went to.
    taken: usize,
    circular: bool,
}

/// The next event of the search.
pub(super) enum Visit<P> {
    /// The last node of the path uses this one, which is on the path as well: a circle.
    Back(P),
    /// The search leaves a node, after all nodes below it.
    Leave {
        position: P,
        lowers: Positions<P>,
        /// Whether the node is in a circle, or above one.
        circular: bool,
    },
}

/// The nodes of stacks, lower ones first, in the order of their positions where that leaves a choice. The lower nodes of
/// a node are asked for once, when the walk comes to it; so they may depend on the nodes that were yielded before.
///
/// All of a walk takes time in proportion to nodes and uses, and allocates nothing for a node that uses at most four.
pub(crate) struct LowerFirst<P> {
    search: IndexVec<P, Search>,
    /// All nodes before this one were begun.
    begun: usize,
    path: Vec<Frame<P>>,
    left: Vec<(P, Positions<P>)>,
}

impl<P: Position> LowerFirst<P> {
    /// Begins a walk through `count` nodes.
    pub(crate) fn new(count: usize) -> Self {
        let search = IndexVec::filled(Search::Ahead, count);
        Self { search, begun: 0, path: Vec::new(), left: Vec::new() }
    }

    /// Yields the next node with its lower nodes, as `below` returns them. Nodes in a circle and nodes above one are never yielded,
    /// but [`left`](Self::left).
    pub(crate) fn next(&mut self, mut below: impl FnMut(P) -> Positions<P>) -> Option<(P, Positions<P>)> {
        loop {
            match self.visit(&mut below)? {
                Visit::Back(_) => {}
                Visit::Leave { position, lowers, circular: false } => return Some((position, lowers)),
                Visit::Leave { position, lowers, circular: true } => self.left.push((position, lowers)),
            }
        }
    }

    /// Returns the nodes in a circle or above one, by position, with their lower nodes. It is complete once
    /// [`next`](Self::next) yields no more.
    pub(crate) fn left(mut self) -> Vec<(P, Positions<P>)> {
        self.left.sort_unstable_by_key(|(position, _)| *position);
        self.left
    }

    pub(super) fn visit(&mut self, mut below: impl FnMut(P) -> Positions<P>) -> Option<Visit<P>> {
        loop {
            let Some(frame) = self.path.last_mut() else {
                let ahead = (self.begun..self.search.len()).map(P::new);
                let next = { ahead }.find(|position| self.search[*position] == Search::Ahead)?;
                self.begun = next.index() + 1;
                self.enter(next, below(next));
                continue;
            };
            let Some(lower) = frame.lowers.get(frame.taken).copied() else {
                return self.leave();
            };
            frame.taken += 1;
            match self.search[lower] {
                Search::Ahead => self.enter(lower, below(lower)),
                Search::Inside => {
                    frame.circular = true;
                    return Some(Visit::Back(lower));
                }
                Search::Circular => frame.circular = true,
                Search::Done => {}
            }
        }
    }

    fn enter(&mut self, position: P, lowers: Positions<P>) {
        self.search[position] = Search::Inside;
        self.path.push(Frame { position, lowers, taken: 0, circular: false });
    }

    fn leave(&mut self) -> Option<Visit<P>> {
        let Frame { position, lowers, circular, .. } = self.path.pop()?;
        self.search[position] = if circular { Search::Circular } else { Search::Done };
        if let Some(upper) = self.path.last_mut() {
            upper.circular |= circular;
        }
        Some(Visit::Leave { position, lowers, circular })
    }

    /// Returns the uses on the path from `first` down to where the search is, and the one that leads back to `first`.
    fn circle(&self, first: P) -> Vec<Edge<P>> {
        let depth = self.path.iter().rposition(|frame| frame.position == first).unwrap_or_default();
        let edge = |frame: &Frame<P>| {
            let nth = frame.taken - 1;
            Edge { upper: frame.position, lower: frame.lowers[nth], nth }
        };
        self.path[depth..].iter().map(edge).collect()
    }
}

/// The circles of [`Stacks::circles`].
pub(super) struct Circles<'s, P> {
    pub(super) stacks: &'s Stacks<P>,
    pub(super) walk: LowerFirst<P>,
}

impl<P: Position> Iterator for Circles<'_, P> {
    type Item = Vec<Edge<P>>;

    fn next(&mut self) -> Option<Vec<Edge<P>>> {
        let Self { stacks, walk } = self;
        loop {
            if let Visit::Back(first) = walk.visit(|position| stacks.lowers[position].clone())? {
                return Some(walk.circle(first));
            }
        }
    }
}
