//! What must happen, in no order yet: one device at a time.

use std::collections::HashSet;
use std::sync::Arc;

use super::actions::Actions;
use super::changes::{self, Change, Changes, Standing};
use super::own::Own;
use super::{
    Action, CANCEL_REMOVAL, Cause, Conflict, Consequence, Create, InUse, LiveTable, Message, Operation,
    Reason, Reload, Removal, Step,
};
use super::{matching, preparation, repair, risk};
use crate::config::State;
use crate::diff;
use crate::identity::{DevNum, Key, Uuid};
use crate::kernel::{DeviceState, Info};
use crate::observed::{Observed, Seen};
use crate::policy::Class;
use crate::table::Row;

/// Steps in no order yet, but that those of a mapping stand together.
pub struct Unsorted {
    /// The steps.
    pub steps: Vec<Step>,
    /// Which of them each mapping has.
    pub own: Own,
    /// What each of them does.
    pub actions: Actions,
    /// Whether they stand in the order of their names already, as mostly those of a map do.
    pub by_name: bool,
}

/// The steps of all mappings, and the conflicts that only they show.
pub fn of(changes: &Changes<'_>, observed: &Observed) -> (Unsorted, Vec<Conflict>) {
    let mut actions = Actions::default();
    let busy = &changes.noted.busy;
    let (mut steps, mut own) = (Vec::with_capacity(busy.len()), Own::with_capacity(changes.all.len()));
    let volumes = preparation::volumes(changes);
    let mut by_name = true;
    let mut look_at = |steps: &mut [Step], first: usize| {
        for step in &mut steps[first..] {
            risk::weigh(step, changes.map, observed);
            actions.push(step.action());
        }
        by_name &= steps[first.saturating_sub(1)..].is_sorted_by(|one, two| one.name <= two.name);
    };
    for place in busy {
        let (change, first) = (&changes.all[*place], steps.len());
        own.begin(*place, first);
        let before = |steps: &mut Vec<Step>| preparation::push(change, changes, &volumes, observed, steps);
        of_mapping(change, observed, &before, &mut steps);
        look_at(&mut steps, first);
    }
    let first = steps.len();
    own.begin(changes.all.len(), first);
    let leaves = |seen: &&&Seen| seen.mapped.as_ref().is_some_and(changes::leaves);
    for seen in changes.leftovers.iter().filter(|seen| !leaves(seen)) {
        if changes.map.policy.prune {
            steps.extend(remove_leftover(seen, changes, observed));
        } else {
            steps.extend(set_right(seen, changes, observed));
        }
    }
    look_at(&mut steps, first);
    let conflicts = taken_names(changes, observed, &steps, &actions);
    (Unsorted { steps, own, actions, by_name }, conflicts)
}

/// Whether a mapping needs no step: what is there is what is wanted, or nothing can be done.
pub fn is_settled(change: &Change<'_>) -> bool {
    let suspended = change.mapping.state == State::Suspended;
    let as_wanted = |info: &Info| {
        !info.deferred_remove
            && !info.inactive_table
            && info.suspended == suspended
            && info.name == change.mapping.name
    };
    match change.standing {
        Standing::Gone | Standing::Leaving | Standing::Blocked | Standing::Unknown(_) => true,
        Standing::Same => {
            change.found.is_none_or(|found| !found.taken_over)
                && change.device().is_none_or(|device| as_wanted(&device.info))
        }
        _ => false,
    }
}

/// The steps of one mapping. `prepare` adds what must be done before its table is loaded.
fn of_mapping(
    change: &Change<'_>,
    observed: &Observed,
    prepare: &dyn Fn(&mut Vec<Step>),
    steps: &mut Vec<Step>,
) {
    match &change.standing {
        Standing::Gone | Standing::Leaving | Standing::Blocked | Standing::Unknown(_) => {}
        Standing::Unwanted => steps.extend(remove(change, observed, Cause::Absent)),
        Standing::Missing => {
            prepare(steps);
            make(change, Cause::Missing, observed, steps);
        }
        Standing::Replaced(diff) => {
            steps.extend(remove(change, observed, Cause::Replaced(Arc::clone(diff))));
            prepare(steps);
            make(change, Cause::Recreated, observed, steps);
        }
        Standing::Same | Standing::Unfinished | Standing::Differs(_) => {
            let Some(device) = change.device() else { return };
            stay(change, device, observed, prepare, steps);
        }
    }
}

/// A device that is made.
fn make(change: &Change<'_>, cause: Cause, observed: &Observed, steps: &mut Vec<Step>) {
    steps.push(create(change, cause));
    push_messages(change, steps);
    if change.mapping.state == State::Suspended {
        steps.push(suspend(change, observed));
    }
}

