//! The devices of a simulated kernel, and which of them holds which open.
//!
//! A table that is loaded, live or not, opens its lower devices. The kernel does that once for each
//! mapping, device and mode (`dm_get_table_device` in `drivers/md/dm.c`): a second table of the same mapping
//! over the same device opens nothing new. Open counts and holders follow from that alone; the part of an
//! open count that mappings don't explain is kept as it was found.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use indexmap::IndexMap;
use slab::Slab;

use super::mapping::{Mapping, Opens};
use super::state::{Disk, KernelFacts, Pool};
use crate::identity::{DevNum, MINORS, Name, Uuid};
use crate::kernel::Id;
use crate::keys::Keyring;
use crate::units::SECTOR;

/// The major number of mappings in a kernel that has none yet.
const USUAL_MAJOR: u32 = 254;
/// The deepest stack that is followed, in mappings. The kernel does not reject a longer cycle, so this model must
/// not loop in one.
pub(super) const MAX_DEPTH: usize = 64;

/// All of a simulated kernel.
#[derive(Debug)]
pub(super) struct Model {
    pub kernel: KernelFacts,
    pub disks: BTreeMap<DevNum, Disk>,
    /// Nodes and links, but for those that every mapping has.
    pub paths: HashMap<String, DevNum>,
    /// Thin pools, by the place of their metadata.
    pub pools: BTreeMap<(DevNum, u64), Pool>,
    /// Numbers that a table of the file names and no device has. A table keeps its devices, so that their numbers are
    /// never given to others (`dm_get_device` in `drivers/md/dm-table.c` takes a reference).
    pub gone: BTreeSet<DevNum>,
    mappings: Slab<Mapping>,
    // Their places in the slab, which for the mappings of a file are in the order of names.
    names: BTreeMap<Name, usize>,
    numbers: IndexMap<DevNum, usize>,
    uuids: IndexMap<Uuid, usize>,
    /// The number below which each minor of the mappings is taken, so that not every one is tried for each new mapping.
    free_from: u32,
    /// The mappings that have a device open, by device; only for devices that are not mappings.
    above: HashMap<DevNum, Opens>,
    /// The devices that a holder holds which is not a mapping: an array, for one.
    held: HashMap<DevNum, Vec<DevNum>>,
}

impl Model {
    pub(super) fn new(kernel: KernelFacts) -> Self {
        Self {
            kernel,
            disks: BTreeMap::new(),
            paths: HashMap::new(),
            pools: BTreeMap::new(),
            gone: BTreeSet::new(),
            mappings: Slab::new(),
            names: BTreeMap::new(),
            numbers: IndexMap::new(),
            uuids: IndexMap::new(),
            free_from: 0,
            above: HashMap::new(),
            held: HashMap::new(),
        }
    }

    pub(super) fn disk(&self, number: DevNum) -> Option<&Disk> {
        self.disks.get(&number)
    }

    pub(super) fn mapping(&self, number: DevNum) -> Option<&Mapping> {
        self.numbers.get(&number).map(|slot| &self.mappings[*slot])
    }

    pub(super) fn mapping_mut(&mut self, number: DevNum) -> Option<&mut Mapping> {
        self.numbers.get(&number).map(|slot| &mut self.mappings[*slot])
    }

    /// Iterates over all mappings, in no order.
    pub(super) fn mappings(&self) -> impl Iterator<Item = &Mapping> {
        self.mappings.iter().map(|(_, mapping)| mapping)
    }

    /// Iterates over all mappings by name, in the kernel's order.
    pub(super) fn by_name(&self) -> impl Iterator<Item = &Mapping> {
        self.names.values().map(|slot| &self.mappings[*slot])
    }

    pub(super) fn named(&self, name: &Name) -> Option<&Mapping> {
        self.names.get(name).map(|slot| &self.mappings[*slot])
    }

    pub(super) fn with_uuid(&self, uuid: &Uuid) -> Option<&Mapping> {
        self.uuids.get(uuid).map(|slot| &self.mappings[*slot])
    }

    pub(super) fn find(&self, id: &Id) -> Option<&Mapping> {
        self.find_near(id, usize::MAX).map(|(_, mapping)| mapping)
    }

    /// Finds a mapping and its place in the slab. Tries the place `likely` first.
    pub(super) fn find_near(&self, id: &Id, likely: usize) -> Option<(usize, &Mapping)> {
        let is_it = |mapping: &&Mapping| match id {
            Id::Name(name) => mapping.name == *name,
            Id::Uuid(uuid) => mapping.uuid.as_ref() == Some(uuid),
        };
        if let Some(mapping) = self.mappings.get(likely).filter(is_it) {
            return Some((likely, mapping));
        }
        let slot = match id {
            Id::Name(name) => self.names.get(name),
            Id::Uuid(uuid) => self.uuids.get(uuid),
        };
        slot.map(|slot| (*slot, &self.mappings[*slot]))
    }

