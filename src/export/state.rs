//! A kernel, whole, as the file of a simulated one.
//!
//! What the file holds is enough for a plan made on it to be the plan of the host: every block device with its
//! links and users, every mapping with both its tables. Three things are not in it. A key is replaced by
//! `<secret>`, and compares as the one that the map has. Of thin pools only the volumes that are in use are
//! known. And of what stands on a disk only this is told: whether the first bytes are zeros, metadata of a
//! target, or something else, for it is none of the file's readers' business.

use std::collections::BTreeSet;

use crate::identity::DevNum;
use crate::kernel::simulated::{
    Disk, FORMAT_VERSION, Hex, KernelFacts, MappingState, Simulated, State, StateRow, is_metadata,
};
use crate::kernel::{DeviceState, Id, KernelError, ListEntry, ReadKernel, Slot};
use crate::secret::Secret;
use crate::table::RawRow;

use super::paths::Paths;

/// How much of a disk is looked at, in bytes: as much as targets look for metadata in.
const HEAD: usize = 4096;

/// Reads all of it.
///
/// # Errors
///
/// What the kernel answers, and [`KernelError::State`] when it shows what no simulated kernel can have.
pub fn state(kernel: &dyn ReadKernel) -> Result<State, KernelError> {
    let listed = kernel.list()?;
    let mapped: BTreeSet<DevNum> = listed.iter().map(|device| device.number).collect();
    let mut paths = kernel.paths()?;
    let mut block_devices = Vec::new();
    for number in kernel.block_devices()?.into_iter().filter(|number| !mapped.contains(number)) {
        block_devices.extend(disk(kernel, number, &mut paths)?);
    }
    let mut mappings = Vec::with_capacity(listed.len());
    for device in &listed {
        mappings.extend(mapping(kernel, device, &mapped, &mut paths)?);
    }
    let facts = KernelFacts { ioctl_version: kernel.version()?, targets: kernel.targets()? };
    let pools = Vec::new();
    let state = State { format_version: FORMAT_VERSION, kernel: facts, block_devices, mappings, pools };
    // The model knows what follows from the tables: what pools hold, and that all of it fits together.
    Ok(Simulated::new(&state)?.state())
}

/// None for a device that went away.
fn disk(kernel: &dyn ReadKernel, number: DevNum, paths: &mut Paths) -> Result<Option<Disk>, KernelError> {
    let Some(block) = kernel.block_device(number)? else { return Ok(None) };
    let users = kernel.users(number)?;
    let unused = users.holders.is_empty() && users.mounts.is_empty() && !users.swap;
    let head = if unused { kernel.peek(number, 0, HEAD).map(told) } else { None };
    Ok(Some(Disk {
        paths: paths.remove(&number).unwrap_or_default(),
        read_only: block.read_only,
        holders: users.holders,
        mounts: users.mounts,
        swap: users.swap,
        logical_block_size: block.logical_block_size,
        head: head.map(Hex),
        ..Disk::new(number, block.sectors)
    }))
}

/// The head of a disk, as far as it is anybody's business: what is no metadata becomes ones.
fn told(head: Vec<u8>) -> Vec<u8> {
    let zeros = head.iter().all(|byte| *byte == 0);
    if zeros || is_metadata(&head) { head } else { vec![0xff; head.len()] }
}

/// None for a mapping that went away.
fn mapping(
    kernel: &dyn ReadKernel,
    device: &ListEntry,
    mapped: &BTreeSet<DevNum>,
    paths: &mut Paths,
) -> Result<Option<MappingState>, KernelError> {
    let id = match &device.uuid {
        Some(uuid) => Id::Uuid(uuid.clone()),
        None => Id::Name(device.name.clone()),
    };
    let Some(live) = kernel.device(&id, Slot::Live)? else { return Ok(None) };
    let inactive = if live.info.inactive_table { kernel.device(&id, Slot::Inactive)? } else { None };
    let users = kernel.users(device.number)?;
    let own = [format!("/dev/dm-{}", device.number.minor), format!("/dev/mapper/{}", device.name.kernel())];
    let links = paths.remove(&device.number).unwrap_or_default();
    Ok(Some(MappingState {
        name: device.name.kernel().to_string(),
        uuid: device.uuid.as_ref().map(|uuid| uuid.text().to_string()),
        number: device.number,
        paths: links.into_iter().filter(|path| !own.contains(path)).collect(),
        suspended: live.info.suspended,
        read_only: live.info.read_only,
        open_count: live.info.open_count,
        event_nr: live.info.event_nr,
        live: live.info.live_table.then(|| rows(&live)),
        inactive: inactive.as_ref().map(rows),
        inactive_read_only: inactive.is_some_and(|inactive| inactive.info.read_only),
        deferred_remove: live.info.deferred_remove,
        mounts: users.mounts,
        swap: users.swap,
        // Who has it open now is gone when the file is planned with.
        processes: Vec::new(),
        holders: users.holders.into_iter().filter(|holder| !mapped.contains(holder)).collect(),
        queue: None,
    }))
}

fn rows(mapped: &DeviceState) -> Vec<StateRow> {
    let row = |target: &RawRow| StateRow {
        start: target.start,
        length: target.length,
        kind: target.kind.to_string(),
        params: Secret::new(target.redacted_params()),
    };
    mapped.table.iter().map(row).collect()
}
