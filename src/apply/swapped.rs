//! A step that swaps the table of a device.

use std::sync::Arc;

use crate::plan::{Operation, Reload, Step, StepId};

/// A step that swaps the table of a device.
#[derive(Clone, Copy)]
pub(crate) struct Swapped<'p> {
    /// The place of the step in the plan.
    pub place: StepId,
    pub step: &'p Step,
    pub reload: &'p Arc<Reload>,
}

impl<'p> Swapped<'p> {
    /// Returns the step at `place` if it swaps a table. A reload that gives a device its first table does not.
    pub(crate) fn of(place: StepId, step: &'p Step) -> Option<Self> {
        match &step.operation {
            Operation::Reload(reload) if !reload.is_first_table() => Some(Self { place, step, reload }),
            _ => None,
        }
    }
}
