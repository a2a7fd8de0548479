//! Gives each step its risk class, and refuses the steps that may not be carried out.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::action::{Action, ActionSet};
use super::change::Change;
use super::changes::Changes;
use super::leaving;
use super::position::StepId;
use super::reason::{Cause, Consequence, Stake};
use super::refusal::Refusal;
use super::staying::Staying;
use super::step::{Operation, Step};
use super::usage::InUse;
use crate::config::Map;
use crate::health::{self, DeviceHealth};
use crate::identity::{DevNum, Key, Name};
use crate::observed::{Head, Observed};
use crate::policy::Class;
use crate::stack::IndexVec;
use crate::table::{ReadTable, Row};
use crate::targets::{After, Found, Leaving, Metadata, signature};

/// Completes the risk classes of steps that were [weighed](weigh) and have their final order, and refuses the steps that
/// may not be carried out. `actions` holds the actions that occur, but for renames.
pub(crate) fn judge(
    steps: &mut IndexVec<StepId, Step>,
    actions: ActionSet,
    changes: &Changes<'_>,
    observed: &Observed,
    allow: &BTreeSet<Class>,
) {
    let removes = actions.contains(Action::Remove);
    let released = if removes { released_before(steps.iter(), observed) } else { Released::new() };
    if removes {
        weigh_removals(steps, observed);
    }
    for step in &mut *steps {
        let change = step.mapping.as_ref().filter(|_| changes.index.guarded).and_then(|key| changes.get(key));
        let replaced = change.is_some_and(Change::is_replaced);
        if replaced && matches!(step.operation, Operation::Create(_) | Operation::Remove(_)) {
            step.class = step.class.max(Class::Remap);
        }
        let protected = change.is_some_and(|change| change.mapping.protect);
        step.refused = if protected && disturbs(step, change) {
            Some(Refusal::Protected)
        } else if let Some(held) = held(step, &released, observed) {
            Some(held)
        } else if !step.class.allowed_unasked() && !allow.contains(&step.class) {
            Some(Refusal::Policy(step.class))
        } else {
            None
        };
    }
}

/// Raises the risk class of a step where its tables put more at stake than its action does.
pub(crate) fn weigh(step: &mut Step, map: &Map, observed: &Observed) {
    if let Some(stake) = stake(step, map, observed).filter(|stake| stake.class() > step.class) {
        step.class = stake.class();
        step.reason.stake = Some(stake);
    } else if let Some((table, _)) = step.new_table() {
        step.reason.unseen = unseen(table, map, observed);
    } else if let Some(staying) = staying(step, observed).filter(|_| step.reason.consequence.is_none()) {
        step.reason.consequence = Some(Consequence::Stays(Box::new(staying)));
    }
}

/// Returns what a removed device leaves on disk, unless another one takes its place.
fn staying(step: &Step, observed: &Observed) -> Option<Staying> {
    let Operation::Remove(removal) = &step.operation else { return None };
    if !matches!(step.reason.cause, Cause::Absent | Cause::Pruned) {
        return None;
    }
    let unfinished = Unfinished::of(step, &removal.old.rows, observed)?;
    Staying::of(&unfinished.rows, unfinished.health)
}

/// Returns the mapping that must have its device before the metadata of a table can be seen.
fn unseen(table: &[Row], map: &Map, observed: &Observed) -> Option<Key> {
    let not_yet = |metadata: Metadata<'_>| match observed.head(map, metadata.device, metadata.offset)? {
        Head::NotYet(key) => Some(key.clone()),
        Head::Bytes(_) | Head::Unreadable => None,
    };
    table.iter().flat_map(|row| row.target.metadata()).find_map(not_yet)
}

/// Refuses the removals of devices that are still in use when their turn comes.
pub(crate) fn refuse_held(steps: &mut [Step], observed: &Observed) {
    let released = released_before(steps.iter(), observed);
    for step in &mut *steps {
        step.refused = held(step, &released, observed);
    }
}

/// Whether a step does something to the device of `change` that `protect` forbids.
fn disturbs(step: &Step, change: Option<&Change>) -> bool {
    match step.operation {
        Operation::Remove(_) => true,
        Operation::Create(_) => change.is_some_and(Change::is_replaced),
        _ => step.class >= Class::Remap,
    }
}

