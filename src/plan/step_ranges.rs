//! The range of unsorted steps of each mapping: in the order of the changes; steps of orphans come last.

use super::position::{ChangeId, UnsortedId};
use crate::stack::{IndexVec, Position as _};

/// The range of steps of each mapping.
pub(crate) struct StepRanges {
    /// For each change, the first step that is not of a change before; and one more for the end.
    starts: IndexVec<ChangeId, UnsortedId>,
}

impl StepRanges {
    /// Creates ranges without a step, with room for `count` mappings.
    pub(crate) fn with_capacity(count: usize) -> Self {
        Self { starts: IndexVec::with_capacity(count + 1) }
    }

    /// Begins the steps of `change` with the one at `step`; those before it get no more. The position behind the last
    /// change ends it.
    pub(crate) fn begin(&mut self, change: ChangeId, step: UnsortedId) {
        while self.starts.len() <= change.index() {
            self.starts.push(step);
        }
    }

    /// The steps of `change`.
    pub(crate) fn of(&self, change: ChangeId) -> impl ExactSizeIterator<Item = UnsortedId> + use<> {
        let end = self.starts[change.next()];
        (self.starts[change].index()..end.index()).map(UnsortedId::new)
    }

    /// The changes, in order.
    pub(crate) fn changes(&self) -> impl Iterator<Item = ChangeId> + use<> {
        (0..self.starts.len().saturating_sub(1)).map(ChangeId::new)
    }
}
