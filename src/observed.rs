//! What is: as much of a kernel as a map asks about, read once.
//!
//! The list of devices is one call. A table is read only of devices that the map declares or its owner
//! has, and of those it wants to take over: a host may be full of other people's devices, and they cost
//! nothing here. Everything that is planned from this is a pure function of it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::Map;
use crate::device::{Device, Form};
use crate::identity::{DevNum, Name, Uuid};
use crate::kernel::{BlockDevice, Id, KernelError, Listed, Mapped, ReadKernel, Slot, Users};

/// How often a lower device that is waited for is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A device of the kernel.
#[derive(Debug, Clone)]
pub struct Seen {
    /// As the list shows it.
    pub listed: Listed,
    /// With its state and its live table, where the map asks about it.
    pub mapped: Option<Mapped>,
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
    by_name: HashMap<String, usize>,
    by_uuid: HashMap<Uuid, usize>,
    by_number: HashMap<DevNum, usize>,
    resolved: HashMap<Form, DevNum>,
    blocks: HashMap<DevNum, BlockDevice>,
    users: HashMap<DevNum, Users>,
    heads: HashMap<(DevNum, u64), Vec<u8>>,
}

impl Observed {
    /// Reads what `map` asks about.
    pub fn read(kernel: &dyn ReadKernel, map: &Map) -> Result<Self, KernelError> {
        let uuids: HashSet<&Uuid> = map.mappings.values().map(|mapping| &mapping.uuid).collect();
        let taken_over: BTreeSet<&str> = map
            .mappings
            .values()
            .flat_map(|mapping| {
                let adopted = mapping.adopt.then_some(&mapping.name);
                adopted.into_iter().chain(&mapping.renamed_from).map(Name::kernel)
            })
            .collect();
        let mut observed = Self::read_devices(kernel, |listed| match &listed.uuid {
            Some(uuid) => uuids.contains(uuid) || uuid.is_of(&map.owner),
            None => taken_over.contains(listed.name.kernel()),
        })?;
        for mapping in map.mappings.values() {
            for row in &mapping.rows {
                for lower in row.target.lowers(0) {
                    observed.resolve(kernel, lower.device, mapping.wait)?;
                }
                for metadata in row.target.metadata() {
                    observed.read_head(kernel, metadata.device, metadata.offset, metadata.length);
                }
            }
        }
        Ok(observed)
    }

    /// Reads the list, and the tables of the devices that `wanted` picks.
    pub fn read_devices(
        kernel: &dyn ReadKernel,
        wanted: impl Fn(&Listed) -> bool,
    ) -> Result<Self, KernelError> {
        let mut observed = Self::default();
        for listed in kernel.list()? {
            let mut seen = Seen { listed, mapped: None };
            if wanted(&seen.listed) {
                seen.mapped = kernel.device(&seen.id(), Slot::Live)?;
                if seen.mapped.is_none() {
                    // It went away between the two calls.
                    continue;
                }
            }
            observed.add(seen);
        }
        Ok(observed)
    }

    fn add(&mut self, seen: Seen) {
        let index = self.devices.len();
        self.by_name.insert(seen.listed.name.plain().into_owned(), index);
        self.by_number.insert(seen.listed.number, index);
        if let Some(uuid) = &seen.listed.uuid {
            self.by_uuid.insert(uuid.clone(), index);
        }
        self.devices.push(seen);
    }

    fn resolve(
        &mut self,
        kernel: &dyn ReadKernel,
        device: &Device,
        patience: Duration,
    ) -> Result<(), KernelError> {
        if device.key().is_some() || self.resolved.contains_key(&device.form) {
            return Ok(());
        }
        let deadline = Instant::now() + patience;
        let number = loop {
            match kernel.resolve(device)? {
                None if Instant::now() < deadline => thread::sleep(LOOK_AGAIN),
                found => break found,
            }
        };
        if let Some(number) = number {
            self.resolved.insert(device.form.clone(), number);
            if let Entry::Vacant(unknown) = self.blocks.entry(number)
                && let Some(block) = kernel.block_device(number)?
            {
                unknown.insert(block);
            }
        }
        Ok(())
    }

    fn read_head(&mut self, kernel: &dyn ReadKernel, device: &Device, offset: u64, length: usize) {
        // A mapping of the map is looked at where it is now, if it is.
        if let Some(number) = self.number(device)
            && let Some(head) = kernel.peek(number, offset, length)
        {
            self.heads.insert((number, offset), head);
        }
    }

    /// Learns who uses these devices. It is asked only about those that a plan touches.
    pub fn learn_users(
        &mut self,
        kernel: &dyn ReadKernel,
        numbers: impl IntoIterator<Item = DevNum>,
    ) -> Result<(), KernelError> {
        for number in numbers {
            if let Entry::Vacant(unknown) = self.users.entry(number) {
                unknown.insert(kernel.users(number)?);
            }
        }
        Ok(())
    }

    /// The device of this name, compared in the plain form.
    #[must_use]
    pub fn by_name(&self, name: &Name) -> Option<&Seen> {
        self.by_name.get(name.plain().as_ref()).map(|index| &self.devices[*index])
    }

    /// The device of this uuid.
    #[must_use]
    pub fn by_uuid(&self, uuid: &Uuid) -> Option<&Seen> {
        self.by_uuid.get(uuid).map(|index| &self.devices[*index])
    }

    /// The mapped device of this number.
    #[must_use]
    pub fn by_number(&self, number: DevNum) -> Option<&Seen> {
        self.by_number.get(&number).map(|index| &self.devices[*index])
    }

    /// The number of a device as a map writes it; none for a mapping, and for what is not there.
    #[must_use]
    pub fn number(&self, device: &Device) -> Option<DevNum> {
        self.resolved.get(&device.form).copied()
    }

    /// A lower device by its number.
    #[must_use]
    pub fn block(&self, number: DevNum) -> Option<&BlockDevice> {
        self.blocks.get(&number)
    }

    /// Who uses a device, as far as it was asked about.
    #[must_use]
    pub fn users(&self, number: DevNum) -> Option<&Users> {
        self.users.get(&number)
    }

    /// What stands at `offset` of a device, as far as it could be read.
    #[must_use]
    pub fn head(&self, number: DevNum, offset: u64) -> Option<&[u8]> {
        self.heads.get(&(number, offset)).map(Vec::as_slice)
    }
}