/// Returns what the tables of a step put at stake.
fn stake(step: &Step, map: &Map, observed: &Observed) -> Option<Stake> {
    match &step.operation {
        Operation::Remove(removal) => {
            let old = &removal.old.rows;
            loss(old, &[]).or_else(|| Unfinished::of(step, old, observed)?.left(leaving::by_removal))
        }
        Operation::Reload(reload) => {
            let (old, table) = (&reload.old.rows, &reload.table);
            let first = reload.is_first_table();
            loss(old, table)
                .or_else(|| {
                    let unfinished = Unfinished::of(step, old, observed)?;
                    unfinished.left(|live, health| leaving::by_reload(live, table, health))
                })
                .or_else(|| unreadable(old, table))
                .or_else(|| overwritten(table, map, observed).filter(|_| first))
                .or_else(|| {
                    let settled = without_orders(table, old, step_health(step, observed));
                    format(&settled, old, map, observed)
                })
        }
        Operation::Create(create) => replaced(step, &create.table, observed)
            .or_else(|| overwritten(&create.table, map, observed))
            .or_else(|| format(&create.table, &ReadTable::default(), map, observed)),
        _ => None,
    }
}

/// Returns the data that would be lost with the live table. Where a row of the same type replaces an old one, this is
/// only data that its target keeps in memory alone.
fn loss(old: &ReadTable, wanted: &[Row]) -> Option<Stake> {
    let old = old.understood().ok()?;
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

/// A live table of which something may be left.
struct Unfinished<'o> {
    rows: Arc<[Row]>,
    health: Option<&'o DeviceHealth>,
    name: &'o Name,
}

impl<'o> Unfinished<'o> {
    /// Reads the table that the device of a step has; `None` where nothing can be left of it.
    fn of(step: &'o Step, old: &ReadTable, observed: &'o Observed) -> Option<Self> {
        if !health::may_leave(old) {
            return None;
        }
        let health = step_health(step, observed);
        Some(Self { rows: old.understood().ok()?, health, name: &step.name })
    }

    /// Returns what is left of it, as `judge` tells.
    fn left(&self, judge: impl Fn(&[Row], Option<&DeviceHealth>) -> Option<Leaving>) -> Option<Stake> {
        Some(Stake::Leaves { leaving: judge(&self.rows, self.health)?, name: self.name.clone() })
    }
}

/// Raises the risk class of a removal where a table of another step takes a device of which the removed one has newer
/// content.
fn weigh_removals(steps: &mut IndexVec<StepId, Step>, observed: &Observed) {
    let taken = |step: &Step| {
        let Operation::Remove(removal) = &step.operation else { return None };
        let unfinished = Unfinished::of(step, &removal.old.rows, observed)?;
        let mut tables = steps.iter().filter_map(Step::new_table);
        tables.find_map(|(table, _)| unfinished.left(|live, health| leaving::by_another(live, table, health)))
    };
    let raised: Vec<(StepId, Stake)> =
        steps.entries().filter_map(|(id, step)| Some((id, taken(step)?))).collect();
    for (id, stake) in raised {
        let step = &mut steps[id];
        if stake.class() > step.class {
            step.class = stake.class();
            step.reason.stake = Some(stake);
            // Another table takes what would have stayed.
            step.reason.consequence.take_if(|consequence| matches!(consequence, Consequence::Stays(_)));
        }
    }
}

/// Returns the content that the wanted table can't read any more.
fn unreadable(old: &ReadTable, wanted: &[Row]) -> Option<Stake> {
    if wanted.iter().all(|row| row.target.unreadable_after(None).is_none()) {
        return None;
    }
    let old = old.understood().ok()?;
    wanted.iter().find_map(|row| {
        let overlaps = |live: &&Row| live.start < row.end() && row.start < live.end();
        let mut live = old.iter().filter(overlaps).peekable();
        live.peek()?;
        live.find_map(|live| row.target.unreadable_after(Some(live.target.as_ref()))).map(Stake::Loses)
    })
}

/// Returns the content that a device has now which is created in place of another.
fn replaced(step: &Step, wanted: &[Row], observed: &Observed) -> Option<Stake> {
    let before = observed.by_uuid(step.uuid.as_ref()?)?.mapped.as_ref()?;
    let unreadable = || wanted.iter().find_map(|row| row.target.unreadable_after(None));
    if before.info.live_table { unreadable().map(Stake::Loses) } else { None }
}

/// Returns the content of a lower device that the table writes over, where its first bytes tell.
fn overwritten(table: &[Row], map: &Map, observed: &Observed) -> Option<Stake> {
    table.iter().find_map(|row| {
        let (device, offset) = row.target.overwrites()?;
        let content = signature::content(observed.head(map, device, offset)?.bytes()?)?;
        Some(Stake::Overwrites { content, device: device.clone() })
    })
}

/// Returns how the device of a step fares, where that was read.
fn step_health<'o>(step: &Step, observed: &'o Observed) -> Option<&'o DeviceHealth> {
    observed.by_number(step.number?)?.health.as_deref()
}

