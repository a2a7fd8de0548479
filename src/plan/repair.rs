//! Plans the repair of one owner's devices without a map: from the state of the kernel alone.
//!
//! An apply that was killed may leave a suspended device, a table in an inactive slot, a device without a table, or a
//! temporary name. Only a map tells which devices should be suspended, and their names and tables. Without one, a device
//! should be active, its inactive slot should be empty, and a temporary name should give way to the device's key.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use super::{
    Cause, Consequence, InUse, LiveTable, Operation, Reason, Refusal, Remove, Step, placement, risk,
};
use crate::identity::{DevNum, Key, Name, Owner, Uuid};
use crate::kernel::{Info, KernelError, ReadKernel};
use crate::observed::{Circle, Observed, Seen};
use crate::policy::Class;

/// The steps of a repair, and the devices that can't be repaired.
#[derive(Default)]
pub struct Repair {
    /// The steps, in order. They are independent: a failure affects only the steps of devices above its own.
    pub steps: Vec<Step>,
    /// The devices that can't be repaired without a map.
    pub left: Vec<Left>,
}

/// A device that is not in order, and stays so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The name of the device.
    pub name: Name,
    /// The number of the device.
    pub number: DevNum,
    /// The problem.
    pub problem: Problem,
}

/// The problem of a device that is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The device has no table, and can't be removed.
    NotRemoved(Refusal),
    /// The device has its temporary name, and the name of its key is not free.
    NameTaken,
    /// The device is below itself.
    InCircle(Circle),
    /// The device still needs the step of this reason.
    StillNeeded(Reason),
}

impl Left {
    /// Sorts by name, and by number.
    pub fn sort(left: &mut [Self]) {
        left.sort_by(|one, two| (&one.name, one.number).cmp(&(&two.name, two.number)));
    }
}

/// The problem, and the command that helps.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRemoved(refusal) => {
                write!(f, "it has no table, and can't be removed: {refusal}; `dmctl apply` gives it its table")
            }
            Self::NameTaken => f.write_str(
                "its name is a temporary one, and what it should be called its map says: `dmctl apply` with that map \
                 renames it",
            ),
            Self::InCircle(circle) => circle.fmt(f),
            Self::StillNeeded(reason) => reason.fmt(f),
        }
    }
}

/// Reads the devices of `owner`, and plans their repair.
pub fn find(kernel: &dyn ReadKernel, owner: &Owner) -> Result<Repair, KernelError> {
    let observed =
        Observed::read_devices(kernel, |listed| listed.uuid.as_ref().is_some_and(|uuid| uuid.is_of(owner)))?;
    let shells = observed.devices.iter().filter(|seen| info(seen).is_some_and(|info| !info.live_table));
    observed.read_circles(kernel, observed.read_numbers())?;
    observed.read_users(kernel, shells.map(|seen| seen.listed.number))?;
    Ok(of(&observed))
}

/// Plans the repair from what was observed: every device that was read with its table is one of the owner. Pure.
pub(crate) fn of(observed: &Observed) -> Repair {
    let stacks = placement::devices(observed);
    // A target may write to its lower devices when its table is freed, so they serve I/O by then.
    let mut steps: Vec<Step> = stacks.iter().filter_map(|seen| serve(seen)).collect();
    steps.extend(stacks.iter().rev().filter_map(|seen| remove(seen, observed)));
    risk::refuse_held(&mut steps, observed);
    let mut left: Vec<Left> = steps.iter().filter_map(held).collect();
    left.extend(stacks.iter().filter_map(|seen| in_circle(seen, observed)));
    // To resume a device in a circle would start the requests that wait in it, which never end.
    let circles = |step: &Step| step.number.is_some_and(|number| observed.circle(number).is_some());
    steps.retain(|step| step.refused.is_none() && !circles(step));
    let removed: HashSet<DevNum> =
        steps.iter().filter(|step| is_removal(step)).filter_map(|step| step.number).collect();
    let stays = |seen: &&Seen| !removed.contains(&seen.listed.number);
    let mut taken: BTreeSet<Name> =
        observed.devices.iter().filter(stays).map(|seen| seen.listed.name.clone()).collect();
    for seen in stacks.into_iter().filter(stays) {
        let Some(key) = on_the_way(seen) else { continue };
        match Name::new(key.as_str()).ok().filter(|name| taken.insert(name.clone())) {
            Some(name) => steps.push(rename(seen, name)),
            None => left.push(nameless(seen)),
        }
    }
    Left::sort(&mut left);
    Repair { steps, left }
}

fn info(seen: &Seen) -> Option<&Info> {
    seen.mapped.as_ref().map(|mapped| &mapped.info)
}

fn is_removal(step: &Step) -> bool {
    matches!(step.operation, Operation::Remove(_))
}

fn step(seen: &Seen, reason: Reason, operation: Operation) -> Step {
    Step {
        mapping: seen.listed.uuid.as_ref().and_then(Uuid::parts).map(|(_, key)| key),
        name: seen.listed.name.clone(),
        uuid: seen.listed.uuid.clone(),
        number: Some(seen.listed.number),
        class: Class::Settle,
        refused: None,
        reason,
        operation,
    }
}

/// Returns the step that resumes a device or clears its inactive slot.
pub(super) fn serve(seen: &Seen) -> Option<Step> {
    let info = info(seen)?;
    if info.suspended && info.live_table {
        return Some(step(seen, suspended(info), Operation::Resume { clear: info.inactive_table }));
    }
    // A device without a table is removed, with the table in its inactive slot.
    let clear = info.inactive_table && info.live_table;
    clear.then(|| step(seen, Cause::InactiveTable.into(), Operation::Clear))
}

/// Returns the reason to resume a suspended device.
pub(super) fn suspended(info: &Info) -> Reason {
    let consequence = info.inactive_table.then_some(Consequence::InactiveCleared);
    Reason { consequence, ..Cause::Suspended.into() }
}

/// Returns the step that removes a device that never got its table.
pub(super) fn remove(seen: &Seen, observed: &Observed) -> Option<Step> {
    let mapped =
        seen.mapped.as_ref().filter(|mapped| !mapped.info.live_table && !mapped.info.deferred_remove)?;
    let removal = Remove {
        old: LiveTable::none(mapped.info.access()),
        users: InUse::of(seen.listed.number, mapped.info.open_count, &HashSet::new(), observed),
    };
    let step = step(seen, Cause::NoTable.into(), Operation::Remove(Box::new(removal)));
    Some(Step { class: Class::Remove, ..step })
}

fn held(step: &Step) -> Option<Left> {
    let why = step.refused.as_ref()?;
    Some(Left { name: step.name.clone(), number: step.number?, problem: Problem::NotRemoved(why.clone()) })
}

fn in_circle(seen: &Seen, observed: &Observed) -> Option<Left> {
    let circle = observed.circle(seen.listed.number)?.clone();
    Some(Left {
        name: seen.listed.name.clone(),
        number: seen.listed.number,
        problem: Problem::InCircle(circle),
    })
}

/// Returns the key of a device that has its temporary name.
fn on_the_way(seen: &Seen) -> Option<Key> {
    let (owner, key) = seen.listed.uuid.as_ref().and_then(Uuid::parts)?;
    (Name::temporary(&owner, &key) == seen.listed.name).then_some(key)
}

fn rename(seen: &Seen, to: Name) -> Step {
    step(seen, Cause::TemporaryName.into(), Operation::Rename { to })
}

fn nameless(seen: &Seen) -> Left {
    Left { name: seen.listed.name.clone(), number: seen.listed.number, problem: Problem::NameTaken }
}
