//! Compares each mapping with its device in the kernel, in one word and a sentence, and tells how the device fares.

mod remark;

use std::collections::{BTreeMap, BTreeSet, HashMap, hash_map};

pub use remark::Remark;

use serde::Serialize;

use crate::config::{Map, State};
use crate::health::{self, Fares};
use crate::identity::{DevNum, Key, Name, Uuid};
use crate::kernel::{DeviceState, KernelError, ReadKernel, Unseen};
use crate::observed::{Observed, Seen};
use crate::plan::{self, ChangeId, Changes, Drift, Obstacle};

/// One word for a mapping or a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    /// As the map declares.
    InSync,
    /// Serving I/O. Without a map there is nothing to compare with.
    Up,
    /// Different from the map.
    Drifted,
    /// The device does not exist.
    Missing,
    /// Suspended, though the map does not declare it suspended.
    Suspended,
    /// Removed as soon as its last user closes it.
    Pending,
    /// Owned, and no mapping declares it.
    Leftover,
    /// The name belongs to a foreign device.
    Foreign,
    /// The device or its table can't be judged.
    Unknown,
}

impl Word {
    /// Returns the word that is shown for the state.
    pub fn name(self) -> &'static str {
        match self {
            Self::InSync => "in sync",
            Self::Up => "up",
            Self::Drifted => "drifted",
            Self::Missing => "missing",
            Self::Suspended => "suspended",
            Self::Pending => "pending",
            Self::Leftover => "leftover",
            Self::Foreign => "foreign",
            Self::Unknown => "unknown",
        }
    }
}

impl Serialize for Word {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The status of one mapping or one owned device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The key of the mapping; `None` for a device whose uuid does not hold a key.
    pub mapping: Option<Key>,
    /// The name of the device.
    pub name: Name,
    /// The number of the device, when it exists.
    pub number: Option<DevNum>,
    /// The state in one word.
    #[serde(rename = "status")]
    pub word: Word,
    /// The differences and remarks, in a sentence.
    #[serde(rename = "says")]
    pub remarks: Vec<Remark>,
    /// How the device fares.
    #[serde(flatten)]
    pub fares: Fares,
}

impl Entry {
    /// Whether it is as it should be, or nothing tells that it is not.
    pub fn is_settled(&self) -> bool {
        matches!(self.word, Word::InSync | Word::Up)
    }
}

/// Compares a map with the devices of a kernel, and tells how they fare.
pub fn of_map(kernel: &dyn ReadKernel, map: &Map) -> Result<Vec<Entry>, KernelError> {
    let (mut entries, observed) = compared(kernel, map)?;
    add_health(kernel, &observed, &mut entries)?;
    Ok(entries)
}

/// Compares a map with the devices of a kernel. How they fare is not read: for those who read it of every device.
pub(crate) fn without_health(kernel: &dyn ReadKernel, map: &Map) -> Result<Vec<Entry>, KernelError> {
    compared(kernel, map).map(|(entries, _)| entries)
}

fn compared(kernel: &dyn ReadKernel, map: &Map) -> Result<(Vec<Entry>, Observed), KernelError> {
    let observed = Observed::read(kernel, map)?;
    let changes = plan::compare(map, &observed);
    observed.read_circles(kernel, changes.touched())?;
    let told = plan::told_conflicts(&changes, &observed);
    let mut conflicts: BTreeMap<&Key, Vec<Remark>> = BTreeMap::new();
    for conflict in &told {
        let remark = Remark::Conflict(conflict.reason.clone());
        conflicts.entry(&conflict.mapping).or_default().push(remark);
    }
    let mut entries: Vec<Entry> = changes
        .all
        .entries()
        .filter(|(_, change)| change.drift != Drift::AbsentOk)
        .map(|(place, change)| of_change(place, conflicts.get(&change.mapping.key), &changes, &observed))
        .collect();
    entries.extend(changes.orphans.iter().map(|seen| {
        Entry {
            mapping: seen.listed.uuid.as_ref().and_then(Uuid::parts).map(|(_, key)| key),
            name: seen.listed.name.clone(),
            number: Some(seen.listed.number),
            word: if is_leaving(seen.mapped.as_ref()) { Word::Pending } else { Word::Leftover },
            remarks: leaving(seen.mapped.as_ref())
                .into_iter()
                .chain([Remark::Orphan])
                .chain(left_behind(seen))
                .collect(),
            fares: Fares::default(),
        }
    }));
    entries.sort_by(|one, two| one.name.cmp(&two.name));
    Ok((entries, observed))
}

