//! Turns the devices of a kernel into mappings of a map, with notes about what a map can't express.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use thiserror::Error;

use super::Selection;
use super::devices::{Host, Unreadable, one_owner};
use super::key_files::KeyFiles;
use super::names::KeyAllocator;
use super::note::Note;
use super::rule::NotText;
use crate::config::{self, Length, Mapping, MappingRow, State};
use crate::device::Device;
use crate::device_path;
use crate::identity::{DevNum, IdentityError, Key, Name, Owner, Uuid, printable};
use crate::kernel::{DeviceState, Suspend};
use crate::observed::Seen;
use crate::plan::{Action, Obstacle, Reason};
use crate::table::RawRow;
use crate::targets::{self, Problem, Problems};

/// A device as a mapping, before it is written.
pub(crate) struct Draft {
    /// The mapping that describes the device.
    pub mapping: Mapping,
    /// The number of the device.
    pub number: DevNum,
    /// The comments about the mapping.
    pub notes: Vec<Note>,
    /// The reason why the mapping is left out, if it is.
    pub left_out: Option<LeftOut>,
}

/// Why a device is not in the map that is exported.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum LeftOut {
    /// A map can't hold its name or its uuid.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Its name or its uuid is not UTF-8, as a map is.
    #[error(transparent)]
    NotText(#[from] NotText),
    /// Its name is mangled in part; a map would rename it to this.
    #[error("its name is not mangled as libdevmapper does: it would become `{0}`")]
    Mangling(String),
    /// It has no table.
    #[error("it has no table")]
    NoTable,
    /// dmctl can't read a row.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A row breaks a rule of its target.
    #[error("its {kind} row can't be declared: {problem}")]
    Invalid {
        kind: String,
        /// The problem of a field.
        problem: Problem,
    },
    /// A map with the mapping is refused with this message of its diagnostic.
    #[error("{0}")]
    Refused(String),
    /// The plan of a map with the mapping has a conflict.
    #[error("{0}")]
    Conflict(Box<Obstacle>),
    /// A map with the mapping would change the device.
    #[error("{}: {reason}", .action.name())]
    Changed {
        /// The action of the step.
        action: Action,
        /// Why the step is needed.
        reason: Box<Reason>,
    },
}

/// The mappings of a map, before it is written.
pub(crate) struct Drafts {
    /// The owner, when all devices that have one have the same.
    pub owner: Option<Owner>,
    /// The mappings, each after its lower devices.
    pub all: Vec<Draft>,
}

/// Drafts a mapping for each device that is selected.
pub(crate) fn of(host: &Host, selection: &Selection) -> Drafts {
    let devices = host.bottom_up();
    let owner = selection.owner.clone().or_else(|| one_owner(devices.iter().copied()));
    let whose = owner.clone().unwrap_or_default();
    let keys = keys(&devices, &whose, host);
    let mut files = KeyFiles::of(&keys);
    let mut all = Vec::with_capacity(devices.len());
    for (seen, key) in devices.iter().zip(keys) {
        all.extend(draft(host, seen, key, &whose, &mut files));
    }
    Drafts { owner, all }
}

/// Returns the key of each device: the one in its uuid where `owner` has the device, else one made of its name.
fn keys(devices: &[&Seen], owner: &Owner, host: &Host) -> Vec<Key> {
    let own = |seen: &Seen| {
        let (whose, key) = seen.listed.uuid.as_ref()?.parts()?;
        (whose == *owner).then_some(key)
    };
    let mut given = KeyAllocator::default();
    for key in devices.iter().filter_map(|seen| own(seen)) {
        given.take(&key);
    }
    // A key must not lead to the uuid of a device that is not exported either.
    let free = |key: &Key| host.observed.by_uuid(&Uuid::owned(owner, key)).is_none();
    let mut key = |seen: &&Seen| own(seen).unwrap_or_else(|| given.allocate(&seen.listed.name, free));
    devices.iter().map(&mut key).collect()
}

/// Drafts the mapping of a device; `None` when it does not exist any more.
fn draft(host: &Host, seen: &Seen, key: Key, owner: &Owner, files: &mut KeyFiles) -> Option<Draft> {
    let mapped = seen.mapped.as_ref()?;
    let uuid = seen.listed.uuid.clone();
    let mut notes = Vec::new();
    let (rows, left_out) = match rows(host, mapped) {
        Ok(mut rows) => {
            notes.extend(files.hide(&key, rows.iter_mut().map(|row| row.target.as_mut())));
            notes.extend(hidden_state(&rows));
            notes.extend(carried_out(&mapped.table));
            (rows, identity_problem(seen))
        }
        Err(left_out) => (Vec::new(), Some(left_out)),
    };
    if mapped.info.suspended {
        notes.push(Note::Suspended);
    }
    if mapped.info.inactive_table {
        notes.push(Note::InactiveTable);
    }
    if uuid.is_none() {
        notes.push(Note::NoUuid);
    }
    let mapping = Mapping {
        state: if mapped.info.suspended { State::Suspended } else { State::Active },
        readonly: mapped.info.read_only,
        ..mapping(key, seen.listed.name.clone(), uuid, owner, rows)
    };
    Some(Draft { mapping, number: seen.listed.number, notes, left_out })
}

