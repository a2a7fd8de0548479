//! Stacks: nodes, and below each the nodes that it uses.
//!
//! A node is any item of that shape: a mapping of a map, a block device of a kernel (mapped or not), a step that waits
//! for other steps. This module does not know which. A node is a [`Position`], a dense number with a type of its own; where
//! callers know nodes by a device number or a key, [`NamedStacks`] finds the position. The items stay with the caller, in
//! an [`IndexVec`] of the same positions.
//!
//! | question | answer |
//! |---|---|
//! | the nodes below or above a node | [`Stacks::below`], [`Stacks::above`] |
//! | lower nodes first, all known | [`Stacks::bottom_up`]: level by level |
//! | lower nodes first, learnt on the way | [`LowerFirst`]: depth first |
//! | the distance from the lowest node | [`Stacks::levels`] |
//! | the nodes that are connected | [`Stacks::parts`] |
//! | circles | [`Stacks::circles`] with their paths, [`Stacks::circular`] for the nodes in a circle and above one |
//! | whether one node uses another | [`Stacks::path`] |
//! | all nodes that can be reached, learnt on the way | [`Reach`] |
//!
//! Every answer about all nodes takes time in proportion to nodes and uses, but for sorting by position; none calls
//! itself, so a chain of a hundred thousand nodes is no deeper than any other. Up to four lower nodes are stored in place.
//!
//! A use may be listed twice, and is then there twice. A node may use itself: that is a circle of one.

mod lower_first;
mod named;
mod position;
mod reach;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::OnceLock;

use smallvec::SmallVec;

pub(crate) use lower_first::LowerFirst;
use lower_first::{Circles, Visit};
pub(crate) use named::NamedStacks;
pub(crate) use position::position;
pub(crate) use position::{IndexVec, Position};
pub(crate) use reach::{Marks, Reach};

/// A few positions: most nodes have no more below or above them.
pub(crate) type Positions<P> = SmallVec<[P; 4]>;

/// A node that uses another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge<P> {
    /// The node that uses the other.
    pub upper: P,
    /// The node that is used.
    pub lower: P,
    /// The index of `lower` among the lower nodes of `upper`, from 0.
    pub nth: usize,
}

/// The nodes in circles and above them: a way down from these may never end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circular<P> {
    /// The nodes in a circle, by position: each uses itself, directly or through others.
    pub inside: Vec<P>,
    /// The nodes above a circle that are not in one themselves, lower ones first.
    pub above: Vec<P>,
}

/// A directed graph of nodes, each with the nodes below it. It may have circles.
#[derive(Clone)]
pub struct Stacks<P> {
    lowers: IndexVec<P, Positions<P>>,
    /// The upper nodes of each node, found at the first use.
    uppers: OnceLock<IndexVec<P, Positions<P>>>,
}

impl<P: Position> Stacks<P> {
    /// Creates stacks without a node, with room for `count`.
    pub fn with_capacity(count: usize) -> Self {
        IndexVec::with_capacity(count).into()
    }

    /// Adds a node above `lowers`, which may be added later.
    pub fn push(&mut self, lowers: Positions<P>) -> P {
        self.uppers.take();
        self.lowers.push(lowers)
    }

    /// Adds a use to two nodes that are there.
    pub fn join(&mut self, upper: P, lower: P) {
        self.uppers.take();
        self.lowers[upper].push(lower);
    }
    pub fn len(&self) -> usize {
        self.lowers.len()
    }

    /// Returns whether the stacks are empty.
    pub fn is_empty(&self) -> bool {
        self.lowers.is_empty()
    }

    /// Lists the nodes in order.
    pub fn positions(&self) -> impl DoubleEndedIterator<Item = P> + ExactSizeIterator + use<P> {
        self.lowers.positions()
    }

    /// Lists the nodes that a node uses, in the order in which they were given.
    pub fn below(&self, node: P) -> &[P] {
        &self.lowers[node]
    }

    /// Lists the nodes that use a node, by position. The first call looks at all nodes; later ones cost nothing, and
    /// allocate nothing.
    pub fn above(&self, node: P) -> &[P] {
        let uppers = self.uppers.get_or_init(|| {
            let mut uppers = IndexVec::filled(Positions::new(), self.len());
            for (upper, lowers) in self.lowers.entries() {
                lowers.iter().for_each(|lower| uppers[*lower].push(upper));
            }
            uppers
        });
        &uppers[node]
    }

    /// Sorts the nodes: level by level, lower ones first, by position within a level. A circle has no lowest node; it is
    /// entered at its first one, as late as possible.
    pub fn bottom_up(&self) -> Vec<P> {
        let mut open: IndexVec<P, usize> = self.lowers.iter().map(SmallVec::len).collect();
        let mut taken = IndexVec::filled(false, self.len());
        let mut sorted = Vec::with_capacity(self.len());
        let mut all = self.positions();
        let mut level: Vec<P> = self.positions().filter(|node| open[*node] == 0).collect();
        loop {
            if level.is_empty() {
                level.extend(all.find(|node| !taken[*node]));
            }
            if level.is_empty() {
                return sorted;
            }
            for node in &level {
                taken[*node] = true;
            }
            let mut next = Vec::new();
            for upper in level.iter().flat_map(|node| self.above(*node)) {
                open[*upper] -= 1;
                if open[*upper] == 0 && !taken[*upper] {
                    next.push(*upper);
                }
            }
            next.sort_unstable();
            sorted.append(&mut level);
            level = next;
        }
    }