/// Adds to each entry how its device fares. No call for a device whose targets have no state.
fn add_health(
    kernel: &dyn ReadKernel,
    observed: &Observed,
    entries: &mut [Entry],
) -> Result<(), KernelError> {
    let seen = |entry: &Entry| observed.by_number(entry.number?)?.mapped.as_ref();
    let mut fares = health::fares_of(kernel, entries.iter().filter_map(seen))?;
    for entry in entries {
        entry.fares = entry.number.and_then(|number| fares.remove(&number)).unwrap_or_default();
    }
    Ok(())
}

/// Describes what a crash may have left of a device.
fn left_behind(seen: &Seen) -> Vec<Remark> {
    let Some(info) = seen.mapped.as_ref().map(|mapped| &mapped.info) else { return Vec::new() };
    let states = [
        (info.suspended, Remark::Suspended),
        (info.inactive_table, Remark::InactiveTable),
        (!info.live_table, Remark::NoTable),
    ];
    states.into_iter().filter(|(is, _)| *is).map(|(_, remark)| remark).collect()
}

/// Returns the status of every device of any dmctl owner, without a map: only what the kernel alone shows.
/// What could not be seen is returned beside them: a lower device that is gone would show in none of the states then.
pub fn of_owned(kernel: &dyn ReadKernel) -> Result<(Vec<Entry>, BTreeSet<Unseen>), KernelError> {
    let owned = Uuid::is_prefixed;
    let observed = Observed::read_devices(kernel, |listed| listed.uuid.as_ref().is_some_and(owned))?;
    observed.read_circles(kernel, observed.read_numbers())?;
    let in_circle = |seen: &Seen| observed.circle(seen.listed.number).cloned().map(Remark::InCircle);
    let mut blocks: HashMap<DevNum, bool> = HashMap::new();
    let mut unseen = BTreeSet::new();
    for number in observed.devices.iter().flat_map(lower_devices).copied() {
        if let hash_map::Entry::Vacant(unknown) = blocks.entry(number) {
            match kernel.block_device(number) {
                Ok(block) => drop(unknown.insert(block.is_some())),
                Err(error) => drop(unseen.insert(Unseen::of(error)?)),
            }
        }
    }
    let missing_below = |seen: &Seen| {
        let gone = lower_devices(seen).iter().filter(|number| blocks.get(*number) == Some(&false));
        gone.copied().map(Remark::LowerGone).collect::<Vec<_>>()
    };
    let entries = observed.devices.iter().filter_map(|seen| {
        let info = &seen.mapped.as_ref()?.info;
        let remarks: Vec<Remark> = leaving(seen.mapped.as_ref())
            .into_iter()
            .chain(left_behind(seen))
            .chain(in_circle(seen))
            .chain(missing_below(seen))
            .collect();
        let word = match (info.suspended, remarks.is_empty()) {
            (true, _) => Word::Suspended,
            (false, _) if info.deferred_remove => Word::Pending,
            (false, true) => Word::Up,
            (false, false) => Word::Drifted,
        };
        Some(Entry {
            mapping: seen.listed.uuid.as_ref().and_then(Uuid::parts).map(|(_, key)| key),
            name: seen.listed.name.clone(),
            number: Some(seen.listed.number),
            word,
            remarks,
            fares: Fares::default(),
        })
    });
    let mut entries: Vec<Entry> = entries.collect();
    add_health(kernel, &observed, &mut entries)?;
    Ok((entries, unseen))
}

