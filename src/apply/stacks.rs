//! Groups reloads that are swapped together.

use std::collections::{BTreeSet, HashMap};

use super::swapped::Swapped;
use crate::identity::DevNum;
use crate::plan::{Plan, StepId};
use crate::stack::{IndexVec, Stacks, position};

position! {
    /// One of the reloads.
    struct ReloadId;
}

/// Groups reloads into independent stacks. Each keeps the order of the plan, lower devices first.
pub(crate) fn stacks<'p>(plan: &Plan, reloads: &[Swapped<'p>]) -> Vec<Vec<Swapped<'p>>> {
    let reloads: IndexVec<ReloadId, Swapped<'p>> = reloads.iter().copied().collect();
    let by_number: HashMap<DevNum, ReloadId> =
        reloads.entries().filter_map(|(id, swapped)| Some((swapped.step.number?, id))).collect();
    let by_step: HashMap<StepId, ReloadId> =
        reloads.entries().map(|(id, swapped)| (swapped.place, id)).collect();
    let below = |swapped: &Swapped<'p>| {
        // A lower device that is not swapped itself does not connect two reloads.
        let lowers = lowers(swapped).into_iter().filter_map(|number| by_number.get(&number));
        let waits = plan.dependencies.below(swapped.place).iter().filter_map(|step| by_step.get(step));
        lowers.chain(waits).copied().collect()
    };
    let stacks: Stacks<ReloadId> = reloads.iter().map(below).collect();
    let stack = |part: Vec<ReloadId>| part.into_iter().map(|id| reloads[id]).collect();
    stacks.parts().into_iter().map(stack).collect()
}

/// Returns the lower devices of a device, before its reload and after it.
fn lowers(Swapped { reload, .. }: &Swapped<'_>) -> BTreeSet<DevNum> {
    let mut lowers: BTreeSet<DevNum> = reload.old.rows.lower_devices().iter().copied().collect();
    lowers.extend(reload.through.old.iter().chain(&reload.through.new));
    for row in &*reload.table {
        lowers.extend(row.lower_devices().iter().filter_map(|lower| lower.device.number));
    }
    lowers
}
