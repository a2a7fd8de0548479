//! The calls that only read.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use nix::errno::Errno;
use smol_str::SmolStr;

use super::Simulated;
use super::blocks::in_bytes;
use super::change::called;
use super::mapping::Mapping;
use super::queue;
use super::status;
use super::thin_content;
use crate::device::{Device, Form};
use crate::identity::DevNum;
use crate::kernel::{
    Absence, BlockDevice, Call, DeviceState, DeviceStatus, Hallmarks, HostPart, Id, KernelError, ListEntry,
    QueueFacts, ReadKernel, Slot, Unseen, Users, Version,
};
use crate::keys::Keyring;
use crate::thin_metadata::{self, PoolContent, Unreadable};

impl ReadKernel for Simulated {
    fn version(&self) -> Result<Version, KernelError> {
        let mut inner = self.inner();
        inner.faults.calls.push((Call::Version, SmolStr::default()));
        Ok(inner.model.kernel.ioctl_version)
    }

    fn list(&self) -> Result<Vec<ListEntry>, KernelError> {
        let mut inner = self.inner();
        inner.faults.calls.push((Call::List, SmolStr::default()));
        let listed = |mapping: &Mapping| ListEntry {
            name: mapping.name.clone(),
            uuid: mapping.uuid.clone(),
            number: mapping.number,
        };
        Ok(inner.model.by_name().map(listed).collect())
    }

    fn device(&self, id: &Id, slot: Slot) -> Result<Option<DeviceState>, KernelError> {
        let mut inner = self.inner();
        let found = inner.model.find_near(id, inner.next);
        let next = found.map_or(0, |(slot, _)| slot + 1);
        let called = called(found.map(|(_, mapping)| mapping), id);
        let answer = found.map(|(_, mapping)| mapping.state(slot));
        inner.next = next;
        inner.faults.calls.push((Call::Table, called));
        Ok(answer)
    }

    fn status(&self, id: &Id) -> Result<Option<DeviceStatus>, KernelError> {
        let mut inner = self.inner();
        let found = inner.model.find_near(id, inner.next).map(|(_, mapping)| mapping);
        let called = called(found, id);
        let answer = found.map(|mapping| status::of(&inner.model, mapping));
        inner.faults.calls.push((Call::Status, called));
        Ok(answer)
    }

    fn targets(&self) -> Result<BTreeMap<String, Version>, KernelError> {
        let mut inner = self.inner();
        inner.faults.calls.push((Call::Targets, SmolStr::default()));
        Ok(inner.model.kernel.targets.clone())
    }

    fn has_target(&self, kind: &str) -> bool {
        self.inner().model.kernel.has_type(kind)
    }

    fn loadable_targets(&self) -> Option<BTreeSet<String>> {
        self.inner().model.kernel.loadable.clone()
    }

    fn resolve(&self, device: &Device) -> Result<Option<DevNum>, KernelError> {
        let model = &self.inner().model;
        Ok(match &device.form {
            Form::Mapping(_) => None,
            Form::Number(number) => {
                Some(*number).filter(|n| model.disk(*n).is_some() || model.mapping(*n).is_some())
            }
            Form::Path(_) | Form::Tag(..) => model.at_paths(device),
        })
    }

    fn absence(&self, device: &Device) -> Absence {
        let model = &self.inner().model;
        let found = |path: Cow<'_, str>| Some((path.to_string(), model.at_path(&path)?));
        let found: Vec<(String, DevNum)> = device.paths().into_iter().filter_map(found).collect();
        found.try_into().map_or(Absence::Missing, |links| Absence::Ambiguous { links })
    }

    fn block_device(&self, number: DevNum) -> Result<Option<BlockDevice>, KernelError> {
        let model = &self.inner().model;
        if model.kernel.unseen.contains(&HostPart::BlockDevices) {
            return Err(hidden("/sys/dev/block"));
        }
        let read_only = model
            .disk(number)
            .map(|disk| disk.read_only)
            .or_else(|| model.mapping(number).map(|mapping| mapping.access.is_read_only()))
            .unwrap_or_default();
        Ok(model.sectors(number).map(|sectors| BlockDevice {
            number,
            sectors,
            read_only,
            logical_block_size: in_bytes(model.block(number)),
            partition: model.disk(number).and_then(|disk| disk.partition),
            lower: model.lower(number),
        }))
    }

    fn partitions(&self, disk: DevNum) -> Result<Vec<DevNum>, KernelError> {
        let model = &self.inner().model;
        Ok(model.partitions(disk).map(|part| part.number).collect())
    }