/// Lists the lower devices of the live table of a device.
fn lower_devices(seen: &Seen) -> &[DevNum] {
    seen.mapped.as_ref().map(|mapped| mapped.table.lower_devices()).unwrap_or_default()
}

fn is_leaving(device: Option<&DeviceState>) -> bool {
    device.is_some_and(|device| device.info.deferred_remove)
}

/// Words the remark on a device that was removed while it was open.
fn leaving(device: Option<&DeviceState>) -> Option<Remark> {
    is_leaving(device).then_some(Remark::RemovalPending)
}

fn of_change(
    place: ChangeId,
    conflicts: Option<&Vec<Remark>>,
    changes: &Changes<'_>,
    observed: &Observed,
) -> Entry {
    let change = &changes.all[place];
    let mut remarks = Vec::new();
    let mut word = match &change.drift {
        Drift::AbsentOk | Drift::InSync => Word::InSync,
        Drift::RemovalPending => Word::Pending,
        Drift::Missing => Word::Missing,
        Drift::Extra => {
            remarks.push(Remark::AbsentWanted);
            Word::Drifted
        }
        Drift::NoTable => {
            remarks.push(Remark::NoTable);
            Word::Drifted
        }
        Drift::Differs(diff) | Drift::Replaced(diff) => {
            remarks.extend(diff.differences.iter().cloned().map(Remark::Differs));
            Word::Drifted
        }
        Drift::Unknown(why) => {
            remarks.push(Remark::Unknown(why.clone()));
            Word::Unknown
        }
        Drift::Blocked => Word::Drifted,
    };
    remarks.extend(conflicts.into_iter().flatten().cloned());
    let is_told = |remark: &Remark| matches!(remark, Remark::Conflict(Obstacle::InCircle(_)));
    let circle = change.number().and_then(|number| observed.circle(number));
    remarks.extend(circle.filter(|_| !remarks.iter().any(is_told)).cloned().map(Remark::InCircle));
    if let Some(device) = change.device() {
        if device.info.name != change.mapping.name {
            let (is, wanted) = (device.info.name.clone(), change.mapping.name.clone());
            remarks.push(Remark::OtherName { is, wanted });
        }
        if change.found.is_some_and(|found| found.taken_over) {
            remarks.push(Remark::NoUuid);
        }
        let suspended = device.info.suspended && change.mapping.state != State::Suspended;
        if change.mapping.state == State::Suspended && !device.info.suspended {
            remarks.push(Remark::SuspendWanted);
        }
        if device.info.inactive_table {
            remarks.push(Remark::InactiveTable);
        }
        if suspended {
            remarks.push(Remark::Suspended);
        }
        remarks.extend(leaving(Some(device)));
        if word == Word::InSync && !remarks.is_empty() {
            word = match (suspended, device.info.deferred_remove) {
                (true, _) => Word::Suspended,
                (false, true) => Word::Pending,
                (false, false) => Word::Drifted,
            };
        }
        // A plan can't change it, so it is not drift.
        remarks.extend(changes.ignored_at(place).iter().cloned().map(Remark::Ignored));
        remarks.extend(changes.warnings_at(place).map(Remark::Warning));
    } else if word == Word::Missing
        && let Some(other) = observed.by_name(&change.mapping.name)
        && changes.key_of(other.listed.number, observed).is_none()
    {
        remarks.push(Remark::NameTaken(other.listed.number));
        word = Word::Foreign;
    }
    Entry {
        mapping: Some(change.mapping.key.clone()),
        name: change.mapping.name.clone(),
        number: change.number(),
        word,
        remarks,
        fares: Fares::default(),
    }
}