    /// Counts for each node the uses on the longest way down from it. In a circle only those count that lead to a node
    /// which [`bottom_up`](Self::bottom_up) has earlier.
    pub fn levels(&self) -> IndexVec<P, usize> {
        let mut levels: IndexVec<P, Option<usize>> = IndexVec::filled(None, self.len());
        for node in self.bottom_up() {
            let below = self.below(node).iter().filter_map(|lower| levels[*lower]);
            levels[node] = Some(below.max().map_or(0, |highest| highest + 1));
        }
        levels.iter().map(|level| level.unwrap_or_default()).collect()
    }

    /// Splits the nodes into connected parts. The parts are sorted by their first nodes, and
    /// each by position.
    pub fn parts(&self) -> Vec<Vec<P>> {
        let mut taken = IndexVec::filled(false, self.len());
        let beside = |node: P| self.below(node).iter().chain(self.above(node)).copied();
        let part = |first| {
            let mut part = flood(first, &mut taken, beside);
            part.sort_unstable();
            part
        };
        self.positions().map(part).filter(|part| !part.is_empty()).collect()
    }

    /// Finds circles, each as the uses that lead from a node back to it, found from the first nodes on: one for each use
    /// that leads back to where the search came from. Without those uses there would be no circle.
    pub fn circles(&self) -> impl Iterator<Item = Vec<Edge<P>>> {
        Circles { stacks: self, walk: LowerFirst::new(self.len()) }
    }

    /// Finds the nodes that are in circles, and those that are above them.
    pub fn circular(&self) -> Circular<P> {
        let mut walk = LowerFirst::new(self.len());
        let mut left = Vec::new();
        while let Some(visit) = walk.visit(|node| self.lowers[node].clone()) {
            if let Visit::Leave { position, circular: true, .. } = visit {
                left.push(position);
            }
        }
        // Of two nodes that the search left, the one left last is below the other only in a circle with it (Kosaraju). So
        // each node above it that is not taken yet is in that circle.
        let mut taken = IndexVec::filled(true, self.len());
        for node in &left {
            taken[*node] = false;
        }
        let mut inside = IndexVec::filled(false, self.len());
        for node in left.iter().rev() {
            let component = flood(*node, &mut taken, |lower| self.above(lower).iter().copied());
            let circle = component.len() > 1 || self.below(*node).contains(node);
            for node in component {
                inside[node] |= circle;
            }
        }
        left.retain(|node| !inside[*node]);
        Circular { inside: self.positions().filter(|node| inside[*node]).collect(), above: left }
    }

    /// Finds a way down from one node to another, both included: of several the first, in the order in which lower nodes
    /// were given. From a node to itself there is a way only in a circle.
    pub fn path(&self, upper: P, lower: P) -> Option<Vec<P>> {
        let mut taken = IndexVec::filled(false, self.len());
        // The nodes in the order of the search, each with the place in this list of the one it was reached from.
        let mut trail: Vec<(P, usize)> = Vec::new();
        let mut left = vec![(upper, 0)];
        while let Some((node, from)) = left.pop() {
            if node == lower && !trail.is_empty() {
                return Some(way_along(&trail, from, node));
            }
            if !std::mem::replace(&mut taken[node], true) {
                left.extend(self.below(node).iter().rev().map(|lower| (*lower, trail.len())));
                trail.push((node, from));
            }
        }
        None
    }

    /// Returns whether `upper` uses `lower`, directly or through others.
    pub fn is_above(&self, upper: P, lower: P) -> bool {
        self.path(upper, lower).is_some()
    }
}

/// Returns the way from the first node of a search to `last`, which was reached from the node at `from` in `trail`.
fn way_along<P: Position>(trail: &[(P, usize)], mut from: usize, last: P) -> Vec<P> {
    let mut way = vec![last, trail[from].0];
    while from > 0 {
        from = trail[from].1;
        way.push(trail[from].0);
    }
    way.reverse();
    way
}

/// Takes `first` and all nodes that can be reached from it, without those taken before.
fn flood<P: Position, I: Iterator<Item = P>>(
    first: P,
    taken: &mut IndexVec<P, bool>,
    next: impl Fn(P) -> I,
) -> Vec<P> {
    let mut found = Vec::new();
    let mut reach = |node: P, found: &mut Vec<P>| {
        if !std::mem::replace(&mut taken[node], true) {
            found.push(node);
        }
    };
    reach(first, &mut found);
    let mut at = 0;
    while let Some(node) = found.get(at).copied() {
        next(node).for_each(|next| reach(next, &mut found));
        at += 1;
    }
    found
}

impl<P> Default for Stacks<P> {
    fn default() -> Self {
        IndexVec::default().into()
    }
}

impl<P> From<IndexVec<P, Positions<P>>> for Stacks<P> {
    fn from(lowers: IndexVec<P, Positions<P>>) -> Self {
        Self { lowers, uppers: OnceLock::new() }
    }
}

impl<P> FromIterator<Positions<P>> for Stacks<P> {
    fn from_iter<I: IntoIterator<Item = Positions<P>>>(lowers: I) -> Self {
        IndexVec::from_iter(lowers).into()
    }
}

impl<P: PartialEq> PartialEq for Stacks<P> {
    fn eq(&self, other: &Self) -> bool {
        self.lowers == other.lowers
    }
}

impl<P: Eq> Eq for Stacks<P> {}

impl<P: fmt::Debug> fmt::Debug for Stacks<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lowers.fmt(f)
    }
}
