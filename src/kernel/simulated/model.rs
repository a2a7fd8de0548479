//! The devices of a simulated kernel, and who holds whom.
//!
//! A table that is loaded, live or not, opens the devices it stands on. The kernel does that once for each
//! mapping, device and mode (`dm_get_table_device` in `drivers/md/dm.c`): a second table of the same mapping
//! over the same device opens nothing new. Open counts and holders follow from that alone; the part of an
//! open count that mappings don't explain is kept as it was found.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::state::{Disk, KernelFacts, Pool, Queue};
use crate::identity::{DevNum, Name, Uuid};
use crate::kernel::{Id, Process};
use crate::table::{self, Table};

/// The major number of mappings in a kernel that has none yet.
const USUAL_MAJOR: u32 = 254;
/// The most minor numbers a driver can have.
const MINORS: u32 = 1 << 20;
/// How many mappings deep a stack is followed. The kernel finds no longer cycle, so neither may this one run
/// around in one.
pub(super) const DEEPEST: usize = 64;

/// A table in a slot.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    /// Its rows, as the kernel prints them.
    pub rows: Table,
    /// Whether it was loaded read-only.
    pub read_only: bool,
    /// The devices it stands on.
    pub devices: BTreeSet<DevNum>,
}

/// A mapping.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    pub name: Name,
    pub uuid: Option<Uuid>,
    pub paths: Vec<String>,
    pub suspended: bool,
    pub read_only: bool,
    /// How often all but mappings have it open.
    pub opened: u32,
    pub event_nr: u32,
    pub live: Option<Loaded>,
    pub inactive: Option<Loaded>,
    pub deferred_remove: bool,
    pub mounts: Vec<String>,
    pub swap: bool,
    pub processes: Vec<Process>,
    /// Devices on top of it that are no mappings.
    pub holders: Vec<DevNum>,
    /// Decided by the first load. Until then it is no block device that anything could open.
    pub queue: Option<Queue>,
}

impl Mapping {
    pub(super) fn new(name: Name, uuid: Option<Uuid>) -> Self {
        Self {
            name,
            uuid,
            paths: Vec::new(),
            suspended: false,
            read_only: false,
            opened: 0,
            event_nr: 0,
            live: None,
            inactive: None,
            deferred_remove: false,
            mounts: Vec::new(),
            swap: false,
            processes: Vec::new(),
            holders: Vec::new(),
            queue: None,
        }
    }

    /// The size of the device its live table makes, in sectors.
    pub(super) fn sectors(&self) -> u64 {
        self.live.as_ref().map_or(0, |live| table::sectors(&live.rows))
    }

    /// What its tables open: each device once for each mode.
    fn opens(&self) -> BTreeSet<(DevNum, bool)> {
        let tables = [&self.live, &self.inactive].into_iter().flatten();
        tables.flat_map(|table| table.devices.iter().map(|device| (*device, table.read_only))).collect()
    }
}

/// All of a simulated kernel.
#[derive(Debug)]
pub(super) struct World {
    pub kernel: KernelFacts,
    pub disks: BTreeMap<DevNum, Disk>,
    /// Nodes and links, but for those that every mapping has.
    pub paths: HashMap<String, DevNum>,
    /// Thin pools, by the place of their metadata.
    pub pools: BTreeMap<(DevNum, u64), Pool>,
    mappings: BTreeMap<DevNum, Mapping>,
    names: BTreeMap<Name, DevNum>,
    uuids: HashMap<Uuid, DevNum>,
    /// By device, the mappings that have it open, and whether they only read it.
    held: BTreeMap<DevNum, BTreeSet<(DevNum, bool)>>,
    /// By mapping, what it has open.
    holds: BTreeMap<DevNum, BTreeSet<(DevNum, bool)>>,
}

