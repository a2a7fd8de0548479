//! Creates the steps, one device at a time, not sorted yet.

use std::collections::HashSet;
use std::sync::Arc;

use super::action::{Action, ActionSet};
use super::change::{self, Change, Drift};
use super::changes::Changes;
use super::conflict::Conflict;
use super::copied_below::{self, Passing};
use super::position::{ChangeId, UnsortedId};
use super::reason::{Cause, Consequence, Reason};
use super::step::{CANCEL_REMOVAL, Create, LiveTable, Message, Operation, Reload, Remove, Step};
use super::step_ranges::StepRanges;
use super::usage::InUse;
use super::{Held, block_size, origins, outside, preparation, repair, risk};
use crate::config::State;
use crate::diff::{Difference, TableDiff};
use crate::identity::{DevNum, Key, Uuid};
use crate::kernel::DeviceState;
use crate::observed::{Observed, Seen};
use crate::policy::Class;
use crate::stack::{IndexVec, Position as _};
use crate::table::Row;
use crate::targets::MessageText;

/// Steps that are not sorted yet. Those of a mapping are together.
pub(crate) struct Unsorted {
    pub steps: IndexVec<UnsortedId, Step>,
    /// The action of each step. It is asked often, and a look at a step itself costs more: there are many, and each is
    /// large.
    pub step_actions: IndexVec<UnsortedId, Action>,
    /// The actions that occur.
    pub actions: ActionSet,
    /// Whether the steps are in the order of their names, as those of a map mostly are.
    pub are_by_name: bool,
    /// The steps of each mapping.
    pub ranges: StepRanges,
    /// The devices that are suspended before a layer below them is made live.
    pub passing: Vec<Passing>,
}

/// Creates the steps of all mappings and orphans. Also returns the conflicts that only the steps show.
pub(crate) fn of(changes: &Changes<'_>, observed: &Observed) -> (Unsorted, Vec<Conflict>) {
    let busy = &changes.index.busy;
    let mut steps = Vec::with_capacity(busy.len());
    let mut ranges = StepRanges::with_capacity(changes.all.len());
    let mut step_actions = IndexVec::with_capacity(busy.len());
    let (mut actions, mut are_by_name) = (ActionSet::default(), true);
    // Looks at new steps at once, while they are in the cache of the processor.
    let mut weigh = |steps: &mut [Step], first: usize| {
        for step in &mut steps[first..] {
            risk::weigh(step, changes.map, observed);
            actions.insert(step.action());
            step_actions.push(step.action());
        }
        are_by_name &= steps[first.saturating_sub(1)..].is_sorted_by(|one, two| one.name <= two.name);
    };
    let volumes = preparation::volumes(changes);
    let passing = copied_below::find(changes, observed);
    for id in busy {
        let first = steps.len();
        ranges.begin(*id, UnsortedId::new(first));
        let change = &changes.all[*id];
        let copied_by = copied_below::layer_below(&passing, *id, changes);
        let before = |steps: &mut Vec<Step>| {
            steps.extend(copied_by.map(|layer| suspend(change, Cause::CopiedBelow(layer.clone()), observed)));
            preparation::push(change, changes, &volumes, observed, steps);
        };
        of_mapping(change, observed, &before, &mut steps);
        if copied_by.is_some() {
            reload_suspended(&mut steps[first..]);
        }
        preparation::tell_kept(change, changes, observed, &mut steps[first..]);
        if changes.index.snapshots.binary_search(id).is_ok() {
            hold(&mut steps[first..], &origins::held(change, changes, observed));
        }
        weigh(&mut steps, first);
    }
    let first = steps.len();
    ranges.begin(ChangeId::new(changes.all.len()), UnsortedId::new(first));
    let pending = |seen: &&&Seen| seen.mapped.as_ref().is_some_and(change::is_removal_pending);
    for seen in changes.own_orphans().iter().filter(|seen| !pending(seen)) {
        if changes.map.policy.prune {
            steps.extend(remove_orphan(seen, changes, observed));
        } else {
            steps.extend(set_right(seen, changes, observed));
        }
    }
    weigh(&mut steps, first);
    let conflicts = taken_names(changes, observed, &steps, actions);
    (Unsorted { steps: steps.into(), step_actions, actions, are_by_name, ranges, passing }, conflicts)
}

/// Adds the steps of one mapping. `prepare` adds those that must come before its table is loaded.
fn of_mapping(
    change: &Change<'_>,
    observed: &Observed,
    prepare: &dyn Fn(&mut Vec<Step>),
    steps: &mut Vec<Step>,
) {
    match &change.drift {
        Drift::AbsentOk | Drift::RemovalPending | Drift::Blocked | Drift::Unknown(_) => {}
        Drift::Extra => steps.extend(remove(change, observed, Cause::Absent)),
        Drift::Missing => {
            prepare(steps);
            make(change, Cause::Missing, observed, steps);
        }
        Drift::Replaced(diff) => {
            let diff = with_growth(diff, block_size::growth(change, observed));
            steps.extend(remove(change, observed, Cause::Replaced(diff)));
            prepare(steps);
            make(change, Cause::Recreated, observed, steps);
        }
        Drift::InSync | Drift::NoTable | Drift::Differs(_) => {
            let Some(device) = change.device() else { return };
            stay(change, device, observed, prepare, steps);
        }
    }
}

