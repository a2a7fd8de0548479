//! The state of a kernel, as far as a map needs it, read once.
//!
//! The list of devices is one call. A table is read only of the devices that the map declares, that its owner has, or
//! that the map takes over: a host may have many devices of other subsystems, and they cost nothing here. Only where a
//! table takes sectors are the devices around its lower devices read, too (`neighbours`). A plan is a pure function of this
//! state and the map.

mod awaited;
mod below;
mod blocks;
mod circles;
mod downwards;
mod heads;
mod links;
mod neighbours;
mod origins;
mod pools;
mod queues;
mod superblock;
mod tags;
mod types;
mod unseen;
mod users;
mod vanished;

use std::cell::LazyCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use rustc_hash::FxHashMap;

use crate::config::{Map, Mapping, State};
use crate::device::{Device, Form};
use crate::health::{self, DeviceHealth};
use crate::identity::{Called, DevNum, MINORS, Name, Uuid};
use crate::kernel::{
    Absence, BlockDevice, DeviceState, Id, KernelError, ListEntry, QueueFacts, ReadKernel, Slot,
};
use crate::keys::Keyring;
use crate::stack::{IndexVec, Position as _, position};
use crate::table::ReadTable;
use crate::targets::{Metadata, signature};
pub(crate) use awaited::{Awaited, awaited};
use below::Below;
pub(crate) use circles::Circle;
use circles::Circles;
pub(crate) use heads::Head;
use heads::Holder;
use links::Links;
pub(crate) use links::{Gone, Meaning};
use neighbours::Neighbours;
pub(crate) use pools::PoolVolumes;
use unseen::{UnseenParts, seen};
use users::DeviceUsers;

pub(crate) use blocks::{BlockUser, PieceUse};
pub(crate) use superblock::Piece;
pub(crate) use types::InIndex;

position! {
    /// A mapped device, in the order of the kernel's list.
    pub struct SeenId;
}

position! {
    /// A minor number: the kernel gives them from 0 on.
    struct Minor;
}

/// A mapped device of the kernel.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The entry of the list.
    pub listed: ListEntry,
    /// The state with the live table, where the map needs it.
    pub mapped: Option<DeviceState>,
    /// The table in the inactive slot, where the map needs it; empty when the slot is.
    pub waiting: ReadTable,
    /// How the device fares, where the map needs it and a target of its live table may have something left.
    pub health: Option<Arc<DeviceHealth>>,
}

impl Seen {
    /// Returns the id by which the kernel finds the device again.
    pub fn id(&self) -> Id {
        Id::stable(&self.listed.name, self.listed.uuid.as_ref())
    }
}

/// The state of a kernel at one moment.
#[derive(Debug, Default)]
pub struct Observed {
    /// Every device, in the order of the list.
    pub devices: IndexVec<SeenId, Seen>,
    // The devices by name, uuid and number. Each is made at its first use.
    by_name: OnceLock<HashMap<Name, SeenId>>,
    /// The plain forms of names that dmctl would mangle otherwise than they are.
    by_plain_name: OnceLock<HashMap<String, SeenId>>,
    by_uuid: OnceLock<HashMap<Uuid, SeenId>>,
    by_minor: OnceLock<IndexVec<Minor, Option<SeenId>>>,
    resolved: HashMap<Form, DevNum>,
    absent: HashMap<Form, Absence>,
    blocks: FxHashMap<DevNum, BlockDevice>,
    /// The names that their drivers gave to devices that are not mapped and use others.
    driver_names: FxHashMap<DevNum, String>,
    links: Links,
    circles: OnceLock<Circles>,
    users: OnceLock<DeviceUsers>,
    neighbours: OnceLock<Neighbours>,
    /// The devices below those that targets do I/O of their own to.
    below: OnceLock<Below>,
    /// Devices around the origins of new snapshots, which the map does not declare.
    around: OnceLock<FxHashMap<DevNum, DeviceState>>,
    unseen: UnseenParts,
    /// The types of new tables that the kernel does not list.
    unlisted_types: OnceLock<BTreeMap<String, InIndex>>,
    /// The heads that hold metadata, by device and by offset in bytes.
    heads: HashMap<(Holder, u64), Head>,
    /// Keys that the map takes from keyrings, and that no keyring of this process holds.
    missing_keys: HashSet<Keyring>,
    /// The pools in which volumes are made.
    pools: OnceLock<pools::Pools>,
    /// How devices take I/O.
    queues: OnceLock<HashMap<DevNum, QueueFacts>>,
    /// The devices that keep tags with their blocks.
    tags: OnceLock<tags::Tags>,
    block_users: OnceLock<FxHashMap<DevNum, BlockUser>>,
}

