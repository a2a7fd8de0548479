//! Repairs devices: each step is applied by itself, so that a failure does not affect the others.

use std::collections::HashSet;

use super::{ApplyError, Options, Silent, apply};
use crate::diff;
use crate::identity::{DevNum, Owner};
use crate::kernel::{ChangeKernel, Id, KernelError, Slot};
use crate::plan::repair::{self, Left, Repair};
use crate::plan::{Plan, Step};

/// Carries out `repair`, reads the devices again, and returns those that are still not in order. A device above one that
/// can't be repaired is left alone, because it would wait for that device.
pub fn repair(
    kernel: &dyn ChangeKernel,
    owner: &Owner,
    repair: &Repair,
    options: Options<'_>,
) -> Result<Vec<Left>, KernelError> {
    let mut helpless: HashSet<DevNum> = HashSet::new();
    let mut says: Vec<(DevNum, String)> = Vec::new();
    for step in &repair.steps {
        let Some(number) = step.number else { continue };
        let says_why = match stuck_below(kernel, step, &helpless)? {
            Some(lower) => format!("{} waits for {lower}, on which it depends", step.action().name()),
            None => match once_more(kernel, step, options) {
                Ok(()) => continue,
                Err(error) => error.to_string(),
            },
        };
        helpless.insert(number);
        says.push((number, says_why));
    }
    // A crash between a device and its node leaves nothing to do but the node.
    kernel.settle()?;
    Ok(still_wrong(repair::find(kernel, owner)?, &says))
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
    helpless: &HashSet<DevNum>,
) -> Result<Option<DevNum>, KernelError> {
    let Some(uuid) = step.uuid.as_ref().filter(|_| !helpless.is_empty()) else { return Ok(None) };
    for slot in [Slot::Live, Slot::Inactive] {
        let device = kernel.device(&Id::Uuid(uuid.clone()), slot)?;
        let lowers = device.map(|device| diff::lower_devices(&device.table)).unwrap_or_default();
        if let Some(lower) = lowers.into_iter().find(|lower| helpless.contains(lower)) {
            return Ok(Some(lower));
        }
    }
    Ok(None)
}

/// Lists the devices that a second look finds, each with the error of the first attempt.
fn still_wrong(found: Repair, says: &[(DevNum, String)]) -> Vec<Left> {
    let steps = found.steps.into_iter().filter_map(|step| {
        Some(Left { number: step.number?, name: step.name, reason: step.reason.to_string() })
    });
    let mut left: Vec<Left> = steps.chain(found.left).collect();
    for left in &mut left {
        if let Some((_, why)) = says.iter().find(|(number, _)| *number == left.number) {
            left.reason = format!("{}; {why}", left.reason);
        }
    }
    left.sort();
    left
}
