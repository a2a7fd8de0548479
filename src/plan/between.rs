//! What a device that gets a table uses through devices that keep theirs.
//!
//! Devices that are swapped together are suspended upper ones first and resumed lower ones first: I/O of an upper one, as
//! that of a file system that is frozen or thawed, would wait for a lower one that is suspended. Between two of them
//! can be any number of mappings that no step touches.

use std::collections::HashSet;

use super::change::{Change, Drift};
use super::changes::Changes;
use super::position::ChangeId;
use super::step::Through;
use crate::identity::DevNum;
use crate::observed::Observed;

/// Adds to each mapping that gets a table the devices that it uses through mappings that keep theirs.
pub(super) fn note(changes: &mut Changes<'_>, observed: &Observed) {
    // Most maps have no mapping that stays above another one.
    let stays_above = |(id, change): (ChangeId, &Change<'_>)| {
        !is_swapped(change) && (!changes.lowers[id].is_empty() || !change.through.old.is_empty())
    };
    if !changes.all.entries().any(stays_above) {
        return;
    }
    let swapped = changes.all.entries().filter(|(_, change)| is_swapped(change)).map(|(id, _)| id);
    let found: Vec<(ChangeId, Through)> = swapped
        .map(|id| {
            let old = below_now(changes, id, observed);
            (id, Through { old, new: below_then(changes, id) })
        })
        .collect();
    for (id, through) in found {
        changes.all[id].through = through;
    }
}

/// Whether the device keeps its number and gets another table.
fn is_swapped(change: &Change<'_>) -> bool {
    matches!(change.drift, Drift::Differs(_))
}

/// Walks down from a device by the tables that devices have now, until devices that are swapped.
fn below_now(changes: &Changes<'_>, id: ChangeId, observed: &Observed) -> Vec<DevNum> {
    let lowers = |change: &Change<'_>| -> Vec<DevNum> {
        let table = change.device().map(|device| device.table.lower_devices());
        table.into_iter().flatten().chain(&change.through.old).copied().collect()
    };
    let mut found = HashSet::new();
    let mut left = lowers(&changes.all[id]);
    while let Some(number) = left.pop() {
        let Some(lower) = changes.id_of_number(number, observed) else { continue };
        if found.insert(number) && !is_swapped(&changes.all[lower]) {
            left.extend(lowers(&changes.all[lower]));
        }
    }
    sorted(found)
}

/// Walks down from a mapping by the tables that mappings should have, until devices that are swapped.
fn below_then(changes: &Changes<'_>, id: ChangeId) -> Vec<DevNum> {
    let mut seen: HashSet<ChangeId> = HashSet::new();
    let mut left: Vec<ChangeId> = changes.lowers[id].to_vec();
    while let Some(lower) = left.pop() {
        if seen.insert(lower) && !is_swapped(&changes.all[lower]) {
            left.extend(changes.lowers[lower].iter().copied());
        }
    }
    let through = changes.all[id].through.new.iter().copied();
    sorted(seen.iter().filter_map(|id| changes.all[*id].number()).chain(through).collect())
}

/// The same map and kernel give the same plan, so the order is that of the numbers.
fn sorted(found: HashSet<DevNum>) -> Vec<DevNum> {
    let mut all: Vec<DevNum> = found.into_iter().collect();
    all.sort_unstable();
    all
}
