//! The whole state of a kernel, as the file of a simulated one.
//!
//! A plan made on the file is the plan of the host: it holds every block device with its links and users, and every
//! mapping with both its tables. Three things are left out. A key is replaced by `<secret>`, and compares as equal to
//! the one in the map. Of thin pools only the volumes in use are known. Of the content of a disk the file holds only
//! whether its first bytes are zeros, metadata of a target, or other data, which stays private.

use std::collections::BTreeSet;

use crate::device_path::Paths;
use crate::health::{self, DeviceHealth};
use crate::identity::{DevNum, Uuid};
use crate::kernel::simulated::{
    Disk, FORMAT_VERSION, Hex, KernelFacts, MappingState, Simulated, State, StateRow, is_metadata,
};
use crate::kernel::{DeviceState, HostPart, Id, KernelError, ListEntry, ReadKernel, Slot};
use crate::secret::Secret;
use crate::table::RawRow;
use crate::targets;

/// The bytes that are read of a disk: targets look for their metadata in as many.
const HEAD: usize = 4096;

/// Reads the state.
///
/// # Errors
///
/// The error of the kernel; [`KernelError::State`] when it has a state that a simulated kernel can't have.
pub fn state(kernel: &dyn ReadKernel) -> Result<State, KernelError> {
    let mut hidden = kernel.hidden();
    // The processes of now are left out, for they will have ended when the file is used.
    hidden.remove(&HostPart::Processes);
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
    let targets = kernel.targets()?;
    let facts = KernelFacts {
        ioctl_version: kernel.version()?,
        targets,
        loadable: kernel.loadable_targets(),
        keys: None,
        unseen: hidden,
    };
    let pools = Vec::new();
    let state = State { format_version: FORMAT_VERSION, kernel: facts, block_devices, mappings, pools };
    // The model adds what follows from the tables, such as the volumes of pools, and checks the whole.
    Ok(Simulated::new(&state)?.state())
}

/// Reads a disk; `None` when it does not exist any more.
fn disk(kernel: &dyn ReadKernel, number: DevNum, paths: &mut Paths) -> Result<Option<Disk>, KernelError> {
    let Some(block) = kernel.block_device(number)? else { return Ok(None) };
    let users = kernel.users(number)?;
    let unused = users.holders.is_empty() && users.mounts.is_empty() && !users.swap;
    let head = if unused { kernel.peek(number, 0, HEAD).map(without_content) } else { None };
    // A partition has the names of its disk, which the state has there.
    let (marks, is_whole) = (kernel.hallmarks(number), block.partition.is_none());
    let queue = kernel.queue(number);
    Ok(Some(Disk {
        paths: paths.remove(&number).unwrap_or_default(),
        read_only: block.read_only,
        holders: users.holders,
        mounts: users.mounts,
        swap: users.swap,
        logical_block_size: block.logical_block_size,
        keeps_tags: kernel.keeps_tags(number),
        bio_based: is_whole && !queue.takes_requests,
        dax: queue.is_memory,
        partition: block.partition,
        wwid: marks.wwid.filter(|_| is_whole),
        serial: marks.serial.filter(|_| is_whole),
        md_uuid: marks.md_uuid.filter(|_| is_whole),
        backing_file: marks.backing_file.filter(|_| is_whole),
        partuuid: marks.partuuid,
        head: head.map(Hex),
        ..Disk::new(number, block.sectors)
    }))
}

/// Replaces the head of a disk by ones, unless it is zeros or metadata.
fn without_content(head: Vec<u8>) -> Vec<u8> {
    let zeros = head.iter().all(|byte| *byte == 0);
    if zeros || is_metadata(&head) { head } else { vec![0xff; head.len()] }
}

/// Reads a mapping; `None` when it does not exist any more.
fn mapping(
    kernel: &dyn ReadKernel,
    device: &ListEntry,
    mapped: &BTreeSet<DevNum>,
    paths: &mut Paths,
) -> Result<Option<MappingState>, KernelError> {
    let id = Id::stable(&device.name, device.uuid.as_ref());
    let Some(live) = kernel.device(&id, Slot::Live)? else { return Ok(None) };
    let inactive = if live.info.inactive_table { kernel.device(&id, Slot::Inactive)? } else { None };
    let has_state = live.info.live_table && health::has_state(&live.table);
    let fares = if has_state { health::of(kernel, &id, live.clone())? } else { None };
    let users = kernel.users(device.number)?;
    let own = [format!("/dev/dm-{}", device.number.minor), format!("/dev/mapper/{}", device.name.kernel())];
    let links = paths.remove(&device.number).unwrap_or_default();
    Ok(Some(MappingState {
        torn: false,
        name: device.name.kernel().to_string(),
        name_is_bytes: device.name.is_bytes(),
        uuid: device.uuid.as_ref().map(|uuid| uuid.text().to_string()),
        uuid_is_bytes: device.uuid.as_ref().is_some_and(Uuid::is_bytes),
        number: device.number,
        paths: links.into_iter().filter(|path| !own.contains(path)).collect(),
        suspended: live.info.suspended,
        read_only: live.info.read_only,
        open_count: live.info.open_count,
        event_nr: live.info.event_nr,
        live: live.info.live_table.then(|| with_states(rows(&live), fares.as_ref())),
        inactive: inactive.as_ref().map(rows),
        inactive_read_only: inactive.is_some_and(|inactive| inactive.info.read_only),
        deferred_remove: live.info.deferred_remove,
        mounts: users.mounts,
        swap: users.swap,
        // The processes of now will have ended when the file is used.
        processes: Vec::new(),
        holders: users.holders.into_iter().filter(|holder| !mapped.contains(holder)).collect(),
        in_flight: 0,
        queue: None,
        logical_block_size: kernel.block_device(device.number)?.map(|block| block.logical_block_size),
    }))
}

/// Adds the state of each row, where its target has one and it could be read.
fn with_states(rows: Vec<StateRow>, fares: Option<&DeviceHealth>) -> Vec<StateRow> {
    let state = |row: &StateRow| {
        let fares =
            fares?.rows.iter().find(|fares| (fares.start, fares.length) == (row.start, row.length))?;
        fares.text.clone()
    };
    rows.into_iter().map(|row| StateRow { status: state(&row), ..row }).collect()
}

fn rows(mapped: &DeviceState) -> Vec<StateRow> {
    let row = |target: &RawRow| {
        let known = targets::find(&target.kind).is_some();
        // The file is a kernel: what the words of an unknown type mean is unknown, so that they stay whole.
        let params = if known { target.redacted_params() } else { target.params().to_string() };
        StateRow {
            start: target.start,
            length: target.length,
            kind: target.kind.to_string(),
            params: Secret::new(params),
            status: None,
        }
    };
    mapped.table.iter().map(row).collect()
}
