//! Which reloads are swapped together.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::diff;
use crate::identity::DevNum;
use crate::plan::{Detail, Plan, Step};

/// Sorts reloads, by their places in the plan, into stacks that have nothing to do with each other. Each keeps
/// the order of the plan, lower devices first.
pub fn stacks(plan: &Plan, reloads: &[usize]) -> Vec<Vec<usize>> {
    let steps: Vec<&Step> = reloads.iter().map(|place| &plan.steps[*place]).collect();
    let by_number: HashMap<DevNum, usize> =
        steps.iter().enumerate().filter_map(|(index, step)| Some((step.number?, index))).collect();
    let by_place: HashMap<usize, usize> =
        reloads.iter().enumerate().map(|(index, place)| (*place, index)).collect();
    // Each reload points to one of its stack, and the first of a stack to itself.
    let mut joined: Vec<usize> = (0..steps.len()).collect();
    for (index, step) in steps.iter().enumerate() {
        // A lower device that is not swapped itself ties nothing together.
        let touched = touched(step);
        let lowers = touched.iter().filter_map(|number| by_number.get(number));
        let waits = plan.waits[reloads[index]].iter().filter_map(|place| by_place.get(place));
        for other in lowers.chain(waits) {
            let (one, two) = (first(&mut joined, index), first(&mut joined, *other));
            joined[one.max(two)] = one.min(two);
        }
    }
    let mut stacks: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, place) in reloads.iter().enumerate() {
        stacks.entry(first(&mut joined, index)).or_default().push(*place);
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

/// The devices that a reload has to do with.
fn touched(step: &Step) -> BTreeSet<DevNum> {
    let mut numbers: BTreeSet<DevNum> = step.number.into_iter().collect();
    if let Detail::Reload { table, old, .. } = &step.detail {
        for row in table.iter() {
            numbers
                .extend(row.target.lower_devices(row.length).iter().filter_map(|lower| lower.device.number));
        }
        numbers.extend(diff::lower_devices(old));
    }
    numbers
}
