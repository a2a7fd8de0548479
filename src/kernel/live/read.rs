//! Reads the running kernel.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};

use nix::errno::Errno;

use super::control::{label, malformed, refused, unwritable};
use super::raw::Command;
use super::wire::{Request, flag};
use super::{
    Live, block, hallmarks, keyrings, lookup, modules, openers, paths, peek, stacking, sysfs, users,
};
use crate::device::Device;
use crate::identity::DevNum;
use crate::kernel::{
    Absence, BlockDevice, Call, DeviceState, DeviceStatus, Hallmarks, HostPart, Id, KernelError, ListEntry,
    QueueFacts, ReadKernel, Slot, Users, Version,
};
use crate::keys::Keyring;

impl ReadKernel for Live {
    fn version(&self) -> Result<Version, KernelError> {
        let (major, minor, patch) =
            self.control.dm().version().map_err(|error| refused(Call::Version, String::new(), error))?;
        Ok(Version(major, minor, patch))
    }

    fn list(&self) -> Result<Vec<ListEntry>, KernelError> {
        let answer = self.control.call(Command::ListDevices, &Request::new(flag::UUID));
        let answer = answer.map_err(|errno| KernelError::Refused {
            call: Call::List,
            device: String::new(),
            errno,
            log: None,
        })?;
        let entries = answer.list().map_err(|why| malformed(Call::List, "", why))?;
        let mut list = Vec::with_capacity(entries.len());
        for mut entry in entries {
            if !entry.uuid_known {
                let info = self.info(&Id::Name(entry.listed.name.clone()))?;
                entry.listed.uuid = info.and_then(|info| info.uuid);
            }
            list.push(entry.listed);
        }
        Ok(list)
    }

    fn device(&self, id: &Id, slot: Slot) -> Result<Option<DeviceState>, KernelError> {
        let inactive = if slot == Slot::Inactive { flag::QUERY_INACTIVE } else { 0 };
        let request = Request::about(id, flag::STATUS_TABLE | flag::SECURE_DATA | inactive)
            .map_err(|why| unwritable(Call::Table, &label(id), why))?;
        let answer = match self.ask(Call::Table, Command::TableStatus, id, &request) {
            Err(error) if error.errno() == Some(Errno::ENXIO) => return Ok(None),
            answer => answer?,
        };
        let mapped = || Ok(DeviceState { info: answer.info()?, table: answer.table()?.into() });
        mapped().map(Some).map_err(|why| malformed(Call::Table, &label(id), why))
    }

    fn status(&self, id: &Id) -> Result<Option<DeviceStatus>, KernelError> {
        let request = Request::about(id, flag::NO_FLUSH | flag::SECURE_DATA)
            .map_err(|why| unwritable(Call::Status, &label(id), why))?;
        let answer = match self.ask(Call::Status, Command::TableStatus, id, &request) {
            Err(error) if error.errno() == Some(Errno::ENXIO) => return Ok(None),
            answer => answer?,
        };
        let read = || Ok(DeviceStatus { info: answer.info()?, rows: answer.status()? });
        read().map(Some).map_err(|why| malformed(Call::Status, &label(id), why))
    }

    fn keep_still(&self) -> Option<Box<dyn Any>> {
        self.still.as_ref().map_or_else(|| Some(Box::new(()) as Box<dyn Any>), |still| still())
    }

    fn targets(&self) -> Result<BTreeMap<String, Version>, KernelError> {
        let versions = self.control.dm().list_versions();
        let versions = versions.map_err(|error| refused(Call::Targets, String::new(), error))?;
        Ok(versions.into_iter().map(|(name, a, b, c)| (name, Version(a, b, c))).collect())
    }

    fn loadable_targets(&self) -> Option<BTreeSet<String>> {
        modules::loadable()
    }

    fn resolve(&self, device: &Device) -> Result<Option<DevNum>, KernelError> {
        lookup::resolve(device)
    }

    fn absence(&self, device: &Device) -> Absence {
        lookup::absence(device)
    }

    fn block_device(&self, number: DevNum) -> Result<Option<BlockDevice>, KernelError> {
        block::block_device(number)
    }

    fn partitions(&self, disk: DevNum) -> Result<Vec<DevNum>, KernelError> {
        stacking::partitions(disk)
    }

    fn block_devices(&self) -> Result<Vec<DevNum>, KernelError> {
        block::all()
    }

    fn paths(&self) -> Result<BTreeMap<DevNum, Vec<String>>, KernelError> {
        Ok(paths::paths())
    }

    fn driver_name(&self, number: DevNum) -> Option<String> {
        sysfs::driver_name(number)
    }

    fn recorded_paths(&self, number: DevNum) -> BTreeSet<String> {
        paths::recorded(number)
    }

    fn hallmarks(&self, number: DevNum) -> Hallmarks {
        hallmarks::hallmarks(number)
    }

    fn users(&self, number: DevNum) -> Result<Users, KernelError> {
        Ok(users::users(number))
    }

    fn openers(&self, numbers: &BTreeSet<DevNum>) -> BTreeMap<DevNum, Users> {
        openers::openers(numbers)
    }

    fn peek(&self, number: DevNum, offset: u64, length: usize) -> Option<Vec<u8>> {
        if self.opens_none { None } else { peek::read_direct(number, offset, length) }
    }

    fn hidden(&self) -> BTreeSet<HostPart> {
        sysfs::hidden().into_iter().chain(users::hidden()).chain(openers::hidden()).collect()
    }

    fn in_flight(&self, number: DevNum) -> u64 {
        sysfs::in_flight(number)
    }

    fn queue(&self, number: DevNum) -> QueueFacts {
        sysfs::queue(number)
    }

    fn keeps_tags(&self, number: DevNum) -> bool {
        sysfs::keeps_tags(number)
    }

    fn has_key(&self, key: &Keyring) -> Option<bool> {
        keyrings::has_key(key)
    }

    fn answers(&self, number: DevNum) -> bool {
        peek::read_direct(number, 0, 1).is_some()
    }
}