/// Tells the swap of a device that an earlier step suspends it.
fn reload_suspended(steps: &mut [Step]) {
    for step in steps {
        if let Operation::Reload(reload) = &mut step.operation
            && let Some(reload) = Arc::get_mut(reload)
        {
            reload.suspended = true;
        }
    }
}

/// Lets the steps that make snapshots suspend these devices meanwhile.
fn hold(steps: &mut [Step], held: &Arc<[Held]>) {
    if held.is_empty() {
        return;
    }
    for step in steps {
        match &mut step.operation {
            Operation::Create(create) => create.held = Arc::clone(held),
            Operation::Reload(reload) => {
                if let Some(reload) = Arc::get_mut(reload) {
                    reload.held = Arc::clone(held);
                }
            }
            _ => continue,
        }
        step.reason.consequence = Some(Consequence::Suspends(Arc::clone(held)));
    }
}

/// Returns the differences of two tables, and that of the logical block sizes where they grow.
fn with_growth(diff: &Arc<TableDiff>, growth: Option<Difference>) -> Arc<TableDiff> {
    match growth {
        Some(growth) => {
            let differences = diff.differences.iter().cloned().chain([growth]).collect();
            Arc::new(TableDiff { differences, ..TableDiff::clone(diff) })
        }
        None => Arc::clone(diff),
    }
}

/// Adds the steps of a device that is created.
fn make(change: &Change<'_>, cause: Cause, observed: &Observed, steps: &mut Vec<Step>) {
    steps.push(create(change, cause));
    push_messages(change, steps);
    if change.mapping.state == State::Suspended {
        steps.push(suspend(change, Cause::SuspendWanted, observed));
    }
}

/// Adds the steps of a device that stays.
fn stay(
    change: &Change<'_>,
    device: &DeviceState,
    observed: &Observed,
    prepare: &dyn Fn(&mut Vec<Step>),
    steps: &mut Vec<Step>,
) {
    let wants_suspended = change.mapping.state == State::Suspended;
    let reloaded = change.drift != Drift::InSync;
    if device.info.deferred_remove {
        steps.push(cancel_removal(change));
    }
    if reloaded {
        if device.info.inactive_table && uses_new_device(change) {
            let cause = Cause::InactiveTableInTheWay;
            steps.push(step(change, Class::Settle, cause.into(), Operation::Clear));
        }
        prepare(steps);
        steps.push(reload(change, device, observed));
        push_messages(change, steps);
    } else {
        resume_or_clear(change, device, steps);
    }
    // A uuid can't be taken back, so it comes as late as it can; but before the name, for a device
    // that has neither the old name nor a uuid would be a stranger to the next plan.
    take_over(change, steps);
    rename(change, device, steps);
    if wants_suspended && (reloaded || !device.info.suspended) {
        steps.push(suspend(change, Cause::SuspendWanted, observed));
    }
}

/// Whether this plan creates a lower device.
fn uses_new_device(change: &Change<'_>) -> bool {
    let made = |row: &Row| row.lower_devices().iter().any(|lower| lower.device.number.is_none());
    change.rows.iter().any(made)
}

/// Creates a step for the mapping of `change` with this operation.
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

/// Returns the uuid by which the kernel is asked. An adopted device does not have one before its uuid is set.
fn addressed_by(change: &Change<'_>, operation: &Operation) -> Option<Uuid> {
    let before = change.found.is_some_and(|found| found.taken_over)
        && matches!(
            operation,
            Operation::Reload(_) | Operation::Message(_) | Operation::Clear | Operation::Resume { .. }
        );
    (!before).then(|| change.uuid().clone())
}