    fn block_devices(&self) -> Result<Vec<DevNum>, KernelError> {
        let model = &self.inner().model;
        if model.kernel.unseen.contains(&HostPart::BlockDevices) {
            return Err(hidden("/sys/dev/block"));
        }
        let mut numbers: Vec<DevNum> = model.disks.keys().copied().collect();
        numbers.extend(model.mappings().map(|mapping| mapping.number));
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn paths(&self) -> Result<BTreeMap<DevNum, Vec<String>>, KernelError> {
        let model = &self.inner().model;
        let disks = model.disks.iter().map(|(number, disk)| (*number, disk.paths.clone()));
        let mappings = model.mappings().map(|mapping| {
            let number = mapping.number;
            // A path that is not UTF-8 is not listed.
            let node = (!mapping.name.is_bytes()).then(|| format!("/dev/mapper/{}", mapping.name.kernel()));
            let own = [format!("/dev/dm-{}", number.minor)].into_iter().chain(node);
            (number, own.chain(mapping.paths.iter().cloned()).collect())
        });
        Ok(disks.chain(mappings).filter(|(_, paths): &(_, Vec<String>)| !paths.is_empty()).collect())
    }

    fn has_key(&self, key: &Keyring) -> Option<bool> {
        self.inner().model.has_key(key)
    }

    fn driver_name(&self, number: DevNum) -> Option<String> {
        let model = &self.inner().model;
        if model.mapping(number).is_some() {
            return Some(format!("dm-{}", number.minor));
        }
        // The first path of a disk is its own node.
        let path = model.disk(number)?.paths.first()?;
        let name = path.strip_prefix("/dev/").filter(|name| !name.contains('/'));
        Some(name.unwrap_or(path).to_string())
    }

    fn in_flight(&self, number: DevNum) -> u64 {
        self.inner().model.mapping(number).map_or(0, |mapping| mapping.in_flight)
    }

    fn queue(&self, number: DevNum) -> QueueFacts {
        queue::facts(&self.inner().model, number)
    }

    fn keeps_tags(&self, number: DevNum) -> bool {
        self.inner().model.disk(number).is_some_and(|disk| disk.keeps_tags)
    }

    fn recorded_paths(&self, number: DevNum) -> BTreeSet<String> {
        let model = &self.inner().model;
        let disk = model.disk(number).into_iter();
        let mapping = model.mapping(number).into_iter().flat_map(|mapping| mapping.paths.iter());
        let named = disk.flat_map(|disk| disk.paths.iter().chain(&disk.lost_paths)).chain(mapping);
        let node = model.mapping(number).map(|_| format!("/dev/dm-{}", number.minor));
        named.cloned().chain(node).collect()
    }

    fn hallmarks(&self, number: DevNum) -> Hallmarks {
        self.inner().model.hallmarks(number)
    }

    fn users(&self, number: DevNum) -> Result<Users, KernelError> {
        let model = &self.inner().model;
        let (foreign, mounts, swap) = match (model.disk(number), model.mapping(number)) {
            (Some(disk), _) => (&disk.holders[..], &disk.mounts[..], disk.swap),
            (None, Some(mapping)) => (&mapping.holders[..], &mapping.mounts[..], mapping.swap),
            (None, None) => return Ok(Users::default()),
        };
        let mut holders: Vec<DevNum> =
            model.held_by(number).into_iter().chain(foreign.iter().copied()).collect();
        holders.sort_unstable();
        holders.dedup();
        let mut users = Users { holders, mounts: mounts.to_vec(), swap, ..Users::default() };
        hide(&mut users, &model.kernel.unseen);
        Ok(users)
    }

    fn openers(&self, numbers: &BTreeSet<DevNum>) -> BTreeMap<DevNum, Users> {
        let model = &self.inner().model;
        let is_unseen = model.kernel.unseen.contains(&HostPart::Processes);
        let unseen_processes = is_unseen.then(|| Unseen::reading("/proc", DENIED));
        let known = |number: &DevNum| {
            let mapping = model.mapping(*number)?;
            let processes = if is_unseen { Vec::new() } else { mapping.processes.clone() };
            Some((
                *number,
                Users { processes, unseen_processes: unseen_processes.clone(), ..Users::default() },
            ))
        };
        numbers.iter().filter_map(known).filter(|(_, users)| *users != Users::default()).collect()
    }

    fn hidden(&self) -> BTreeSet<HostPart> {
        self.inner().model.kernel.unseen.clone()
    }

    fn peek(&self, number: DevNum, offset: u64, length: usize) -> Option<Vec<u8>> {
        self.inner().model.peek(number, offset, length)
    }

    /// The model of a pool is believed before the bytes of its metadata, which it does not write.
    fn thin_metadata(&self, device: DevNum, sector: u64) -> Result<PoolContent, Unreadable> {
        self.inner().faults.pool_reads += 1;
        let modelled = thin_content::read(&self.inner().model, device, sector);
        modelled.unwrap_or_else(|| {
            thin_metadata::read_from(device, sector, &|at, offset, length| self.peek(at, offset, length))
        })
    }
}

/// The answer about a part that is not visible.
const DENIED: &str = "permission denied";

fn hidden(path: &str) -> KernelError {
    KernelError::Io { what: format!("read {path}"), source: Errno::EACCES.into() }
}

/// Takes away what can't be seen of the users of a device.
fn hide(users: &mut Users, unseen: &BTreeSet<HostPart>) {
    for part in unseen {
        let path = match part {
            HostPart::BlockDevices => {
                users.holders.clear();
                "/sys/dev/block"
            }
            HostPart::Mounts => {
                users.mounts.clear();
                "/proc/self/mountinfo"
            }
            HostPart::Swaps => {
                users.swap = false;
                "/proc/swaps"
            }
            HostPart::Processes => continue,
        };
        users.unseen.push(Unseen::reading(path, DENIED));
    }
}
