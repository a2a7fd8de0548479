//! What must happen, in no order yet: one device at a time.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use super::actions::Actions;
use super::changes::{self, Change, Changes, Standing};
use super::own::Own;
use super::{Action, CANCEL_REMOVAL, Conflict, Detail, InUse, Step};
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
            actions.push(step.action);
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
        Standing::Unwanted => steps.extend(remove(change, observed, "the map says it should be absent")),
        Standing::Missing => {
            prepare(steps);
            make(change, "it does not exist", observed, steps);
        }
        Standing::Replaced(diff) => {
            steps.extend(remove(change, observed, &format!("made anew: {}", diff.says.join("; "))));
            prepare(steps);
            make(change, "made anew", observed, steps);
        }
        Standing::Same | Standing::Unfinished | Standing::Differs(_) => {
            let Some(device) = change.device() else { return };
            stay(change, device, observed, prepare, steps);
        }
    }
}

/// A device that is made.
fn make(change: &Change<'_>, reason: &'static str, observed: &Observed, steps: &mut Vec<Step>) {
    steps.push(create(change, reason));
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
            let reason = "the table in its inactive slot may hold a device that is made anew";
            steps.push(step(change, Action::Clear, Class::Settle, reason, Detail::Clear));
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

/// The part of a step that is the same for all of them.
fn step(
    change: &Change<'_>,
    action: Action,
    class: Class,
    reason: impl Into<Cow<'static, str>>,
    detail: Detail,
) -> Step {
    Step {
        action,
        mapping: Some(change.mapping.key.clone()),
        name: change
            .found
            .map_or_else(|| change.mapping.name.clone(), |found| found.seen.listed.name.clone()),
        uuid: addressed_by(change, action),
        number: change.number(),
        class,
        refused: None,
        reason: reason.into(),
        detail,
    }
}

/// The uuid that the kernel is asked by: a device that is taken over has none before its uuid is set.
fn addressed_by(change: &Change<'_>, action: Action) -> Option<Uuid> {
    let before = change.found.is_some_and(|found| found.taken_over)
        && matches!(action, Action::Reload | Action::Message | Action::Clear | Action::Resume);
    (!before).then(|| change.mapping.uuid.clone())
}

fn create(change: &Change<'_>, reason: &'static str) -> Step {
    let detail = Detail::Create { table: change.rows.clone(), readonly: change.mapping.readonly };
    let provisional = change.rows.iter().any(|row| row.provisional);
    let after_load = || Cow::Owned(format!("{reason}; its length is known after a first load"));
    let reason = if provisional { after_load() } else { reason.into() };
    let mut step = step(change, Action::Create, Class::Create, reason, detail);
    step.name = change.mapping.name.clone();
    step.number = None;
    step
}

fn take_over(change: &Change<'_>, steps: &mut Vec<Step>) {
    if change.found.is_some_and(|found| found.taken_over) {
        let reason = "it has no uuid, and the map takes it over";
        steps.push(step(change, Action::SetUuid, Class::Settle, reason, Detail::SetUuid));
    }
}

fn rename(change: &Change<'_>, device: &DeviceState, steps: &mut Vec<Step>) {
    if device.info.name != change.mapping.name {
        let detail = Detail::Rename { to: change.mapping.name.clone() };
        let reason = "the mapping has another name now";
        steps.push(step(change, Action::Rename, Class::Settle, reason, detail));
    }
}

fn reload(change: &Change<'_>, device: &DeviceState, observed: &Observed) -> Step {
    let (diff, class, reason) = match &change.standing {
        Standing::Differs(diff) => {
            let class = if diff.disturbs() { Class::Remap } else { Class::Reload };
            (diff.clone(), class, diff.says.join("; "))
        }
        _ => (
            Arc::default(),
            Class::Create,
            "it has no table: whoever made it did not get to the end".to_string(),
        ),
    };
    let detail = Detail::Reload {
        table: change.rows.clone(),
        readonly: change.mapping.readonly,
        old: device.table.clone(),
        old_readonly: device.info.read_only,
        diff,
        suspend: change.mapping.suspend,
        suspended: device.info.suspended,
        users: Box::new(users(device, observed)),
    };
    step(change, Action::Reload, class, reason, detail)
}

/// What is left when the tables are equal: the inactive slot, and I/O that is held back.
fn settle(change: &Change<'_>, device: &DeviceState, steps: &mut Vec<Step>) {
    let info = &device.info;
    if info.suspended && change.mapping.state != State::Suspended {
        let detail = Detail::Resume { clear: info.inactive_table };
        steps.push(step(change, Action::Resume, Class::Settle, suspended(info), detail));
    } else if info.inactive_table {
        steps.push(step(change, Action::Clear, Class::Settle, LEFT_INACTIVE, Detail::Clear));
    }
}

/// Why an inactive slot is emptied.
pub const LEFT_INACTIVE: &str = "a table was left in its inactive slot";

/// Why a device is resumed.
pub fn suspended(info: &Info) -> Cow<'static, str> {
    let waits = "it is suspended, and I/O to it waits";
    let clears = || Cow::Owned(format!("{waits}; {LEFT_INACTIVE}, and is cleared"));
    if info.inactive_table { clears() } else { waits.into() }
}