fn create(change: &Change<'_>, cause: Cause) -> Step {
    let operation = Operation::Create(Create {
        table: change.rows.clone(),
        access: change.mapping.access(),
        held: Arc::default(),
    });
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
    let (diff, class, cause) = match &change.drift {
        Drift::Differs(diff) => {
            let growth = block_size::growth(change, observed);
            let class = if diff.disturbs() || growth.is_some() { Class::Remap } else { Class::Reload };
            let diff = with_growth(diff, growth);
            (Arc::clone(&diff), class, Cause::Differs(diff))
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
        through: change.through.clone(),
        held: Arc::default(),
    };
    step(change, class, cause.into(), Operation::Reload(Arc::new(reload)))
}

/// Adds the steps that clear the inactive slot or resume the device, when the tables are equal.
fn resume_or_clear(change: &Change<'_>, device: &DeviceState, steps: &mut Vec<Step>) {
    let info = &device.info;
    if info.suspended && change.mapping.state != State::Suspended {
        let operation = Operation::Resume { clear: info.inactive_table };
        steps.push(step(change, Class::Settle, repair::suspended(info), operation));
    } else if info.inactive_table {
        steps.push(step(change, Class::Settle, Cause::InactiveTable.into(), Operation::Clear));
    }
}

/// Creates the step that cancels a deferred removal: the map wants the device to stay.
fn cancel_removal(change: &Change<'_>) -> Step {
    let message = Message { sector: 0, text: MessageText::plain(CANCEL_REMOVAL), prepares: None };
    step(change, Class::Settle, Cause::RemovalPending.into(), Operation::Message(message))
}

fn suspend(change: &Change<'_>, cause: Cause, observed: &Observed) -> Step {
    let anew = matches!(change.drift, Drift::Missing | Drift::Replaced(_));
    let users = change.device().filter(|_| !anew).map(|device| Box::new(users(device, observed)));
    let operation = Operation::Suspend { how: change.mapping.suspend, users: users.unwrap_or_default() };
    let step = step(change, Class::Settle, cause.into(), operation);
    if anew { Step { name: change.mapping.name.clone(), number: None, ..step } } else { step }
}

fn push_messages(change: &Change<'_>, steps: &mut Vec<Step>) {
    for row in &*change.rows {
        for text in &row.messages {
            let message = Message { sector: row.start, text: text.clone(), prepares: None };
            let mut step = step(change, Class::Create, Cause::AfterLoad.into(), Operation::Message(message));
            if let Some(form) = row.target.traits().losing_message(text.reveal()) {
                step.class = Class::Loss;
                step.reason.consequence = Some(Consequence::MessageDoes(form.does));
            }
            if matches!(change.drift, Drift::Replaced(_)) {
                // The message is sent after the device was recreated.
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

/// Creates the step that repairs an orphan as a crash leaves it: with a table in its inactive slot, or without a table. A
/// suspended one that no mapping uses is left alone: another map of the owner may want it so, and its I/O is held for a
/// reason that this map does not tell.
fn set_right(seen: &Seen, changes: &Changes<'_>, observed: &Observed) -> Option<Step> {
    if changes.stays_suspended(seen) {
        return None;
    }
    let unfinished = || repair::remove(seen, observed).filter(|_| is_free(seen, observed));
    let step = repair::serve(seen).or_else(unfinished)?;
    let reason = Reason { orphan: true, ..step.reason };
    Some(Step { mapping: orphan_key(seen, changes), reason, ..step })
}

/// Whether a device is used at most by tables in inactive slots, which are cleared.
fn is_free(seen: &Seen, observed: &Observed) -> bool {
    let number = seen.listed.number;
    let staged = observed.devices.iter().filter(|other| other.waiting.lower_devices().contains(&number));
    let left: HashSet<DevNum> = staged.map(|other| other.listed.number).collect();
    let open_count = seen.mapped.as_ref().map_or(0, |mapped| mapped.info.open_count);
    InUse::of(number, open_count, &left, observed).describe().is_empty()
}

fn remove_orphan(seen: &Seen, changes: &Changes<'_>, observed: &Observed) -> Option<Step> {
    removal(seen, orphan_key(seen, changes), observed, Cause::Pruned)
}

fn orphan_key(seen: &Seen, changes: &Changes<'_>) -> Option<Key> {
    let key = seen.listed.uuid.as_ref().and_then(Uuid::parts).map(|(_, key)| key);
    // A mapping that writes its uuid itself may have the key that this one's uuid tells of.
    key.filter(|key| changes.get(key).is_none())
}

fn removal(seen: &Seen, mapping: Option<Key>, observed: &Observed, cause: Cause) -> Option<Step> {
    let device = seen.mapped.as_ref()?;
    let consequence = change::is_removal_pending(device).then_some(Consequence::RemovedOnClose);
    Some(Step {
        mapping,
        name: seen.listed.name.clone(),
        uuid: seen.listed.uuid.clone(),
        number: Some(seen.listed.number),
        class: Class::Remove,
        refused: None,
        reason: Reason { consequence, ..cause.into() },
        operation: Operation::Remove(Box::new(Remove {
            old: LiveTable::of(device),
            users: users(device, observed),
        })),
    })
}

fn users(device: &DeviceState, observed: &Observed) -> InUse {
    InUse::of(device.info.number, device.info.open_count, &HashSet::new(), observed)
}

/// Returns a conflict for each name that a step needs and that a device keeps.
fn taken_names(
    changes: &Changes<'_>,
    observed: &Observed,
    steps: &[Step],
    actions: ActionSet,
) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    if observed.devices.is_empty() || !(actions.contains(Action::Create) || actions.contains(Action::Rename))
    {
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
            conflicts.push(outside::taken(change.mapping, name, by, changes, observed));
        }
    }
    conflicts
}
