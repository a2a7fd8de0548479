//! Which reloads are swapped together.

use std::collections::{BTreeSet, HashMap};

use super::tasks::Swapped;
use crate::diff;
use crate::identity::DevNum;
use crate::plan::Plan;
use crate::stack::{Position, Stacks, position};

position! {
    /// A reload among those that are sorted.
    struct ReloadId;
}

/// Sorts reloads into stacks that have nothing to do with each other. Each keeps the order of the plan, lower devices
/// first.
pub fn stacks<'p>(plan: &Plan, reloads: &[Swapped<'p>]) -> Vec<Vec<Swapped<'p>>> {
    let by_number: HashMap<DevNum, usize> =
        reloads.iter().zip(0..).filter_map(|(swapped, index)| Some((swapped.step.number?, index))).collect();
    let by_place: HashMap<usize, usize> = reloads.iter().map(|swapped| swapped.place).zip(0..).collect();
    let below = |swapped: &Swapped<'_>| {
        // A lower device that is not swapped itself ties nothing together.
        let touched = touched(swapped);
        let lowers = touched.iter().filter_map(|number| by_number.get(number));
        let waits = plan.waits[swapped.place].iter().filter_map(|place| by_place.get(place));
        lowers.chain(waits).map(|index| ReloadId::new(*index)).collect()
    };
    let parts = reloads.iter().map(below).collect::<Stacks<ReloadId>>().parts();
    parts.into_iter().map(|part| part.iter().map(|reload| reloads[reload.index()]).collect()).collect()
}

/// The device of a reload, and those below it before and afterwards.
fn touched(Swapped { step, reload, .. }: &Swapped<'_>) -> BTreeSet<DevNum> {
    let mut numbers: BTreeSet<DevNum> = step.number.into_iter().collect();
    for row in &*reload.table {
        numbers.extend(row.target.lower_devices(row.length).iter().filter_map(|lower| lower.device.number));
    }
    numbers.extend(diff::lower_devices(&reload.old.rows));
    numbers
}