    /// Returns the major number of mappings.
    pub(super) fn major(&self) -> u32 {
        self.numbers.keys().next().map_or(USUAL_MAJOR, |number| number.major)
    }

    /// Returns the lowest number that no device has, and no table names.
    pub(super) fn free_number(&mut self) -> Option<DevNum> {
        let major = self.major();
        let taken = |number: &DevNum| {
            self.numbers.contains_key(number) || self.disks.contains_key(number) || self.gone.contains(number)
        };
        let free =
            (self.free_from..MINORS).map(|minor| DevNum::new(major, minor)).find(|number| !taken(number));
        self.free_from = free.map_or(MINORS, |number| number.minor);
        free
    }

    /// Returns the size of a device that can be opened, in sectors.
    pub(super) fn sectors(&self, number: DevNum) -> Option<u64> {
        if let Some(disk) = self.disk(number) {
            return Some(disk.sectors);
        }
        self.mapping(number).filter(|mapping| mapping.queue.is_some()).map(Mapping::sectors)
    }

    /// Lists the devices directly below a device: those that the tables of a mapping open, the disk of a partition, and
    /// those that an array or the like holds.
    pub(super) fn lower(&self, number: DevNum) -> Vec<DevNum> {
        if let Some(mapping) = self.mapping(number) {
            let mut lower: Vec<DevNum> = mapping.below.iter().map(|(device, _)| *device).collect();
            lower.dedup();
            return lower;
        }
        let disk = self.disk(number).and_then(|disk| disk.partition).map(|partition| partition.disk);
        let held = self.held.get(&number).into_iter().flatten();
        held.copied().chain(disk).collect()
    }

    /// Notes that `holder`, which is not a mapping, holds `device`.
    pub(super) fn hold(&mut self, holder: DevNum, device: DevNum) {
        self.held.entry(holder).or_default().push(device);
    }

    /// Returns the logical block size of a device, in sectors. A mapping keeps the one that it was given when its table was
    /// made live; a partition has that of its disk.
    pub(super) fn block(&self, number: DevNum) -> u64 {
        if let Some(mapping) = self.mapping(number) {
            return mapping.block;
        }
        let disk = self.disk(number);
        let whole = disk.and_then(|disk| disk.partition).and_then(|partition| self.disk(partition.disk));
        let bytes = |disk: &Disk| u64::from(disk.logical_block_size);
        let largest = disk.into_iter().chain(whole).map(bytes).max().unwrap_or(SECTOR);
        (largest / SECTOR).max(1)
    }

    /// Returns how often the mapping of this number is open.
    pub(super) fn open_count(&self, number: DevNum) -> u32 {
        self.mapping(number).map_or(0, Mapping::open_count)
    }

    /// Returns the mappings that have a device open, with their modes.
    fn above(&self, number: DevNum) -> Option<&Opens> {
        self.mapping(number).map(|mapping| &mapping.above).or_else(|| self.above.get(&number))
    }

    fn above_mut(&mut self, number: DevNum) -> &mut Opens {
        match self.numbers.get(&number) {
            Some(slot) => &mut self.mappings[*slot].above,
            None => self.above.entry(number).or_default(),
        }
    }

    /// Returns the numbers of the mappings that have a device open.
    pub(super) fn held_by(&self, number: DevNum) -> BTreeSet<DevNum> {
        self.above(number).into_iter().flatten().map(|(holder, _)| *holder).collect()
    }

    /// Tells whether another user than a mapping has claimed a device for itself alone.
    pub(super) fn is_claimed(&self, number: DevNum) -> bool {
        // All mappings share one claim, and no other user can claim their devices.
        if self.above(number).is_some_and(|above| !above.is_empty()) {
            return false;
        }
        if let Some(disk) = self.disk(number) {
            return disk.exclusive || disk.swap || !disk.mounts.is_empty() || !disk.holders.is_empty();
        }
        let claims = |m: &Mapping| m.swap || !m.mounts.is_empty() || !m.holders.is_empty();
        self.mapping(number).is_some_and(claims)
    }

    /// Tells whether a keyring holds a key; `None` where the state does not tell.
    pub(super) fn has_key(&self, key: &Keyring) -> Option<bool> {
        let name = format!("{}:{}", key.kind, key.description);
        self.kernel.keys.as_ref().map(|keys| keys.contains(&name))
    }

