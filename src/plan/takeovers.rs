//! Lets a step wait for the one that lets go the sectors, the volume or the disk that it takes.

use std::collections::HashMap;

use super::action::Action;
use super::changes::Changes;
use super::dependencies::{self, Dependencies, Dependency};
use super::position::{ChangeId, UnsortedId};
use super::preparation;
use super::step::Step;
use super::transfer::{Giver, Transfer};
use crate::identity::DevNum;
use crate::observed::Observed;

/// Lets each table wait for the devices that let go what it takes, and for its volume.
pub(crate) fn add(
    dependencies: &mut Dependencies,
    changes: &Changes<'_>,
    observed: &Observed,
    transfers: &[Transfer],
) {
    if dependencies.actions.contains(Action::Clear) && has_partitions(observed) {
        clears(dependencies);
    }
    if !transfers.is_empty() {
        sectors(dependencies, transfers);
    }
    if dependencies.actions.contains(Action::Message) {
        volumes(dependencies, changes);
    }
}

/// Whether a table in an inactive slot has a device that is a disk with partitions or a partition, as far as that can be told:
/// what only such a table uses was not read.
fn has_partitions(observed: &Observed) -> bool {
    let mut waiting = observed.devices.iter().flat_map(|seen| seen.waiting.lower_devices().iter().copied());
    let is_disk = |number: DevNum| observed.block(number).is_some_and(|block| block.partition.is_none());
    waiting.any(|number| observed.by_number(number).is_none() && !is_disk(number))
}

/// Lets every load wait until the inactive slots are cleared: a disk and its partition are never both given out, and a table
/// that was left in an inactive slot has its devices.
fn clears(dependencies: &mut Dependencies) {
    let of = |actions: &[Action]| -> Vec<UnsortedId> {
        dependencies.steps.positions().filter(|id| actions.contains(&dependencies.action(*id))).collect()
    };
    let (clears, loads) = (of(&[Action::Clear]), of(&[Action::Create, Action::Reload]));
    for load in loads {
        for clear in &clears {
            if dependencies.steps[*clear].name != dependencies.steps[load].name {
                dependencies.add(*clear, load, Dependency::TakesOver);
            }
        }
        dependencies.hold_load(load);
    }
}

/// Lets a table become live only once the one that used its sectors is gone.
fn sectors(dependencies: &mut Dependencies, transfers: &[Transfer]) {
    let removals = dependencies.steps.entries().filter(|(_, step)| step.action() == Action::Remove);
    let removals: HashMap<DevNum, UnsortedId> =
        removals.filter_map(|(id, step)| step.number.map(|number| (number, id))).collect();
    for transfer in transfers {
        let before = match transfer.from {
            Giver::Mapping(giver) => first(dependencies, giver, [Action::Remove, Action::Reload]),
            Giver::Orphan(number) => removals.get(&number).copied(),
        };
        let after = first(dependencies, transfer.to, [Action::Create, Action::Reload]);
        let (Some(before), Some(after)) = (before, after) else { continue };
        dependencies.add(before, after, Dependency::TakesOver);
        if transfer.before_load || writes_when_loaded(&dependencies.steps[after]) {
            dependencies.hold_load(after);
        }
    }
}

/// Lets each mapping that is a volume wait for the one that makes the volume, where several share one.
fn volumes(dependencies: &mut Dependencies, changes: &Changes<'_>) {
    let ranges = &dependencies.ranges;
    let volumes = preparation::volumes(changes);
    let prepares = |id: &UnsortedId| dependencies::preparation(&dependencies.steps[*id]).is_some();
    let loads = |id: &UnsortedId| dependencies.steps[*id].new_table().is_some();
    let mut waits = Vec::new();
    for sharers in volumes.values().filter(|sharers| sharers.len() > 1) {
        for (pool, change) in sharers {
            let message =
                changes.id_of(&change.mapping.key).and_then(|maker| ranges.of(maker).find(prepares));
            let Some(message) = message else { continue };
            let others = sharers
                .iter()
                .filter(|(other, sharer)| other == pool && sharer.mapping.key != change.mapping.key);
            for other in others.filter_map(|(_, sharer)| changes.id_of(&sharer.mapping.key)) {
                if !ranges.of(other).any(|id| prepares(&id)) {
                    waits.extend(ranges.of(other).find(loads).map(|load| (message, load)));
                }
            }
        }
    }
    for (message, load) in waits {
        dependencies.add(message, load, Dependency::TakesOver);
        dependencies.hold_load(load);
    }
}

/// The first step of a mapping that does the first of these actions which it has.
fn first(dependencies: &Dependencies, change: ChangeId, actions: [Action; 2]) -> Option<UnsortedId> {
    let of = |action| dependencies.ranges.of(change).find(|id| dependencies.action(*id) == action);
    actions.into_iter().find_map(of)
}

/// Whether a step loads a table with metadata, which the kernel may write as soon as the table is loaded.
fn writes_when_loaded(step: &Step) -> bool {
    step.new_table().is_some_and(|(rows, _)| rows.iter().any(|row| !row.target.metadata().is_empty()))
}