/// A device that stays.
fn stay(
    change: &Change<'_>,
    device: &DeviceState,
    observed: &Observed,
    prepare: &dyn Fn(&mut Vec<Step>),
    steps: &mut Vec<Step>,
) {
    let wants_suspended = change.mapping.state == State::Suspended;
    let reloaded = change.standing != Standing::Same;
    if device.info.deferred_remove {
        steps.push(cancel_removal(change));
    }
    if reloaded {
        if device.info.inactive_table && stands_on_new(change) {
            let cause = Cause::InactiveTableInTheWay;
            steps.push(step(change, Class::Settle, cause.into(), Operation::Clear));
        }
        prepare(steps);
        steps.push(reload(change, device, observed));
        push_messages(change, steps);
    } else {
        settle(change, device, steps);
    }
    // A uuid can't be taken back, so it comes as late as it can; but before the name, for a device
    // that has neither the old name nor a uuid would be a stranger to the next plan.
    take_over(change, steps);
    rename(change, device, steps);
    if wants_suspended && (reloaded || !device.info.suspended) {
        steps.push(suspend(change, observed));
    }
}

/// Whether something below is made by this plan.
fn stands_on_new(change: &Change<'_>) -> bool {
    let made =
        |row: &Row| row.target.lower_devices(row.length).iter().any(|lower| lower.device.number.is_none());
    change.rows.iter().any(made)
}

/// The step for the mapping of `change` that does this to its device.
fn step(change: &Change<'_>, class: Class, reason: Reason, operation: Operation) -> Step {
    Step {
        mapping: Some(change.mapping.key.clone()),
        name: change
            .found
            .map_or_else(|| change.mapping.name.clone(), |found| found.seen.listed.name.clone()),
        uuid: addressed_by(change, &operation),
        number: change.number(),
        class,
        refused: None,
        reason,
        operation,
    }
}

/// The uuid that the kernel is asked by: a device that is taken over has none before its uuid is set.
fn addressed_by(change: &Change<'_>, operation: &Operation) -> Option<Uuid> {
    let before = change.found.is_some_and(|found| found.taken_over)
        && matches!(
            operation,
            Operation::Reload(_) | Operation::Message(_) | Operation::Clear | Operation::Resume { .. }
        );
    (!before).then(|| change.mapping.uuid.clone())
}

fn create(change: &Change<'_>, cause: Cause) -> Step {
    let operation = Operation::Create(Create { table: change.rows.clone(), access: change.mapping.access() });
    let provisional = change.rows.iter().any(|row| row.provisional);
    let consequence = provisional.then_some(Consequence::LengthAfterLoad);
    let step = step(change, Class::Create, Reason { consequence, ..cause.into() }, operation);
    Step { name: change.mapping.name.clone(), number: None, ..step }
}

fn take_over(change: &Change<'_>, steps: &mut Vec<Step>) {
    if change.found.is_some_and(|found| found.taken_over) {
        steps.push(step(change, Class::Settle, Cause::NoUuid.into(), Operation::SetUuid));
    }
}

fn rename(change: &Change<'_>, device: &DeviceState, steps: &mut Vec<Step>) {
    if device.info.name != change.mapping.name {
        let operation = Operation::Rename { to: change.mapping.name.clone() };
        steps.push(step(change, Class::Settle, Cause::OtherName.into(), operation));
    }
}

fn reload(change: &Change<'_>, device: &DeviceState, observed: &Observed) -> Step {
    let (diff, class, cause) = match &change.standing {
        Standing::Differs(diff) => {
            let class = if diff.disturbs() { Class::Remap } else { Class::Reload };
            (Arc::clone(diff), class, Cause::Differs(Arc::clone(diff)))
        }
        _ => (Arc::default(), Class::Create, Cause::NoTable),
    };
    let reload = Reload {
        table: change.rows.clone(),
        access: change.mapping.access(),
        old: LiveTable::of(device),
        diff,
        suspend: change.mapping.suspend,
        suspended: device.info.suspended,
        users: users(device, observed),
    };
    step(change, class, cause.into(), Operation::Reload(Arc::new(reload)))
}

/// Clears the inactive slot, and lets I/O through: what is left to do when the tables are equal.
fn settle(change: &Change<'_>, device: &DeviceState, steps: &mut Vec<Step>) {
    let info = &device.info;
    if info.suspended && change.mapping.state != State::Suspended {
        let operation = Operation::Resume { clear: info.inactive_table };
        steps.push(step(change, Class::Settle, repair::suspended(info), operation));
    } else if info.inactive_table {
        steps.push(step(change, Class::Settle, Cause::InactiveTable.into(), Operation::Clear));
    }
}

/// Calls off a removal that waits for the last close; the map wants the device to stay.
fn cancel_removal(change: &Change<'_>) -> Step {
    let message = Message { sector: 0, text: CANCEL_REMOVAL.to_string(), prepares: None };
    step(change, Class::Settle, Cause::RemovalPending.into(), Operation::Message(message))
}