/// Makes a mapping with the default of every option. A device without a uuid is adopted.
pub(crate) fn mapping(
    key: Key,
    name: Name,
    uuid: Option<Uuid>,
    owner: &Owner,
    rows: Vec<MappingRow>,
) -> Mapping {
    Mapping {
        adopt: uuid.is_none(),
        uuid: uuid.unwrap_or_else(|| Uuid::owned(owner, &key)),
        key,
        name,
        state: State::Active,
        readonly: false,
        protect: false,
        shared: false,
        renamed_from: None,
        formerly: Box::default(),
        suspend: Suspend::default(),
        wait: Duration::ZERO,
        boot: BTreeSet::new(),
        rows: rows.into(),
        file: 0,
    }
}

/// Checks that a map can hold the name and the uuid of a device.
fn identity_problem(seen: &Seen) -> Option<LeftOut> {
    if let Some(why) = NotText::of(&seen.listed) {
        return Some(why.into());
    }
    let name = &seen.listed.name;
    let uuid = seen.listed.uuid.as_ref().and_then(|uuid| Uuid::new(&uuid.text()).err());
    match (Name::new(&name.plain()), uuid) {
        (Err(error), _) | (_, Some(error)) => Some(error.into()),
        (Ok(written), _) if written != *name => Some(LeftOut::Mangling(written.kernel().to_string())),
        _ => None,
    }
}

/// Reads the rows of a device.
fn rows(host: &Host, mapped: &DeviceState) -> Result<Vec<MappingRow>, LeftOut> {
    if !mapped.info.live_table || mapped.table.is_empty() {
        return Err(LeftOut::NoTable);
    }
    let row = |row: &RawRow| {
        let target = host.target(row)?;
        let mut problems = Problems::default();
        target.check(Some(row.length), &mut problems);
        if let Some(problem) = problems.into_vec().into_iter().next() {
            let kind = printable(&row.kind).into_owned();
            return Err(LeftOut::Invalid { kind, problem });
        }
        Ok(MappingRow {
            start: Some(row.start),
            length: Length::Sectors(row.length),
            target,
            messages: Vec::new(),
        })
    };
    mapped.table.iter().map(row).collect()
}

/// Returns a note about each order in the rows that a map does not repeat: a field that the target leaves out.
fn carried_out(table: &[RawRow]) -> Vec<Note> {
    let left_out = |row: &RawRow| -> Vec<String> {
        let Ok(live) = targets::parse(&row.kind, row.params()) else { return Vec::new() };
        let kept = live.for_export().fields();
        live.fields().into_iter().map(|(field, _)| field).filter(|field| !kept.contains_key(field)).collect()
    };
    let orders: BTreeSet<String> = table.iter().flat_map(left_out).collect();
    orders.into_iter().map(Note::CarriedOut).collect()
}

/// Returns a note about each state of the rows that the kernel does not show.
pub(crate) fn hidden_state(rows: &[MappingRow]) -> Vec<Note> {
    let states: BTreeSet<&'static str> =
        rows.iter().filter_map(|row| row.target.hazards().hidden_state).collect();
    states.into_iter().map(Note::Hidden).collect()
}

impl Drafts {
    /// Returns the mappings that are not left out.
    pub(crate) fn written(&self) -> impl Iterator<Item = &Draft> {
        self.all.iter().filter(|draft| draft.left_out.is_none())
    }

    /// Writes each lower device as a reference where it is a mapping of the map, else as its best path that `leads_to`
    /// accepts, else as its number.
    pub(crate) fn name_lower_devices(&mut self, host: &Host, leads_to: &dyn Fn(&Device) -> bool) {
        let keys: BTreeMap<DevNum, Key> =
            self.written().map(|draft| (draft.number, draft.mapping.key.clone())).collect();
        for draft in &mut self.all {
            let mut unstable = BTreeSet::new();
            for device in draft.mapping.rows.iter_mut().flat_map(|row| row.target.devices_mut()) {
                let Some(number) = device.number else { continue };
                *device = match keys.get(&number) {
                    Some(key) => Device { number: Some(number), ..Device::mapping(key.clone()) },
                    None => device_path::best(&host.paths, number)
                        .filter(|device| leads_to(device))
                        .unwrap_or_else(|| Device::numbered(number)),
                };
                if device_path::is_unstable(device) {
                    unstable.insert(device.to_string());
                }
            }
            draft.notes.retain(|note| !matches!(note, Note::Unstable(_)));
            draft.notes.extend(unstable.into_iter().map(Note::Unstable));
        }
    }

    /// Marks the mappings that share sectors of a lower device.
    pub(crate) fn share(&mut self) {
        let written = self.all.iter_mut().filter(|draft| draft.left_out.is_none());
        share(&mut written.map(|draft| &mut draft.mapping).collect::<Vec<_>>(), |device| device.number);
    }
}

/// Marks the mappings that share sectors of a lower device; `identity` tells devices apart.
pub(crate) fn share<D: Ord + Clone>(mappings: &mut [&mut Mapping], identity: impl Fn(&Device) -> Option<D>) {
    loop {
        let claims = config::claims(mappings.iter().map(|mapping| &**mapping), &identity);
        let shared: BTreeSet<Key> = config::overlaps(claims)
            .iter()
            .flat_map(|overlap| [&overlap.first, &overlap.second])
            .map(|claim| claim.mapping.key.clone())
            .collect();
        if shared.is_empty() {
            return;
        }
        for mapping in mappings.iter_mut().filter(|mapping| shared.contains(&mapping.key)) {
            mapping.shared = true;
        }
    }
}
