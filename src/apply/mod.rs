//! Carries out a plan, or leaves everything as it was.
//!
//! First all harmless changes are *staged*: changed tables are loaded into inactive slots, where the kernel checks them,
//! and new devices are created from the bottom up. Then the tables are *swapped*, a stack at a time. Then names, messages
//! and removals *settle*, and at last all devices are read again and *verified*.
//!
//! `tasks` turns the steps of the plan into tasks, `queue` decides which task may begin, and `workers` carries tasks out,
//! several at the same time as far as `overlap` allows. `run` carries out one task and records each change in a
//! `journal`. When a task fails no other begins, and the journal is undone backwards (`rollback`, `undo`,
//! `rollback_swap`). If this process ends on the way, the next plan finds the state that it left by reading the kernel:
//! suspended devices, tables in inactive slots, devices without a table, and temporary names are differences from the
//! map like any other.

mod applied;
mod cause;
mod error;
mod freeze;
mod gate;
mod hold;
mod journal;
mod mask;
mod notices;
mod overlap;
mod preparation;
mod queue;
mod refused_step;
mod remnant;
mod removal;
mod repair;
mod resume;
mod rollback;
mod rollback_swap;
mod rows;
mod run;
mod stacks;
mod swap;
mod swapped;
mod tasks;
mod undo;
mod unseen;
mod verify;
mod workers;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::kernel::retry::{NEVER, PATIENCE};
use crate::kernel::{ChangeKernel, KernelError};
use crate::plan::{Plan, Step, StepId};

pub use applied::Applied;
pub use cause::{Cause, RowFault, Unlike};
pub use error::{ApplyError, Part};
use journal::UndoLog;
pub use overlap::{JOBS, MAX_JOBS};
pub use refused_step::RefusedStep;
pub use remnant::{Lost, Place, Remnant, RemnantState};
pub use removal::{KeptBy, once_closed};
pub use repair::{NotRepaired, RepairFailure, repair};
use run::Run;
use undo::Undo;

/// How a plan is carried out.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// How long a removal waits for a device that is open.
    pub patience: Duration,
    /// The largest number of tasks that run at the same time; 1 carries out the steps in the order of the plan.
    pub jobs: usize,
    /// Set to stop the apply: no other task begins, and all changes are undone. Read only while no device is suspended
    /// for a swap.
    pub stop: &'a AtomicBool,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { patience: PATIENCE, jobs: 1, stop: &NEVER }
    }
}

/// Receives the progress of an apply. It is not called while a device is suspended.
pub trait Progress {
    /// Called when the step at `place` in the plan begins. Several steps may run at the same time.
    fn begun(&mut self, _place: StepId, _step: &Step) {}

    /// Called when a step was carried out.
    fn done(&mut self, _place: StepId, _step: &Step) {}

    /// Called when a task has failed, before the changes are undone.
    fn undoing(&mut self) {}

    /// Called every now and then.
    fn tick(&mut self) {}
}

/// A progress of which nothing is shown.
pub struct Silent;

impl Progress for Silent {}

/// Checks whether a plan may be carried out at all: conflicts first, then refusals.
pub fn permit(plan: &Plan) -> Result<(), ApplyError> {
    if !plan.conflicts.is_empty() {
        return Err(ApplyError::Conflicts(plan.conflicts.clone()));
    }
    let refused: Vec<RefusedStep> = plan.refused().filter_map(RefusedStep::of).collect();
    if refused.is_empty() { Ok(()) } else { Err(ApplyError::Refused(refused)) }
}

/// Carries out `plan`. After an error other than [`ApplyError::Left`] the kernel is as it was, except for the uuid of a
/// device that was adopted: a uuid can't be taken back.
pub fn apply(
    kernel: &dyn ChangeKernel,
    plan: &Plan,
    options: Options<'_>,
    progress: &mut dyn Progress,
) -> Result<(), ApplyError> {
    let (_, settled) = carry_out(kernel, plan, options, progress)?;
    settled.map_err(ApplyError::Unsettled)
}

/// Carries out `plan` as [`apply`] does, and returns its undo log for later, also when a device node is not up to date
/// ([`Applied::settled`]). The effect of a message and the uuid of an adopted device can't be undone.
pub fn reversibly(
    kernel: &dyn ChangeKernel,
    plan: &Plan,
    options: Options<'_>,
    progress: &mut dyn Progress,
) -> Result<Applied, ApplyError> {
    let (journal, settled) = carry_out(kernel, plan, options, progress)?;
    Ok(Applied::new(kernel, plan, journal, settled))
}

fn carry_out(
    kernel: &dyn ChangeKernel,
    plan: &Plan,
    options: Options<'_>,
    progress: &mut dyn Progress,
) -> Result<(UndoLog, Result<(), KernelError>), ApplyError> {
    permit(plan)?;
    kernel.begin()?;
    let (journal, failure) = match Run::carry_out(kernel, plan, options, progress) {
        Ok(journal) => return Ok((journal, kernel.settle())),
        Err(failed) => failed,
    };
    progress.undoing();
    let mut undo = Undo::new(kernel, options.patience);
    rollback::rollback(journal, &mut undo);
    Err(failure.with(undo.end()))
}
