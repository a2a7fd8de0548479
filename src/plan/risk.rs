//! What is at stake in each step, and whether it may be carried out.

use std::collections::{BTreeSet, HashMap};

use super::changes::{Changes, Standing};
use super::{Action, Detail, InUse, Refusal, Step};
use crate::diff;
use crate::identity::DevNum;
use crate::observed::Observed;
use crate::policy::Class;
use crate::sector_map::TypedRow;
use crate::table::Target;
use crate::targets::Found;

/// Classifies the steps, in their final order, and refuses those that may not pass.
pub fn judge(steps: &mut [Step], changes: &Changes<'_>, observed: &Observed, allow: &BTreeSet<Class>) {
    let left = left_before(steps, changes, observed);
    for (index, step) in steps.iter_mut().enumerate() {
        let change = step.mapping.as_ref().and_then(|key| changes.get(key));
        let replaced = change.is_some_and(|change| matches!(change.standing, Standing::Replaced(_)));
        if replaced && matches!(step.action, Action::Create | Action::Remove) {
            step.class = step.class.max(Class::Remap);
        }
        if let Some((class, why)) = heavier(step, observed)
            && class > step.class
        {
            step.class = class;
            step.reason = format!("{}; {why}", step.reason);
        }
        let protected = change.is_some_and(|change| change.mapping.protect);
        step.refused = if protected && disturbs(step) {
            Some(Refusal::Protected)
        } else if let Some(by) = holders(step, left.get(&index), observed) {
            Some(Refusal::InUse(by))
        } else if !step.class.allowed_unasked() && !allow.contains(&step.class) {
            Some(Refusal::Policy(step.class))
        } else {
            None
        };
    }
}

/// Whether a step does what `protect` forbids.
fn disturbs(step: &Step) -> bool {
    step.action == Action::Remove || (step.class >= Class::Remap && step.action != Action::Create)
}

/// What the tables themselves say is at stake.
fn heavier(step: &Step, observed: &Observed) -> Option<(Class, String)> {
    match &step.detail {
        Detail::Remove { old, .. } => loss(old, &[]),
        Detail::Reload { old, table, .. } => loss(old, table).or_else(|| format(table, old, observed)),
        Detail::Create { table, .. } => format(table, &[], observed),
        _ => None,
    }
}

/// What would be lost with the live table, unless a row of the same type takes its place.
fn loss(old: &[Target], wanted: &[TypedRow]) -> Option<(Class, String)> {
    let old = diff::understand(old).ok()?;
    old.iter().find_map(|row| {
        let stays = wanted.iter().any(|new| new.start == row.start && new.target.kind() == row.target.kind());
        row.target.loses().filter(|_| !stays).map(|says| (Class::Loss, says.to_string()))
    })
}

/// Which metadata the kernel would write afresh: decided by looking, and what can't be read counts as blank.
fn format(table: &[TypedRow], old: &[Target], observed: &Observed) -> Option<(Class, String)> {
    let old = diff::understand(old).unwrap_or_default();
    table.iter().find_map(|row| {
        // Metadata that the live table of the same type uses is there.
        let in_use = |device: &crate::device::Device| {
            old.iter().any(|live| {
                live.target.kind() == row.target.kind()
                    && live.target.metadata().iter().any(|metadata| metadata.device == device)
            })
        };
        row.target.metadata().into_iter().filter(|metadata| !in_use(metadata.device)).find_map(|metadata| {
            let head = metadata.device.number.and_then(|number| observed.head(number, metadata.offset));
            match head.map_or(Found::Blank, metadata.look) {
                Found::Blank => Some((Class::Format, metadata.otherwise.to_string())),
                Found::Right | Found::Other => None,
            }
        })
    })
}

/// Who leaves each device before the step that removes it: everyone who is removed, or has another table by
/// then. A table that was left in an inactive slot holds its devices, too, and goes with the first step that
/// is about its device.
fn left_before(steps: &[Step], changes: &Changes<'_>, observed: &Observed) -> HashMap<usize, Vec<DevNum>> {
    let mut left: HashMap<usize, Vec<DevNum>> = HashMap::new();
    for (removal, step) in steps.iter().enumerate().filter(|(_, step)| step.action == Action::Remove) {
        let Some(number) = step.number else { continue };
        let holders = observed.users(number).map(|users| users.holders.as_slice()).unwrap_or_default();
        let leaves = |holder: &DevNum| {
            let mut own = steps[..removal].iter().filter(|step| step.number == Some(*holder));
            own.any(|step| stands_on(step, changes).is_some_and(|lowers| !lowers.contains(&number)))
        };
        left.insert(removal, holders.iter().copied().filter(leaves).collect());
    }
    left
}

/// What the device of a step stands on after it, when the step decides that.
fn stands_on(step: &Step, changes: &Changes<'_>) -> Option<BTreeSet<DevNum>> {
    let settles = matches!(step.action, Action::Reload | Action::Remove | Action::Clear | Action::Resume);
    let rows = match &step.detail {
        Detail::Remove { .. } => &[],
        Detail::Reload { table, .. } => table.as_slice(),
        _ => changes.get(step.mapping.as_ref()?)?.rows.as_slice(),
    };
    let numbers = |row: &TypedRow| {
        row.target.lowers(row.length).iter().filter_map(|lower| lower.device.number).collect::<Vec<_>>()
    };
    settles.then(|| rows.iter().flat_map(numbers).collect())
}
/// Who still holds a device when its turn to be removed comes.
fn holders(step: &Step, left: Option<&Vec<DevNum>>, observed: &Observed) -> Option<String> {
    let Detail::Remove { users, .. } = &step.detail else { return None };
    let left: BTreeSet<DevNum> = left.into_iter().flatten().copied().collect();
    let name = |number: &DevNum| observed.by_number(*number).map(|seen| seen.listed.name.to_string());
    let gone: BTreeSet<String> = left.iter().filter_map(name).collect();
    let open_count = users.open_count.saturating_sub(u32::try_from(left.len()).unwrap_or(u32::MAX));
    let rest = InUse {
        open_count,
        holders: users.holders.iter().filter(|holder| !gone.contains(*holder)).cloned().collect(),
        ..users.clone()
    };
    let says = rest.describe();
    (!says.is_empty()).then_some(says)
}