/// Somebody asked for its removal while it was open; the map wants it to stay.
fn cancel_removal(change: &Change<'_>) -> Step {
    let detail = Detail::Message { sector: 0, text: CANCEL_REMOVAL.to_string(), prepares: None };
    step(change, Action::Message, Class::Settle, "it would go away as soon as it is closed", detail)
}

fn suspend(change: &Change<'_>, observed: &Observed) -> Step {
    let anew = matches!(change.standing, Standing::Missing | Standing::Replaced(_));
    let users = change.device().filter(|_| !anew).map(|device| Box::new(users(device, observed)));
    let detail = Detail::Suspend { how: change.mapping.suspend, users: users.unwrap_or_default() };
    let reason = "the map says it should be suspended";
    let mut step = step(change, Action::Suspend, Class::Settle, reason, detail);
    if anew {
        step.name = change.mapping.name.clone();
        step.number = None;
    }
    step
}

fn push_messages(change: &Change<'_>, steps: &mut Vec<Step>) {
    for row in &*change.rows {
        for text in &row.messages {
            let detail = Detail::Message { sector: row.start, text: text.clone(), prepares: None };
            let mut message =
                step(change, Action::Message, Class::Create, "sent after each load of its table", detail);
            if matches!(change.standing, Standing::Replaced(_)) {
                // It is spoken to after it was made.
                message.name = change.mapping.name.clone();
                message.number = None;
            }
            steps.push(message);
        }
    }
}

fn remove(change: &Change<'_>, observed: &Observed, reason: &str) -> Option<Step> {
    let found = change.found?;
    removal(found.seen, Some(change.mapping.key.clone()), observed, reason)
}

/// A device that no mapping declares is left alone, but not as a crash leaves it: suspended, with a table in its
/// inactive slot, or without any.
fn set_right(seen: &Seen, changes: &Changes<'_>, observed: &Observed) -> Option<Step> {
    let unfinished = || repair::remove(seen, observed).filter(|_| is_free(seen, observed));
    let step = repair::serve(seen).or_else(unfinished)?;
    let reason = format!("no mapping declares it; {}", step.reason);
    Some(Step { mapping: leftover_key(seen, changes), reason: reason.into(), ..step })
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
    removal(seen, leftover_key(seen, changes), observed, "no mapping declares it any more")
}

fn leftover_key(seen: &Seen, changes: &Changes<'_>) -> Option<Key> {
    let key = seen.listed.uuid.as_ref().and_then(Uuid::parts).map(|(_, key)| key);
    // A mapping that writes its uuid itself may have the key that this one's uuid tells of.
    key.filter(|key| changes.get(key).is_none())
}

fn removal(seen: &Seen, mapping: Option<Key>, observed: &Observed, reason: &str) -> Option<Step> {
    let device = seen.mapped.as_ref()?;
    let waits = if changes::leaves(device) { "; it goes away as soon as it is closed" } else { "" };
    Some(Step {
        action: Action::Remove,
        mapping,
        name: seen.listed.name.clone(),
        uuid: seen.listed.uuid.clone(),
        number: Some(seen.listed.number),
        class: Class::Remove,
        refused: None,
        reason: format!("{reason}{waits}").into(),
        detail: Detail::Remove {
            old: device.table.clone(),
            old_readonly: device.info.read_only,
            users: Box::new(users(device, observed)),
        },
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
    let freeing = |step: &&Step| matches!(step.action, Action::Rename | Action::Remove);
    let freed: HashSet<DevNum> = steps.iter().filter(freeing).filter_map(|step| step.number).collect();
    for step in steps {
        let name = match (&step.detail, step.action) {
            (Detail::Rename { to }, _) => to,
            (_, Action::Create) => &step.name,
            _ => continue,
        };
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