impl World {
    pub(super) fn new(kernel: KernelFacts) -> Self {
        Self {
            kernel,
            disks: BTreeMap::new(),
            paths: HashMap::new(),
            pools: BTreeMap::new(),
            mappings: BTreeMap::new(),
            names: BTreeMap::new(),
            uuids: HashMap::new(),
            held: BTreeMap::new(),
            holds: BTreeMap::new(),
        }
    }

    pub(super) fn disk(&self, number: DevNum) -> Option<&Disk> {
        self.disks.get(&number)
    }

    pub(super) fn mapping(&self, number: DevNum) -> Option<&Mapping> {
        self.mappings.get(&number)
    }

    pub(super) fn mapping_mut(&mut self, number: DevNum) -> Option<&mut Mapping> {
        self.mappings.get_mut(&number)
    }

    pub(super) fn mappings(&self) -> impl Iterator<Item = (DevNum, &Mapping)> {
        self.mappings.iter().map(|(number, mapping)| (*number, mapping))
    }

    /// By name, in the kernel's order.
    pub(super) fn by_name(&self) -> impl Iterator<Item = (DevNum, &Mapping)> {
        self.names.values().filter_map(|number| Some((*number, self.mappings.get(number)?)))
    }

    pub(super) fn named(&self, name: &Name) -> Option<DevNum> {
        self.names.get(name).copied()
    }

    pub(super) fn with_uuid(&self, uuid: &Uuid) -> Option<DevNum> {
        self.uuids.get(uuid).copied()
    }

    pub(super) fn find(&self, id: &Id) -> Option<DevNum> {
        match id {
            Id::Name(name) => self.named(name),
            Id::Uuid(uuid) => self.with_uuid(uuid),
        }
    }

    /// The major number of mappings.
    pub(super) fn major(&self) -> u32 {
        self.mappings.keys().next().map_or(USUAL_MAJOR, |number| number.major)
    }

    /// The lowest number that no device has.
    pub(super) fn free_number(&self) -> Option<DevNum> {
        let major = self.major();
        let mut numbers = (0..MINORS).map(|minor| DevNum::new(major, minor));
        numbers.find(|number| !self.mappings.contains_key(number) && !self.disks.contains_key(number))
    }

    /// The size of a device that can be opened, in sectors.
    pub(super) fn sectors(&self, number: DevNum) -> Option<u64> {
        if let Some(disk) = self.disk(number) {
            return Some(disk.sectors);
        }
        self.mapping(number).filter(|mapping| mapping.queue.is_some()).map(Mapping::sectors)
    }

    /// The smallest unit of a device, in bytes: the largest of those of the disks below.
    pub(super) fn block_size(&self, number: DevNum) -> u32 {
        let mut largest = 512;
        let (mut seen, mut left) = (BTreeSet::new(), vec![number]);
        while let Some(number) = left.pop() {
            if !seen.insert(number) {
                continue;
            }
            largest = largest.max(self.disk(number).map_or(512, |disk| disk.logical_block_size));
            let live = self.mapping(number).and_then(|mapping| mapping.live.as_ref());
            left.extend(live.iter().flat_map(|live| live.devices.iter()));
        }
        largest
    }

    /// How often a mapping is open.
    pub(super) fn open_count(&self, number: DevNum) -> u32 {
        let opened = self.mapping(number).map_or(0, |mapping| mapping.opened);
        opened.saturating_add(self.open_by_mappings(number))
    }

    /// How often this mapping is open, which has this number.
    pub(super) fn opened(&self, number: DevNum, mapping: &Mapping) -> u32 {
        mapping.opened.saturating_add(self.open_by_mappings(number))
    }

    fn open_by_mappings(&self, number: DevNum) -> u32 {
        let by_mappings = self.held.get(&number).map_or(0, BTreeSet::len);
        u32::try_from(by_mappings).unwrap_or(u32::MAX)
    }

