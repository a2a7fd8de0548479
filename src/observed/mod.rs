//! What is: as much of a kernel as a map asks about, read once.
//!
//! The list of devices is one call. A table is read only of devices that the map declares or its owner
//! has, and of those it wants to take over: a host may be full of other people's devices, and they cost
//! nothing here. Everything that is planned from this is a pure function of it.

mod users;

use std::cell::LazyCell;
use std::collections::{HashMap, HashSet, hash_map};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use crate::config::{Length, Map, Mapping, State};
use crate::device::{Device, Form};
use crate::identity::{DevNum, MINORS, Name, Uuid};
use crate::kernel::{BlockDevice, DeviceState, Id, KernelError, ListEntry, ReadKernel, Slot};
use crate::table::ReadTable;
use crate::targets::Metadata;
use crate::units::SECTOR;
use users::Learnt;

/// How often a lower device that is waited for is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How many mappings deep a stack is followed: a map may still lead in a circle.
const DEEPEST: usize = 64;

/// A device of the kernel.
#[derive(Debug, Clone)]
pub struct Seen {
    /// As the list shows it.
    pub listed: ListEntry,
    /// With its state and its live table, where the map asks about it.
    pub mapped: Option<DeviceState>,
    /// The table that waits in its inactive slot, where the map asks about the device and one does.
    pub waiting: ReadTable,
}

impl Seen {
    /// How the kernel is asked about this device: by uuid where it has one, for names can move.
    #[must_use]
    pub fn id(&self) -> Id {
        match &self.listed.uuid {
            Some(uuid) => Id::Uuid(uuid.clone()),
            None => Id::Name(self.listed.name.clone()),
        }
    }
}

/// A kernel at one moment.
#[derive(Debug, Default)]
pub struct Observed {
    /// Every device, in the order of the list.
    pub devices: Vec<Seen>,
    // Where devices stand in the list. Each is made when it is first looked at.
    by_name: OnceLock<HashMap<Name, usize>>,
    /// Names that the kernel has in another form than dmctl would write them, in the plain form.
    by_plain_name: OnceLock<HashMap<String, usize>>,
    by_uuid: OnceLock<HashMap<Uuid, usize>>,
    /// For each minor number up to the highest: they are given from 0 on.
    by_minor: OnceLock<Vec<Option<u32>>>,
    resolved: HashMap<Form, DevNum>,
    blocks: HashMap<DevNum, BlockDevice>,
    users: OnceLock<Learnt>,
    heads: HashMap<(DevNum, u64), Vec<u8>>,
}

impl Observed {
    /// Reads what `map` asks about.
    pub fn read(kernel: &dyn ReadKernel, map: &Map) -> Result<Self, KernelError> {
        // Looked for only where a device is not owned, as most of them are.
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
        let mut metadata = Vec::new();
        for mapping in wanted() {
            let deadline = (!mapping.wait.is_zero()).then(|| Instant::now() + mapping.wait);
            for row in &mapping.rows {
                for lower in row.target.lower_devices(0) {
                    observed.resolve(kernel, lower.device, deadline)?;
                }
                metadata.extend(row.target.metadata());
            }
        }
        for Metadata { device, offset, length, .. } in metadata {
            if let Some((number, offset)) = observed.ground(map, device, offset)
                && let Some(head) = kernel.peek(number, offset, length)
            {
                observed.heads.insert((number, offset), head);
            }
        }
        Ok(observed)
    }

    /// Reads the list, and the tables of the devices that `wanted` picks.
    pub fn read_devices(
        kernel: &dyn ReadKernel,
        wanted: impl Fn(&ListEntry) -> bool,
    ) -> Result<Self, KernelError> {
        let list = kernel.list()?;
        let mut devices = Vec::with_capacity(list.len());
        for listed in list {
            let mut seen = Seen { listed, mapped: None, waiting: ReadTable::default() };
            if wanted(&seen.listed) {
                // One that isn't there any more went away between the two calls.
                let Some(mapped) = kernel.device(&seen.id(), Slot::Live)? else { continue };
                if mapped.info.inactive_table {
                    let inactive = kernel.device(&seen.id(), Slot::Inactive)?;
                    seen.waiting = inactive.map(|inactive| inactive.table).unwrap_or_default();
                }
                seen.mapped = Some(mapped);
            }
            devices.push(seen);
        }
        Ok(Self { devices, ..Self::default() })
    }

    fn resolve(
        &mut self,
        kernel: &dyn ReadKernel,
        device: &Device,
        deadline: Option<Instant>,
    ) -> Result<(), KernelError> {
        if device.key().is_some() || self.resolved.contains_key(&device.form) {
            return Ok(());
        }
        let number = loop {
            match kernel.resolve(device)? {
                None if deadline.is_some_and(|deadline| Instant::now() < deadline) => {
                    thread::sleep(LOOK_AGAIN);
                }
                found => break found,
            }
        };
        if let Some(number) = number {
            self.resolved.insert(device.form.clone(), number);
            if let hash_map::Entry::Vacant(unknown) = self.blocks.entry(number)
                && let Some(block) = kernel.block_device(number)?
            {
                unknown.insert(block);
            }
        }
        Ok(())
    }