impl Observed {
    /// Reads the state that `map` needs.
    ///
    /// # Errors
    ///
    /// The error of the kernel.
    pub fn read(kernel: &dyn ReadKernel, map: &Map) -> Result<Self, KernelError> {
        // Made only when a device is not of the owner, which is rare.
        let declared: LazyCell<HashSet<&Uuid>, _> =
            LazyCell::new(|| map.mappings.values().map(|mapping| &mapping.uuid).collect());
        let taken_over: LazyCell<HashSet<&Name>, _> = LazyCell::new(|| {
            let adopted = map.mappings.values().filter(|mapping| mapping.adopt).map(|mapping| &mapping.name);
            let renamed = map.mappings.values().filter_map(|mapping| mapping.renamed_from.as_ref());
            adopted.chain(renamed).collect()
        });
        let mut observed = Self::read_devices(kernel, |listed| match &listed.uuid {
            Some(uuid) => uuid.is_of(&map.owner) || declared.contains(uuid),
            None => taken_over.contains(&listed.name),
        })?;
        let wanted = || map.mappings.values().filter(|mapping| mapping.state != State::Absent);
        let mut heads = Vec::new();
        for mapping in wanted() {
            for row in &mapping.rows {
                for lower in row.target.lower_devices(0) {
                    observed.resolve(kernel, lower.device)?;
                }
                let place = |Metadata { device, offset, length, .. }| (mapping, device, offset, length);
                heads.extend(row.target.metadata().into_iter().map(place));
                heads.extend(
                    row.target
                        .overwrites()
                        .map(|(device, offset)| (mapping, device, offset, signature::HEAD)),
                );
                for key in row.target.keyring_keys() {
                    if kernel.has_key(key) == Some(false) {
                        observed.missing_keys.insert(key.clone());
                    }
                }
            }
        }
        observed.read_downwards(kernel)?;
        observed.links = observed.moved_links(map);
        observed.read_vanished(kernel, map)?;
        observed.read_heads(kernel, map, heads);
        Ok(observed)
    }

    /// Reads the list, and the tables of the devices that `wanted` selects.
    ///
    /// # Errors
    ///
    /// The error of the kernel.
    pub fn read_devices(
        kernel: &dyn ReadKernel,
        wanted: impl Fn(&ListEntry) -> bool,
    ) -> Result<Self, KernelError> {
        let list = kernel.list()?;
        let mut devices = IndexVec::with_capacity(list.len());
        for listed in list {
            let mut seen = Seen { listed, mapped: None, waiting: ReadTable::default(), health: None };
            if wanted(&seen.listed) {
                // A device that is missing was removed between the two calls.
                let Some(mapped) = kernel.device(&seen.id(), Slot::Live)? else { continue };
                if mapped.info.inactive_table {
                    let inactive = kernel.device(&seen.id(), Slot::Inactive)?;
                    seen.waiting = inactive.map(|inactive| inactive.table).unwrap_or_default();
                }
                if health::may_matter(&mapped.table) {
                    seen.health = health::of(kernel, &seen.id(), mapped.clone())?.map(Arc::new);
                }
                seen.mapped = Some(mapped);
            }
            devices.push(seen);
        }
        Ok(Self { devices, ..Self::default() })
    }

    fn resolve(&mut self, kernel: &dyn ReadKernel, device: &Device) -> Result<(), KernelError> {
        if device.key().is_some() || self.resolved.contains_key(&device.form) {
            return Ok(());
        }
        let absence = match seen(kernel.resolve(device))? {
            Ok(Some(number)) => {
                self.resolved.insert(device.form.clone(), number);
                if !self.blocks.contains_key(&number)
                    && let Some(block) = self.read_known_block(kernel, number)?
                {
                    self.blocks.insert(number, block);
                }
                return Ok(());
            }
            Ok(None) => kernel.absence(device),
            Err(unseen) => Absence::Unreadable { why: unseen.to_string() },
        };
        self.absent.insert(device.form.clone(), absence);
        Ok(())
    }

