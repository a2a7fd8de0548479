//! A device as a mapping of a map, and what can't be said of it.

use std::collections::{BTreeMap, BTreeSet};

use super::Selection;
use super::devices::{Host, one_owner};
use super::names::KeyAllocator;
use super::note::Note;
use crate::config::{self, Length, Mapping, MappingRow, State};
use crate::device::Device;
use crate::device_path;
use crate::identity::{DevNum, Key, Name, Owner, Uuid, printable};
use crate::kernel::{DeviceState, Suspend};
use crate::keys::{Encoding, KeySource};
use crate::observed::Seen;
use crate::table::RawRow;
use crate::targets::{self, Problems};

/// Where a key is looked for that only the kernel knows.
const KEYS: &str = "/etc/dmctl/keys";

/// A mapping on its way into a map.
pub struct Draft {
    /// The mapping.
    pub mapping: Mapping,
    /// Its device.
    pub number: DevNum,
    /// What can't be said in the map, or is to be known.
    pub notes: Vec<Note>,
    /// Why it can't be declared, if it can't.
    pub left_out: Option<String>,
}

/// A map on its way.
pub struct Drafts {
    /// The owner, when all devices that any owner has are of the same.
    pub owner: Option<Owner>,
    /// The mappings, lower ones first.
    pub all: Vec<Draft>,
}

/// What is written of the devices that were read.
pub fn of(host: &Host, selection: &Selection) -> Drafts {
    let devices = host.bottom_up();
    let owner = selection.owner.clone().or_else(|| one_owner(devices.iter().copied()));
    let whose = owner.clone().unwrap_or_default();
    let keys = keys(&devices, &whose, host);
    let all = devices.iter().zip(keys).filter_map(|(seen, key)| draft(host, seen, key, &whose)).collect();
    Drafts { owner, all }
}

/// The key of each device: its own where the owner has it, else one like its name.
fn keys(devices: &[&Seen], owner: &Owner, host: &Host) -> Vec<Key> {
    let own = |seen: &Seen| {
        let (whose, key) = seen.listed.uuid.as_ref()?.parts()?;
        (whose == *owner).then_some(key)
    };
    let mut given = KeyAllocator::default();
    for key in devices.iter().filter_map(|seen| own(seen)) {
        given.take(&key);
    }
    // The uuid of a device that is left out is taken, too.
    let free = |key: &Key| host.observed.by_uuid(&Uuid::owned(owner, key)).is_none();
    let mut key = |seen: &&Seen| own(seen).unwrap_or_else(|| given.from_name(&seen.listed.name, free));
    devices.iter().map(&mut key).collect()
}

/// None for a device that went away.
fn draft(host: &Host, seen: &Seen, key: Key, owner: &Owner) -> Option<Draft> {
    let mapped = seen.mapped.as_ref()?;
    let uuid = seen.listed.uuid.clone();
    let mut notes = Vec::new();
    let (rows, left_out) = match rows(host, mapped, &key, &mut notes) {
        Ok(rows) => (rows, unwritable(seen)),
        Err(why) => (Vec::new(), Some(why)),
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
        adopt: uuid.is_none(),
        uuid: uuid.unwrap_or_else(|| Uuid::owned(owner, &key)),
        key,
        name: seen.listed.name.clone(),
        state: if mapped.info.suspended { State::Suspended } else { State::Active },
        readonly: mapped.info.read_only,
        protect: false,
        shared: false,
        renamed_from: None,
        suspend: Suspend::default(),
        wait: std::time::Duration::ZERO,
        boot: BTreeSet::new(),
        rows: rows.into(),
        file: 0,
    };
    Some(Draft { mapping, number: seen.listed.number, notes, left_out })
}

/// Why no map can say what this device is called.
fn unwritable(seen: &Seen) -> Option<String> {
    let name = &seen.listed.name;
    let uuid = seen.listed.uuid.as_ref().and_then(|uuid| Uuid::new(&uuid.text()).err());
    match (Name::new(&name.plain()), uuid) {
        (Err(error), _) | (_, Some(error)) => Some(error.to_string()),
        (Ok(written), _) if written != *name => Some(format!(
            "its name is not mangled as libdevmapper does: it would become `{}`",
            written.kernel()
        )),
        _ => None,
    }
}

/// The rows of a device, or why they can't be written.
fn rows(
    host: &Host,
    mapped: &DeviceState,
    key: &Key,
    notes: &mut Vec<Note>,
) -> Result<Vec<MappingRow>, String> {
    if !mapped.info.live_table || mapped.table.is_empty() {
        return Err("it has no table".to_string());
    }
    let row = |row: &RawRow| {
        let what = printable(&row.kind);
        let read = targets::parse(&row.kind, row.params());
        let read = read.map_err(|error| format!("its {what} row can't be read: {error}"))?;
        let mut target = read.for_export();
        host.add_numbers(target.as_mut());
        hide_keys(target.as_mut(), key, notes);
        let mut problems = Problems::default();
        target.check(Some(row.length), &mut problems);
        if let Some(problem) = problems.into_vec().into_iter().next() {
            return Err(format!("its {what} row can't be declared: {problem}"));
        }
        let hidden = target.hazards().hidden_state;
        notes.extend(hidden.map(Note::Hidden));
        Ok(MappingRow {
            start: Some(row.start),
            length: Length::Sectors(row.length),
            target,
            messages: Vec::new(),
        })
    };
    mapped.table.iter().map(row).collect()
}

/// Puts the place of a file for each key that the kernel holds.
pub fn hide_keys(target: &mut dyn targets::Target, of: &Key, notes: &mut Vec<Note>) {
    for slot in target.keys_mut() {
        if !matches!(slot.key.source, KeySource::Hex(_) | KeySource::Withheld) {
            continue;
        }
        let suffix =
            if slot.field == "key" { String::new() } else { format!("-{}", slot.field.replace('.', "-")) };
        let path = format!("{KEYS}/{of}{suffix}");
        notes.push(Note::Key { field: slot.field, bytes: slot.key.bytes(), path: path.clone() });
        slot.key.source = KeySource::File { path, encoding: Encoding::Raw };
    }
}

impl Drafts {
    /// Those that are written.
    pub fn written(&self) -> impl Iterator<Item = &Draft> {
        self.all.iter().filter(|draft| draft.left_out.is_none())
    }

    /// Writes each lower device as a reference where it is written too, else by its best path.
    pub fn name_lowers(&mut self, host: &Host, leads_to: &dyn Fn(&Device) -> bool) {
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

    /// Lets mappings share the sectors that they do share.
    pub fn share(&mut self) {
        let written = self.all.iter_mut().filter(|draft| draft.left_out.is_none());
        share(&mut written.map(|draft| &mut draft.mapping).collect::<Vec<_>>(), |device| device.number);
    }
}

/// Lets mappings share the sectors that they do share; `identity` tells devices apart.
pub fn share<D: Ord + Clone>(mappings: &mut [&mut Mapping], identity: impl Fn(&Device) -> Option<D>) {
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