    /// Where a byte of a device will be once the map is applied: down through mappings of the map that lead
    /// straight on, to the device that holds it now. None when that does not exist.
    fn ground(&self, map: &Map, device: &Device, offset: u64) -> Option<(DevNum, u64)> {
        let (mut device, mut sector) = (device, offset / SECTOR);
        for _ in 0..DEEPEST {
            let Some(mapping) = self.mapping_of(map, device) else {
                return Some((self.number(device)?, sector.checked_mul(SECTOR)? + offset % SECTOR));
            };
            let Some(below) = straight_down(mapping, sector) else {
                let number = self.by_uuid(&mapping.uuid)?.listed.number;
                return Some((number, sector.checked_mul(SECTOR)? + offset % SECTOR));
            };
            (device, sector) = below;
        }
        None
    }

    /// The mapping of the map that a device is, however it is written.
    fn mapping_of<'m>(&self, map: &'m Map, device: &Device) -> Option<&'m Mapping> {
        if let Some(key) = device.key() {
            return map.mappings.get(key);
        }
        let uuid = self.by_number(self.number(device)?)?.listed.uuid.as_ref()?;
        let (_, key) = uuid.parts()?;
        map.mappings.get(&key).filter(|mapping| mapping.uuid == *uuid)
    }

    /// The device of this name: as the kernel would store it, or else the same in the plain form.
    #[must_use]
    pub fn by_name(&self, name: &Name) -> Option<&Seen> {
        self.place_of_name(name).map(|place| &self.devices[place])
    }

    /// The place in the list of the device of this name.
    #[must_use]
    pub fn place_of_name(&self, name: &Name) -> Option<usize> {
        let names = || self.devices.iter().map(|seen| &seen.listed.name);
        let by_name = self.by_name.get_or_init(|| names().cloned().zip(0..).collect());
        let place = by_name.get(name).or_else(|| {
            let differs =
                |(name, _): &(&Name, usize)| Name::new(&name.plain()).is_ok_and(|other| other != **name);
            let plain = |(name, place): (&Name, usize)| (name.plain().into_owned(), place);
            let by_plain =
                self.by_plain_name.get_or_init(|| names().zip(0..).filter(differs).map(plain).collect());
            by_plain.get(name.plain().as_ref())
        });
        place.copied()
    }

    /// The device of this uuid.
    #[must_use]
    pub fn by_uuid(&self, uuid: &Uuid) -> Option<&Seen> {
        self.place_of(uuid, 0).map(|place| &self.devices[place])
    }

    /// The place in the list of the device of this uuid. Looked at first is place `likely`: lists that are both in the
    /// order of their names mostly go side by side, and need no search.
    #[must_use]
    pub fn place_of(&self, uuid: &Uuid, likely: usize) -> Option<usize> {
        if self.devices.get(likely).is_some_and(|seen| seen.listed.uuid.as_ref() == Some(uuid)) {
            return Some(likely);
        }
        let uuids = || self.devices.iter().map(|seen| &seen.listed.uuid).zip(0..);
        let found = |(uuid, place): (&Option<Uuid>, usize)| Some((uuid.clone()?, place));
        self.by_uuid.get_or_init(|| uuids().filter_map(found).collect()).get(uuid).copied()
    }

    /// The mapped device of this number.
    #[must_use]
    pub fn by_number(&self, number: DevNum) -> Option<&Seen> {
        self.place_of_number(number).map(|place| &self.devices[place])
    }

    /// The place in the list of the mapped device of this number. All of them have one major number.
    #[must_use]
    pub fn place_of_number(&self, number: DevNum) -> Option<usize> {
        self.devices.first().filter(|seen| seen.listed.number.major == number.major)?;
        let minor = |number: DevNum| usize::try_from(number.minor).ok().filter(|_| number.minor < MINORS);
        let numbers = || self.devices.iter().map(|seen| seen.listed.number);
        let by_minor = self.by_minor.get_or_init(|| {
            let highest = numbers().filter_map(minor).max();
            let mut by_minor = vec![None; highest.map_or(0, |highest| highest + 1)];
            for (number, place) in numbers().zip(0..) {
                if let Some(minor) = minor(number) {
                    by_minor[minor] = Some(place);
                }
            }
            by_minor
        });
        by_minor.get(minor(number)?)?.and_then(|place| usize::try_from(place).ok())
    }

    /// The number of a device as a map writes it; none for a mapping, and for what is not there.
    #[must_use]
    pub fn number(&self, device: &Device) -> Option<DevNum> {
        // A mapping of the map is never looked up.
        if device.key().is_some() { None } else { self.resolved.get(&device.form).copied() }
    }

    /// A lower device by its number.
    #[must_use]
    pub fn block(&self, number: DevNum) -> Option<&BlockDevice> {
        self.blocks.get(&number)
    }

    /// What stands where byte `offset` of a device will be once the map is applied, as far as it could be
    /// read.
    #[must_use]
    pub fn head(&self, map: &Map, device: &Device, offset: u64) -> Option<&[u8]> {
        self.heads.get(&self.ground(map, device, offset)?).map(Vec::as_slice)
    }
}

/// The device and sector that a sector of a mapping leads to, where its row leads straight on.
fn straight_down(mapping: &Mapping, sector: u64) -> Option<(&Device, u64)> {
    let mut start = 0u64;
    for row in &mapping.rows {
        let inside = sector.checked_sub(start)?;
        match row.length {
            Length::Sectors(length) if inside >= length => start = start.checked_add(length)?,
            _ => {
                let (device, offset) = row.target.linear_map()?;
                return Some((device, offset.checked_add(inside)?));
            }
        }
    }
    None
}
