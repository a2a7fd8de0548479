//! Repairs devices: each step is applied by itself, so that a failure does not affect the others.

use std::collections::HashMap;
use std::fmt;

use super::{ApplyError, Options, Silent, apply};
use crate::identity::{DevNum, Owner};
use crate::kernel::{ChangeKernel, Id, KernelError, Slot};
use crate::plan::repair::{self, Left, Problem, Repair};
use crate::plan::{Action, Plan, Step};

/// A device that is not in order after a repair.
#[derive(Debug)]
pub struct NotRepaired {
    /// The device, and its problem.
    pub device: Left,
    /// Why its step was not carried out, where it has one.
    pub failure: Option<RepairFailure>,
}

/// Why a step of a repair was not carried out.
#[derive(Debug)]
pub enum RepairFailure {
    /// The step would wait for a lower device that is not repaired.
    Waits {
        /// The action of the step.
        action: Action,
        /// The lower device.
        lower: DevNum,
    },
    /// The step failed twice.
    Failed(ApplyError),
}

impl From<Left> for NotRepaired {
    fn from(left: Left) -> Self {
        Self { device: left, failure: None }
    }
}

/// The problem, and behind a semicolon why it was not removed.
impl fmt::Display for NotRepaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.device.problem.fmt(f)?;
        self.failure.iter().try_for_each(|failure| write!(f, "; {failure}"))
    }
}

impl fmt::Display for RepairFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waits { action, lower } => {
                write!(f, "{} waits for {lower}, on which it depends", action.name())
            }
            Self::Failed(error) => error.fmt(f),
        }
    }
}

/// Carries out `repair`, reads the devices again, and returns those that are still not in order. A device above one that
/// can't be repaired is left alone, because it would wait for that device.
pub fn repair(
    kernel: &dyn ChangeKernel,
    owner: &Owner,
    repair: &Repair,
    options: Options<'_>,
) -> Result<Vec<NotRepaired>, KernelError> {
    let mut failures: HashMap<DevNum, RepairFailure> = HashMap::new();
    for step in &repair.steps {
        let Some(number) = step.number else { continue };
        let failure = match stuck_below(kernel, step, &failures)? {
            Some(lower) => RepairFailure::Waits { action: step.action(), lower },
            None => match once_more(kernel, step, options) {
                Ok(()) => continue,
                Err(error) => RepairFailure::Failed(error),
            },
        };
        // A device has one step, or a rename after it: the first failure tells the cause.
        failures.entry(number).or_insert(failure);
    }
    // A crash between a device and its node leaves nothing to do but the node.
    kernel.settle()?;
    Ok(still_wrong(repair::find(kernel, owner)?, failures))
}

/// Applies a step, and once more when it fails: the cause may be gone by then, as a signal or a shortage of memory.
fn once_more(kernel: &dyn ChangeKernel, step: &Step, options: Options<'_>) -> Result<(), ApplyError> {
    let plan = Plan::of_step(step.clone());
    apply(kernel, &plan, options, &mut Silent).or_else(|_| apply(kernel, &plan, options, &mut Silent))
}

/// Returns a device below the one of `step` that could not be repaired.
fn stuck_below(
    kernel: &dyn ChangeKernel,
    step: &Step,
    helpless: &HashMap<DevNum, RepairFailure>,
) -> Result<Option<DevNum>, KernelError> {
    let Some(uuid) = step.uuid.as_ref().filter(|_| !helpless.is_empty()) else { return Ok(None) };
    for slot in [Slot::Live, Slot::Inactive] {
        let device = kernel.device(&Id::Uuid(uuid.clone()), slot)?;
        let lowers = device.iter().flat_map(|device| device.table.lower_devices());
        if let Some(lower) = lowers.into_iter().find(|lower| helpless.contains_key(lower)) {
            return Ok(Some(*lower));
        }
    }
    Ok(None)
}

/// Lists the devices that a second look finds, each with its failure.
fn still_wrong(found: Repair, mut failures: HashMap<DevNum, RepairFailure>) -> Vec<NotRepaired> {
    let steps = found.steps.into_iter().filter_map(|step| {
        Some(Left { number: step.number?, name: step.name, problem: Problem::StillNeeded(step.reason) })
    });
    let mut left: Vec<Left> = steps.chain(found.left).collect();
    Left::sort(&mut left);
    let failed = |device: Left| NotRepaired { failure: failures.remove(&device.number), device };
    left.into_iter().map(failed).collect()
}