fn suspend(change: &Change<'_>, observed: &Observed) -> Step {
    let anew = matches!(change.standing, Standing::Missing | Standing::Replaced(_));
    let users = change.device().filter(|_| !anew).map(|device| Box::new(users(device, observed)));
    let operation = Operation::Suspend { how: change.mapping.suspend, users: users.unwrap_or_default() };
    let step = step(change, Class::Settle, Cause::SuspendWanted.into(), operation);
    if anew { Step { name: change.mapping.name.clone(), number: None, ..step } } else { step }
}

fn push_messages(change: &Change<'_>, steps: &mut Vec<Step>) {
    for row in &*change.rows {
        for text in &row.messages {
            let message = Message { sector: row.start, text: text.clone(), prepares: None };
            let mut step = step(change, Class::Create, Cause::AfterLoad.into(), Operation::Message(message));
            if matches!(change.standing, Standing::Replaced(_)) {
                // It is sent after the device was made.
                step.name = change.mapping.name.clone();
                step.number = None;
            }
            steps.push(step);
        }
    }
}

fn remove(change: &Change<'_>, observed: &Observed, cause: Cause) -> Option<Step> {
    let found = change.found?;
    removal(found.seen, Some(change.mapping.key.clone()), observed, cause)
}

/// A device that no mapping declares is left alone, but not as a crash leaves it: suspended, with a table in its
/// inactive slot, or without any.
fn set_right(seen: &Seen, changes: &Changes<'_>, observed: &Observed) -> Option<Step> {
    let unfinished = || repair::remove(seen, observed).filter(|_| is_free(seen, observed));
    let step = repair::serve(seen).or_else(unfinished)?;
    let reason = Reason { orphan: true, ..step.reason };
    Some(Step { mapping: leftover_key(seen, changes), reason, ..step })
}

/// Whether nothing keeps a device but tables in inactive slots: those go.
fn is_free(seen: &Seen, observed: &Observed) -> bool {
    let number = seen.listed.number;
    let staged =
        observed.devices.iter().filter(|other| diff::lower_devices(&other.waiting).contains(&number));
    let left: HashSet<DevNum> = staged.map(|other| other.listed.number).collect();
    let open_count = seen.mapped.as_ref().map_or(0, |mapped| mapped.info.open_count);
    InUse::of(number, open_count, &left, observed).describe().is_empty()
}

fn remove_leftover(seen: &Seen, changes: &Changes<'_>, observed: &Observed) -> Option<Step> {
    removal(seen, leftover_key(seen, changes), observed, Cause::Pruned)
}

fn leftover_key(seen: &Seen, changes: &Changes<'_>) -> Option<Key> {
    let key = seen.listed.uuid.as_ref().and_then(Uuid::parts).map(|(_, key)| key);
    // A mapping that writes its uuid itself may have the key that this one's uuid tells of.
    key.filter(|key| changes.get(key).is_none())
}

fn removal(seen: &Seen, mapping: Option<Key>, observed: &Observed, cause: Cause) -> Option<Step> {
    let device = seen.mapped.as_ref()?;
    let consequence = changes::leaves(device).then_some(Consequence::RemovedOnClose);
    Some(Step {
        mapping,
        name: seen.listed.name.clone(),
        uuid: seen.listed.uuid.clone(),
        number: Some(seen.listed.number),
        class: Class::Remove,
        refused: None,
        reason: Reason { consequence, ..cause.into() },
        operation: Operation::Remove(Box::new(Removal {
            old: LiveTable::of(device),
            users: users(device, observed),
        })),
    })
}

fn users(device: &DeviceState, observed: &Observed) -> InUse {
    InUse::of(device.info.number, device.info.open_count, &HashSet::new(), observed)
}

/// Names that a step wants and a device has that no step moves out of the way.
fn taken_names(
    changes: &Changes<'_>,
    observed: &Observed,
    steps: &[Step],
    actions: &Actions,
) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    if observed.devices.is_empty() || !actions.any(&[Action::Create, Action::Rename]) {
        return conflicts;
    }
    let freeing = |step: &&Step| matches!(step.operation, Operation::Rename { .. } | Operation::Remove(_));
    let freed: HashSet<DevNum> = steps.iter().filter(freeing).filter_map(|step| step.number).collect();
    for step in steps {
        let Some(name) = step.takes_name() else { continue };
        if let Some(by) = observed.by_name(name)
            && Some(by.listed.number) != step.number
            && !freed.contains(&by.listed.number)
            && let Some(change) = step.mapping.as_ref().and_then(|key| changes.get(key))
        {
            let declared = changes.key_of(by.listed.number, observed);
            conflicts.push(matching::taken(change.mapping, name, by, declared, &changes.map.owner));
        }
    }
    conflicts
}
