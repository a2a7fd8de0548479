//! Mappings that exchange sectors: each waits for another one to let go. Their tables are swapped together, while all of
//! them are suspended, so that at no moment two of them write to the same sectors.

use std::collections::BTreeSet;

use super::action::Action;
use super::dependencies::{Dependencies, Dependency, Places};
use super::position::{StepId, UnsortedId};
use super::step::{Operation, Step};
use crate::stack::{IndexVec, Position as _};

/// Whether all steps of a circle give live devices other tables, which can be loaded before any of them is live.
pub(crate) fn is_possible(dependencies: &Dependencies, circle: &[UnsortedId]) -> bool {
    circle.iter().all(|step| swaps(dependencies, *step) && !dependencies.held_loads().contains(step))
}

/// Finds, in a circle, the removal of a device and the creation of one that takes its sectors, which need not wait for it: the
/// removal waits for a device that moves from the one to the other, so neither is written but through that device, and that
/// is on one of them at a time. A table that the kernel writes by itself does wait. So do opaque ones that several devices
/// move between: which sectors those write meanwhile is known below linear rows alone.
pub(crate) fn beside(dependencies: &Dependencies, circle: &[UnsortedId]) -> Option<(UnsortedId, UnsortedId)> {
    let edges = || circle.iter().zip(circle.iter().cycle().skip(1)).map(|(after, before)| (*before, *after));
    let reasons = |(before, after): (UnsortedId, UnsortedId)| {
        dependencies.before(after).iter().filter(move |(other, _)| *other == before).map(|(_, why)| *why)
    };
    let is_layer =
        |why| matches!(why, Dependency::SameDevice | Dependency::UsesLower | Dependency::ReleasesLower);
    let mut others = edges().filter(|edge| !reasons(*edge).any(is_layer));
    let (before, after) = others.next()?;
    let is_free = others.next().is_none()
        && reasons((before, after)).any(|why| why == Dependency::TakesOver)
        && dependencies.action(before) == Action::Remove
        && brings_up(&dependencies.steps[after])
        && !dependencies.held_loads().contains(&after);
    let is_followed = || is_linear(&dependencies.steps[before]) && is_linear(&dependencies.steps[after]);
    (is_free && (is_followed() || movers(dependencies, before).is_subset(&circle.iter().copied().collect())))
        .then_some((before, after))
}

/// Whether a step gives a device its first table: to a new one, or to one that an apply left without.
fn brings_up(step: &Step) -> bool {
    match &step.operation {
        Operation::Create(_) => true,
        Operation::Reload(reload) => reload.is_first_table(),
        _ => false,
    }
}

/// The steps that give another table to a device above one that is removed, also through others that are removed.
fn movers(dependencies: &Dependencies, removal: UnsortedId) -> BTreeSet<UnsortedId> {
    let (mut movers, mut removals, mut left) = (BTreeSet::new(), BTreeSet::new(), vec![removal]);
    while let Some(removal) = left.pop() {
        for (before, why) in dependencies.before(removal) {
            if *why != Dependency::ReleasesLower {
                continue;
            }
            if dependencies.action(*before) != Action::Remove {
                movers.insert(*before);
            } else if removals.insert(*before) {
                left.push(*before);
            }
        }
    }
    movers
}

/// Whether all rows of a device that is made or removed are followed down to the sectors below.
fn is_linear(step: &Step) -> bool {
    match &step.operation {
        Operation::Create(_) | Operation::Reload(_) => {
            step.new_table().is_some_and(|(rows, _)| rows.iter().all(|row| row.target.linear_map().is_some()))
        }
        Operation::Remove(removal) => {
            let old = removal.old.rows.understood();
            old.is_ok_and(|rows| rows.iter().all(|row| row.target.linear_map().is_some()))
        }
        _ => false,
    }
}

/// Whether the steps of an exchange are carried out together: no other kind of step is between them.
pub(crate) fn is_together(
    dependencies: &Dependencies,
    sorted: &IndexVec<StepId, UnsortedId>,
    places: &Places,
    exchange: &[UnsortedId],
) -> bool {
    let own = exchange.iter().map(|step| places[*step].index());
    let (first, last) = (own.clone().min().unwrap_or_default(), own.max().unwrap_or_default());
    (first..=last).map(StepId::new).all(|place| swaps(dependencies, sorted[place]))
}

/// Whether a step gives a live device another table.
fn swaps(dependencies: &Dependencies, step: UnsortedId) -> bool {
    let operation = &dependencies.steps[step].operation;
    matches!(operation, Operation::Reload(reload) if !reload.is_first_table())
}
