//! Which reloads are swapped together.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::tasks::Swapped;
use crate::diff;
use crate::identity::DevNum;
use crate::plan::Plan;

/// Sorts reloads into stacks that have nothing to do with each other. Each keeps the order of the plan, lower devices
/// first.
pub fn stacks<'p>(plan: &Plan, reloads: &[Swapped<'p>]) -> Vec<Vec<Swapped<'p>>> {
    let by_number: HashMap<DevNum, usize> = reloads
        .iter()
        .enumerate()
        .filter_map(|(index, swapped)| Some((swapped.step.number?, index)))
        .collect();
    let by_place: HashMap<usize, usize> =
        reloads.iter().enumerate().map(|(index, swapped)| (swapped.place, index)).collect();
    // Each reload points to one of its stack, and the first of a stack to itself.
    let mut joined: Vec<usize> = (0..reloads.len()).collect();
    for (index, swapped) in reloads.iter().enumerate() {
        // A lower device that is not swapped itself ties nothing together.
        let touched = touched(swapped);
        let lowers = touched.iter().filter_map(|number| by_number.get(number));
        let waits = plan.waits[swapped.place].iter().filter_map(|place| by_place.get(place));
        for other in lowers.chain(waits) {
            let (one, two) = (first(&mut joined, index), first(&mut joined, *other));
            joined[one.max(two)] = one.min(two);
        }
    }
    let mut stacks: BTreeMap<usize, Vec<Swapped<'p>>> = BTreeMap::new();
    for (index, swapped) in reloads.iter().enumerate() {
        stacks.entry(first(&mut joined, index)).or_default().push(*swapped);
    }
    stacks.into_values().collect()
}

/// The first reload of the stack that one belongs to.
fn first(joined: &mut [usize], mut index: usize) -> usize {
    while joined[index] != index {
        joined[index] = joined[joined[index]];
        index = joined[index];
    }
    index
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
