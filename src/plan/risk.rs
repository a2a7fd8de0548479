//! What is at stake in each step, and whether it may be carried out.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::changes::{Change, Changes};
use super::{InUse, Operation, Refusal, Stake, Step};
use crate::config::Map;
use crate::diff;
use crate::identity::DevNum;
use crate::observed::Observed;
use crate::policy::Class;
use crate::table::RawRow;
use crate::table::Row;
use crate::targets::Found;

/// Says what is at stake in steps that were [weighed](weigh) and have their final order, and refuses those that may
/// not pass. `removes` tells whether one removes a device.
pub fn judge(
    steps: &mut [Step],
    removes: bool,
    changes: &Changes<'_>,
    observed: &Observed,
    allow: &BTreeSet<Class>,
) {
    let left = if removes { left_before(steps, observed) } else { HashMap::new() };
    for (index, step) in steps.iter_mut().enumerate() {
        let change = step.mapping.as_ref().filter(|_| changes.noted.guarded).and_then(|key| changes.get(key));
        let replaced = change.is_some_and(Change::is_made_anew);
        if replaced && matches!(step.operation, Operation::Create(_) | Operation::Remove(_)) {
            step.class = step.class.max(Class::Remap);
        }
        let protected = change.is_some_and(|change| change.mapping.protect);
        step.refused = if protected && disturbs(step, replaced) {
            Some(Refusal::Protected)
        } else if let Some(held) = held(step, left.get(&index), observed) {
            Some(held)
        } else if !step.class.allowed_unasked() && !allow.contains(&step.class) {
            Some(Refusal::Policy(step.class))
        } else {
            None
        };
    }
}

/// Gives a step the class that its tables make it, where they put more at stake than its action does.
pub fn weigh(step: &mut Step, map: &Map, observed: &Observed) {
    if let Some(stake) = stake(step, map, observed).filter(|stake| stake.class() > step.class) {
        step.class = stake.class();
        step.reason.stake = Some(stake);
    }
}

/// Refuses the removals of devices that somebody still holds when their turn comes.
pub fn refuse_held(steps: &mut [Step], observed: &Observed) {
    let left = left_before(steps, observed);
    for (index, step) in steps.iter_mut().enumerate() {
        step.refused = held(step, left.get(&index), observed);
    }
}

/// Whether a step does what `protect` forbids.
fn disturbs(step: &Step, replaced: bool) -> bool {
    match step.operation {
        Operation::Remove(_) => true,
        Operation::Create(_) => replaced,
        _ => step.class >= Class::Remap,
    }
}

/// What the tables of a step put at stake.
fn stake(step: &Step, map: &Map, observed: &Observed) -> Option<Stake> {
    match &step.operation {
        Operation::Remove(removal) => loss(&removal.old.rows, &[]),
        Operation::Reload(reload) => {
            let (old, table) = (&reload.old.rows, &reload.table);
            loss(old, table).or_else(|| format(table, old, map, observed))
        }
        Operation::Create(create) => format(&create.table, &[], map, observed),
        _ => None,
    }
}

/// What would be lost with the live table. Where a row of the same type takes the place of an old one, only
/// what its target keeps nowhere but in memory.
fn loss(old: &[RawRow], wanted: &[Row]) -> Option<Stake> {
    let old = diff::understand(old).ok()?;
    old.iter().find_map(|row| {
        let stays = || {
            let at = wanted.binary_search_by_key(&row.start, |new| new.start);
            at.is_ok_and(|index| wanted[index].target.kind() == row.target.kind())
        };
        let hazards = row.target.hazards();
        let on_remove = || hazards.data_loss_on_remove.filter(|_| !stays());
        let lost = hazards.data_loss_on_reload.or_else(on_remove)?;
        Some(Stake::Loses(lost))
    })
}

/// Which metadata the kernel would write afresh: decided by looking, and what can't be read counts as blank.
fn format(table: &[Row], old: &[RawRow], map: &Map, observed: &Observed) -> Option<Stake> {
    if table.iter().all(|row| row.target.metadata().is_empty()) {
        return None;
    }
    let old = diff::understand(old).unwrap_or_default();
    // Metadata that the live table uses for the same is there.
    let in_use: HashSet<(&str, DevNum, u64)> = old
        .iter()
        .flat_map(|row| row.target.metadata().into_iter().map(|found| (row.target.kind(), found)))
        .filter_map(|(kind, found)| Some((kind, found.device.number?, found.offset)))
        .collect();
    table.iter().find_map(|row| {
        row.target.metadata().into_iter().find_map(|metadata| {
            let number = metadata.device.number;
            if number.is_some_and(|number| in_use.contains(&(row.target.kind(), number, metadata.offset))) {
                return None;
            }
            let head = observed.head(map, metadata.device, metadata.offset);
            match head.map_or(Found::Blank, metadata.look) {
                Found::Blank => Some(Stake::Formats(metadata.otherwise)),
                Found::Right | Found::Other | Found::Fatal => None,
            }
        })
    })
}

/// For each step that removes a device, the devices that left it before.
fn left_before(steps: &[Step], observed: &Observed) -> HashMap<usize, HashSet<DevNum>> {
    let removals: HashMap<DevNum, usize> = steps
        .iter()
        .enumerate()
        .filter(|(_, step)| matches!(step.operation, Operation::Remove(_)))
        .filter_map(|(index, step)| step.number.map(|number| (number, index)))
        .collect();
    let mut left: HashMap<usize, HashSet<DevNum>> = HashMap::new();
    for (index, step) in steps.iter().enumerate() {
        let Some(upper) = step.number else { continue };
        for lower in step.released_devices(observed) {
            if let Some(removal) = removals.get(&lower).filter(|removal| **removal > index) {
                left.entry(*removal).or_default().insert(upper);
            }
        }
    }
    left
}

/// Refuses the removal of a device that somebody still holds when its turn comes.
fn held(step: &Step, left: Option<&HashSet<DevNum>>, observed: &Observed) -> Option<Refusal> {
    let Operation::Remove(removal) = &step.operation else { return None };
    let none = HashSet::new();
    let rest = InUse::of(step.number?, removal.users.open_count, left.unwrap_or(&none), observed);
    (rest != InUse::default()).then(|| Refusal::InUse(Box::new(rest)))
}