    /// Returns the mapping of the map for a device, whichever form it has.
    fn mapping_of<'m>(&self, map: &'m Map, device: &Device, number: Option<DevNum>) -> Option<&'m Mapping> {
        if let Some(key) = device.key() {
            return map.mappings.get(key);
        }
        let uuid = self.by_number(number?)?.listed.uuid.as_ref()?;
        let (_, key) = uuid.parts()?;
        let own = map.mappings.get(&key).filter(|mapping| mapping.uuid == *uuid);
        own.or_else(|| map.mappings.values().find(|mapping| mapping.formerly.contains(uuid)))
    }

    /// Returns the device that has the uuid of a mapping, or of one of its earlier keys.
    fn by_uuids(&self, mapping: &Mapping) -> Option<&Seen> {
        let former = || mapping.formerly.iter().find_map(|uuid| self.by_uuid(uuid));
        self.by_uuid(&mapping.uuid).or_else(former)
    }

    /// Returns the device of this name: the mangled form first, then the plain one.
    pub fn by_name(&self, name: &Name) -> Option<&Seen> {
        self.place_of_name(name).map(|place| &self.devices[place])
    }

    /// Returns the position of the device of this name.
    pub fn place_of_name(&self, name: &Name) -> Option<SeenId> {
        let names = || self.devices.entries().map(|(place, seen)| (&seen.listed.name, place));
        let by_name =
            self.by_name.get_or_init(|| names().map(|(name, place)| (name.clone(), place)).collect());
        let place = by_name.get(name).or_else(|| {
            let differs =
                |(name, _): &(&Name, SeenId)| Name::new(&name.plain()).is_ok_and(|other| other != **name);
            let plain = |(name, place): (&Name, SeenId)| (name.plain().into_owned(), place);
            let by_plain = self.by_plain_name.get_or_init(|| names().filter(differs).map(plain).collect());
            by_plain.get(name.plain().as_ref())
        });
        place.copied()
    }

    /// Returns the device of this uuid.
    pub fn by_uuid(&self, uuid: &Uuid) -> Option<&Seen> {
        self.place_of(uuid, SeenId::new(0)).map(|place| &self.devices[place])
    }

    /// Returns the position of the device of this uuid. It tries `likely` first: two lists that are sorted by name mostly
    /// have the same order, and need no search.
    pub fn place_of(&self, uuid: &Uuid, likely: SeenId) -> Option<SeenId> {
        if self.devices.get(likely).is_some_and(|seen| seen.listed.uuid.as_ref() == Some(uuid)) {
            return Some(likely);
        }
        let uuids =
            || self.devices.entries().filter_map(|(place, seen)| Some((seen.listed.uuid.clone()?, place)));
        self.by_uuid.get_or_init(|| uuids().collect()).get(uuid).copied()
    }

    /// Returns the mapped device of this number.
    pub fn by_number(&self, number: DevNum) -> Option<&Seen> {
        self.place_of_number(number).map(|place| &self.devices[place])
    }

    /// Returns the position of the mapped device of this number. All mapped devices have one major number.
    pub fn place_of_number(&self, number: DevNum) -> Option<SeenId> {
        self.devices.iter().next().filter(|seen| seen.listed.number.major == number.major)?;
        let minor = |number: DevNum| Some(Minor(number.minor)).filter(|_| number.minor < MINORS);
        let minors = || self.devices.iter().filter_map(|seen| minor(seen.listed.number));
        let by_minor = self.by_minor.get_or_init(|| {
            let mut by_minor =
                IndexVec::filled(None, minors().max().map_or(0, |highest| highest.index() + 1));
            for (place, seen) in self.devices.entries() {
                if let Some(minor) = minor(seen.listed.number) {
                    by_minor[minor] = Some(place);
                }
            }
            by_minor
        });
        *by_minor.get(minor(number)?)?
    }

    /// Returns the number of a device in a map; `None` for a mapping, and for a device that does not exist.
    pub fn number(&self, device: &Device) -> Option<DevNum> {
        // A mapping of the map is never looked up.
        if device.key().is_some() { None } else { self.resolved.get(&device.form).copied() }
    }

    /// Returns the number of a device that `mapping` is written with. A link that udev moved up means what
    /// [`meaning`](Self::meaning) tells.
    pub fn number_for(&self, mapping: Option<&Mapping>, device: &Device) -> Option<DevNum> {
        match mapping.and_then(|mapping| self.meaning(mapping, device)) {
            Some(Meaning::Had(number) | Meaning::Shows(number) | Meaning::Gone(Gone { number, .. })) => {
                Some(*number)
            }
            Some(Meaning::Unknown) => None,
            None => self.number(device),
        }
    }

    /// Whether a key is in no keyring of this process, as far as that is known.
    pub fn lacks_key(&self, key: &Keyring) -> bool {
        self.missing_keys.contains(key)
    }

    /// Returns why a device in a map has no number.
    pub fn absence(&self, device: &Device) -> Absence {
        self.absent.get(&device.form).cloned().unwrap_or_default()
    }

    /// Returns a lower device by its number.
    pub fn block(&self, number: DevNum) -> Option<&BlockDevice> {
        self.blocks.get(&number)
    }

    /// Lists the numbers of the devices whose tables were read.
    pub(crate) fn read_numbers(&self) -> impl Iterator<Item = DevNum> {
        self.devices.iter().filter(|seen| seen.mapped.is_some()).map(|seen| seen.listed.number)
    }

    /// Lists the block devices that were read.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &BlockDevice> {
        self.blocks.values()
    }

    /// Names a device in a sentence.
    pub fn called(&self, number: DevNum) -> Called {
        let mapped = self.by_number(number).map(|seen| seen.listed.name.to_string());
        Called { name: mapped.or_else(|| self.driver_names.get(&number).cloned()), number }
    }
}