    /// The mappings that have a device open.
    pub(super) fn held_by(&self, number: DevNum) -> BTreeSet<DevNum> {
        self.held.get(&number).into_iter().flatten().map(|(holder, _)| *holder).collect()
    }

    /// Whether something that is no mapping has a device for itself alone.
    pub(super) fn is_claimed(&self, number: DevNum) -> bool {
        // All mappings share one claim, and nothing else can claim what they have.
        if self.held.contains_key(&number) {
            return false;
        }
        if let Some(disk) = self.disk(number) {
            return disk.exclusive || disk.swap || !disk.mounts.is_empty() || !disk.holders.is_empty();
        }
        let claims = |m: &Mapping| m.swap || !m.mounts.is_empty() || !m.holders.is_empty();
        self.mapping(number).is_some_and(claims)
    }

    /// Adds a mapping. Number, name and uuid must be free.
    pub(super) fn insert(&mut self, number: DevNum, mapping: Mapping) {
        self.names.insert(mapping.name.clone(), number);
        if let Some(uuid) = &mapping.uuid {
            self.uuids.insert(uuid.clone(), number);
        }
        self.paths.extend(mapping.paths.iter().map(|path| (path.clone(), number)));
        self.mappings.insert(number, mapping);
        self.retable(number);
    }

    /// Gives a mapping another name, which must be free.
    pub(super) fn rename(&mut self, number: DevNum, name: Name) {
        let Some(mapping) = self.mappings.get_mut(&number) else { return };
        self.names.remove(&mapping.name);
        self.names.insert(name.clone(), number);
        mapping.name = name;
    }

    /// Gives a mapping a uuid, which must be free.
    pub(super) fn set_uuid(&mut self, number: DevNum, uuid: Uuid) {
        let Some(mapping) = self.mappings.get_mut(&number) else { return };
        self.uuids.insert(uuid.clone(), number);
        mapping.uuid = Some(uuid);
    }

    /// Opens and closes what the tables of a mapping say now. To be called after every change of one.
    pub(super) fn retable(&mut self, number: DevNum) {
        let closed = self.reopen(number);
        self.remove_deferred(closed);
    }

    /// Destroys a mapping, open or not.
    pub(super) fn remove(&mut self, number: DevNum) {
        let closed = self.forget(number);
        self.remove_deferred(closed);
    }

    /// Destroys those of `closed` that waited for being closed, and in turn those that this closes.
    fn remove_deferred(&mut self, mut closed: Vec<DevNum>) {
        while let Some(number) = closed.pop() {
            if self.mapping(number).is_some_and(|m| m.deferred_remove) && self.open_count(number) == 0 {
                closed.extend(self.forget(number));
            }
        }
    }

    /// Brings the books up to what the tables of a mapping open, and returns what they closed.
    fn reopen(&mut self, number: DevNum) -> Vec<DevNum> {
        let opens = self.mappings.get(&number).map(Mapping::opens).unwrap_or_default();
        let before = self.holds.insert(number, opens.clone()).unwrap_or_default();
        for (device, read_only) in opens.difference(&before) {
            self.held.entry(*device).or_default().insert((number, *read_only));
        }
        for (device, read_only) in before.difference(&opens) {
            if let Some(holders) = self.held.get_mut(device) {
                holders.remove(&(number, *read_only));
                if holders.is_empty() {
                    self.held.remove(device);
                }
            }
        }
        before.difference(&opens).map(|(device, _)| *device).collect()
    }

    /// Takes a mapping out of the books, and returns what it had open.
    fn forget(&mut self, number: DevNum) -> Vec<DevNum> {
        let Some(mapping) = self.mappings.remove(&number) else { return Vec::new() };
        self.names.remove(&mapping.name);
        if let Some(uuid) = &mapping.uuid {
            self.uuids.remove(uuid);
        }
        for path in &mapping.paths {
            self.paths.remove(path);
        }
        let closed = self.reopen(number);
        self.holds.remove(&number);
        closed
    }
}