/// Returns a table without the orders that are due: what they write over is a part of the live target already, and out of
/// date.
fn without_orders<'t>(table: &'t [Row], old: &ReadTable, health: Option<&DeviceHealth>) -> Cow<'t, [Row]> {
    let due = |row: &Row| row.target.order_due(health?.state(row.start, row.length)?);
    if table.iter().all(|row| due(row).is_none()) {
        return table.into();
    }
    let old = old.understood().unwrap_or_default();
    let settled = |row: &Row| {
        let after = After::Same(row.target.as_ref());
        let goes_on = old.iter().any(|live| live.start == row.start && after.goes_on(live.target.as_ref()));
        let target = due(row).filter(|_| goes_on).and_then(|order| row.target.without_order(&order));
        target.map_or_else(|| row.clone(), |target| Row { target, ..row.clone() })
    };
    table.iter().map(settled).collect()
}

/// Returns the metadata that the kernel would format. The metadata is read for this, and counts as blank if it can't be
/// read.
fn format(table: &[Row], old: &ReadTable, map: &Map, observed: &Observed) -> Option<Stake> {
    if table.iter().all(|row| row.target.metadata().is_empty()) {
        return None;
    }
    let old = old.understood().unwrap_or_default();
    // Metadata that the live table uses for the same purpose exists, unless a load of that writes none.
    let in_use: HashSet<(&str, DevNum, u64)> = old
        .iter()
        .filter(|row| !row.target.leaves_blank())
        .flat_map(|row| row.target.metadata().into_iter().map(|found| (row.target.kind(), found)))
        .filter_map(|(kind, found)| Some((kind, found.device.number?, found.offset)))
        .collect();
    table.iter().find_map(|row| {
        let metadata = row.target.metadata();
        let judged = |metadata: &Metadata<'_>| judge_metadata(metadata, map, observed);
        // An array with a device that can't be read is an array all the same.
        let exists = metadata.iter().any(|one| one.is_copy && judged(one) == Judged::Right);
        metadata.iter().find_map(|one| {
            let number = one.device.number;
            if number.is_some_and(|number| in_use.contains(&(row.target.kind(), number, one.offset))) {
                return None;
            }
            match judged(one) {
                Judged::Unreadable if one.is_copy && exists => None,
                Judged::Blank | Judged::Unreadable => Some(Stake::Formats(one.otherwise)),
                Judged::Right | Judged::NotYet => None,
            }
        })
    })
}

/// What is where metadata should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judged {
    /// The metadata, or something that the kernel does not format.
    Right,
    /// Nothing, so that the kernel formats it.
    Blank,
    /// Nothing can be read.
    Unreadable,
    /// It can be read only once a mapping below has its device, and is judged then.
    NotYet,
}

fn judge_metadata(metadata: &Metadata<'_>, map: &Map, observed: &Observed) -> Judged {
    let bytes = match observed.head(map, metadata.device, metadata.offset) {
        Some(Head::Bytes(bytes)) => bytes,
        Some(Head::NotYet(_)) => return Judged::NotYet,
        Some(Head::Unreadable) | None => return Judged::Unreadable,
    };
    match (metadata.look)(bytes) {
        Found::Blank => Judged::Blank,
        Found::Right | Found::Other | Found::Fatal => Judged::Right,
    }
}

/// For each device that is removed, the devices that used it and have released it by then.
type Released = HashMap<DevNum, HashSet<DevNum>>;

fn released_before<'s>(steps: impl Iterator<Item = &'s Step> + Clone, observed: &Observed) -> Released {
    let removed = |step: &Step| step.number.filter(|_| matches!(step.operation, Operation::Remove(_)));
    let mut ahead: HashSet<DevNum> = steps.clone().filter_map(removed).collect();
    let mut released = Released::new();
    if ahead.is_empty() {
        return released;
    }
    for step in steps {
        let Some(upper) = step.number else { continue };
        if removed(step).is_some() {
            ahead.remove(&upper);
        }
        for lower in step.released_devices(observed).into_iter().filter(|lower| ahead.contains(lower)) {
            released.entry(lower).or_default().insert(upper);
        }
    }
    released
}

/// Returns a refusal if the step removes a device that is still in use when its turn comes.
fn held(step: &Step, released: &Released, observed: &Observed) -> Option<Refusal> {
    let Operation::Remove(removal) = &step.operation else { return None };
    let (number, none) = (step.number?, HashSet::new());
    let gone = released.get(&number).unwrap_or(&none);
    let rest = InUse::of(number, removal.users.open_count, gone, observed);
    (rest != InUse::default()).then(|| Refusal::InUse(Box::new(rest)))
}
