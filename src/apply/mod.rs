//! Carries a plan out, or leaves everything as it was.
//!
//! First everything that disturbs nobody is *staged*: changed tables are loaded into inactive slots, where the
//! kernel checks them, and new devices are made from the bottom up. Then the tables are *swapped*, a stack at
//! a time. Then names, messages and removals *settle*, and at last everything is read again and *verified*.
//!
//! `tasks` takes the plan apart into what is done at one go, `queue` says which of that may begin, and `workers` does
//! it, some side by side, as far as `overlap` lets it. `run` carries out one task and notes each change in a
//! `journal`; when something fails nothing more is begun, and the journal is undone backwards (`rollback`, `undo`,
//! `rollback_swap`). Whatever ends this process on the way, the next plan finds it by
//! looking at the kernel: devices that are suspended, tables in inactive slots, devices without a table, and
//! temporary names are all differences from the map like any other.

mod applied;
mod error;
mod journal;
mod notices;
mod overlap;
mod preparation;
mod queue;
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
mod verify;
mod workers;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::kernel::retry::{NEVER, PATIENCE};
use crate::kernel::{ChangeKernel, KernelError};
use crate::plan::{Plan, Refusal, Step, StepId};

pub use applied::Applied;
pub use error::ApplyError;
use journal::UndoLog;
pub use overlap::{JOBS, MAX_JOBS};
pub use removal::once_closed;
pub use repair::repair;
use run::Run;
use undo::Undo;

/// How a plan is carried out.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// How long a removal waits for a device that is open.
    pub patience: Duration,
    /// How much is done side by side, at most; 1 carries the steps out one by one, in the order of the plan.
    pub jobs: usize,
    /// Once it is true, nothing more is begun, and what was done is undone. It is looked at only while no
    /// device is suspended for a swap.
    pub stop: &'a AtomicBool,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { patience: PATIENCE, jobs: 1, stop: &NEVER }
    }
}

/// What an apply tells while it goes on. Nothing is told while a device is suspended.
pub trait Progress {
    /// A step is begun; `place` is its place in the plan. Several may be on their way at once.
    fn begun(&mut self, _place: StepId, _step: &Step) {}

    /// A step was carried out.
    fn done(&mut self, _place: StepId, _step: &Step) {}

    /// Something failed, and everything is about to be undone.
    fn undoing(&mut self) {}

    /// Time passes: called every now and then.
    fn tick(&mut self) {}
}

/// Tells nobody.
pub struct Silent;

impl Progress for Silent {}

/// Says whether a plan may be carried out at all: conflicts first, then refusals.
pub fn permit(plan: &Plan) -> Result<(), ApplyError> {
    if !plan.conflicts.is_empty() {
        return Err(ApplyError::Conflicts(plan.conflicts.clone()));
    }
    let refused: Vec<String> =
        plan.refused().filter_map(|step| step.refused.as_ref().map(|why| refusal(step, why))).collect();
    if refused.is_empty() { Ok(()) } else { Err(ApplyError::Refused(refused)) }
}

fn refusal(step: &Step, why: &Refusal) -> String {
    let way_out = match why {
        Refusal::Policy(class) => format!("allow it with --allow {class}"),
        Refusal::Protected => "its mapping says protect = true, which no flag overrides".to_string(),
        Refusal::InUse(users) => format!("it is in use: {}", users.describe()),
    };
    format!("{} {} [{}]: {}; {way_out}", step.action().name(), step.name, step.class, step.reason)
}

/// Carries `plan` out. When it returns an error other than [`ApplyError::Left`], the kernel is as it was, but
/// for the uuid of a device that was taken over: that can't be taken back.
pub fn apply(
    kernel: &dyn ChangeKernel,
    plan: &Plan,
    options: Options<'_>,
    progress: &mut dyn Progress,
) -> Result<(), ApplyError> {
    let (_, settled) = carry_out(kernel, plan, options, progress)?;
    settled.map_err(ApplyError::Unsettled)
}

/// As [`apply`], with a way back for later, also when a device node does not follow
/// ([`Applied::settled`]). What a message did and the uuid of a device that was taken over stay
/// all the same.
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