    /// Tells whether a device is a disk with a partition in use, or a partition of a disk in use: the kernel gives out the
    /// one or the other, to mappings as well (`bd_may_claim` in `block/bdev.c`).
    pub(super) fn is_shut(&self, number: DevNum) -> bool {
        let in_use = |number| !self.held_by(number).is_empty() || self.is_claimed(number);
        match self.disk(number).and_then(|disk| disk.partition) {
            Some(partition) => in_use(partition.disk),
            None => self.partitions(number).any(|part| in_use(part.number)),
        }
    }

    /// Iterates over the partitions of a disk.
    pub(super) fn partitions(&self, disk: DevNum) -> impl Iterator<Item = &Disk> {
        let is_part = move |part: &&Disk| part.partition.is_some_and(|partition| partition.disk == disk);
        self.disks.values().filter(is_part)
    }

    /// Adds a mapping. Number, name and uuid must be free.
    pub(super) fn insert(&mut self, mut mapping: Mapping) {
        let number = mapping.number;
        mapping.above = self.above.remove(&number).unwrap_or_default();
        self.paths.extend(mapping.paths.iter().map(|path| (path.clone(), number)));
        let (name, uuid) = (mapping.name.clone(), mapping.uuid.clone());
        let slot = self.mappings.insert(mapping);
        self.names.insert(name, slot);
        self.numbers.insert(number, slot);
        self.uuids.extend(uuid.map(|uuid| (uuid, slot)));
        self.retable(number);
    }

    /// Gives a mapping another name, which must be free.
    pub(super) fn rename(&mut self, name: &Name, new: Name) {
        let Some(slot) = self.names.remove(name) else { return };
        self.names.insert(new.clone(), slot);
        self.mappings[slot].name = new;
    }

    /// Gives a mapping a uuid, which must be free.
    pub(super) fn set_uuid(&mut self, name: &Name, uuid: Uuid) {
        let Some(slot) = self.names.get(name) else { return };
        self.uuids.insert(uuid.clone(), *slot);
        self.mappings[*slot].uuid = Some(uuid);
    }

    /// Opens and closes devices as the tables of a mapping now want them. Call it after every change of a table.
    pub(super) fn retable(&mut self, number: DevNum) {
        let closed = self.reopen(number);
        self.remove_deferred(closed);
    }

    /// Destroys a mapping, open or not.
    pub(super) fn remove(&mut self, number: DevNum) {
        let closed = self.forget(number);
        self.remove_deferred(closed);
    }

    /// Destroys the mappings of `closed` whose removal is deferred, and in turn those that this closes. A mapping is looked
    /// at each time that one above it goes, for only the last one closes it: so this is not a walk that visits each once.
    fn remove_deferred(&mut self, mut closed: Vec<DevNum>) {
        while let Some(number) = closed.pop() {
            if self.mapping(number).is_some_and(|m| m.deferred_remove) && self.open_count(number) == 0 {
                closed.extend(self.forget(number));
            }
        }
    }

    /// Records the devices that the tables of a mapping open now, and returns those that they closed.
    fn reopen(&mut self, number: DevNum) -> Vec<DevNum> {
        let Some(mapping) = self.mapping_mut(number) else { return Vec::new() };
        let opens = mapping.opens();
        let before = std::mem::replace(&mut mapping.below, opens.clone());
        self.book(number, &before, &opens)
    }

    /// Updates the devices that a mapping opened or closed, and returns those that it closed.
    fn book(&mut self, number: DevNum, before: &Opens, now: &Opens) -> Vec<DevNum> {
        for (device, access) in now.difference(before) {
            self.above_mut(*device).insert((number, *access));
        }
        let closed = before.difference(now);
        for (device, access) in closed.clone() {
            self.above_mut(*device).remove(&(number, *access));
        }
        closed.map(|(device, _)| *device).collect()
    }

    /// Deletes a mapping from all records, and returns the devices that it had open.
    fn forget(&mut self, number: DevNum) -> Vec<DevNum> {
        let Some(slot) = self.numbers.swap_remove(&number) else { return Vec::new() };
        // Another major number may follow the last mapping of this one.
        self.free_from = if self.numbers.is_empty() { 0 } else { self.free_from.min(number.minor) };
        let mapping = self.mappings.remove(slot);
        self.names.remove(&mapping.name);
        if let Some(uuid) = &mapping.uuid {
            self.uuids.swap_remove(uuid);
        }
        for path in &mapping.paths {
            self.paths.remove(path);
        }
        if !mapping.above.is_empty() {
            self.above.insert(number, mapping.above);
        }
        self.book(number, &mapping.below, &Opens::new())
    }
}
