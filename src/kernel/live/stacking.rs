//! Reads how block devices of every driver are stacked: partitions on disks, arrays on their members, loop devices on
//! the device with their file.
//!
//! sysfs lists the lower devices of mapped devices and arrays (`bd_link_disk_holder` in `block/holder.c`), for the live and
//! the inactive table alike. It does not list the device below a loop device: that follows from the file.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::sysfs::{failed, folder, is_absent, numbered, read_number};
use crate::identity::DevNum;
use crate::kernel::{KernelError, Partition};

/// Reads the place of the partition with this folder in sysfs. Its start is in sectors of 512 bytes, whatever the blocks of
/// the disk are (`part_start_show` in `block/partitions/core.c`).
pub(super) fn partition(folder: &Path) -> Result<Partition, KernelError> {
    let disk = folder.join("../dev");
    let number = read_device(&disk).ok_or_else(|| {
        failed("read the disk of a partition from", &disk, std::io::ErrorKind::InvalidData.into())
    })?;
    Ok(Partition { disk: number, start: read_number(&folder.join("start"))? })
}

/// Lists the partitions of a disk.
pub(super) fn partitions(disk: DevNum) -> Result<Vec<DevNum>, KernelError> {
    let path = folder(disk);
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failed("read", &path, error)),
    };
    let mut partitions = Vec::new();
    for entry in entries {
        let part = entry.map_err(|error| failed("read", &path, error))?.path();
        if part.join("partition").exists() {
            partitions.extend(read_device(&part.join("dev")));
        }
    }
    partitions.sort_unstable();
    Ok(partitions)
}

/// Lists the devices directly below a device.
pub(super) fn below(number: DevNum) -> Vec<DevNum> {
    let folder = folder(number);
    if folder.join("partition").exists() {
        read_device(&folder.join("../dev")).into_iter().collect()
    } else {
        // A device that is read is known; one that can't be is not read.
        lower(&folder).unwrap_or_default()
    }
}

/// Lists the devices directly below the one with this folder in sysfs, which is not a partition.
/// Every disk has the list, if only an empty one (`device_add_disk` in `block/genhd.c`).
pub(super) fn lower(folder: &Path) -> Result<Vec<DevNum>, KernelError> {
    let path = folder.join("slaves");
    let mut lower: Vec<DevNum> = behind_loop(folder).into_iter().collect();
    for slave in fs::read_dir(&path).map_err(|error| failed("read", &path, error))? {
        let slave = slave.map_err(|error| failed("read", &path, error))?;
        lower.extend(read_device(&slave.path().join("dev")));
    }
    lower.sort_unstable();
    lower.dedup();
    Ok(lower)
}

/// Returns the device that holds the file of a loop device, or that is the file. A file of a file system without a device
/// has a number with major 0.
fn behind_loop(folder: &Path) -> Option<DevNum> {
    // A path can be any bytes.
    let file = fs::read(folder.join("loop/backing_file")).ok()?;
    let metadata = fs::metadata(OsStr::from_bytes(file.strip_suffix(b"\n").unwrap_or(&file))).ok()?;
    let is_device = metadata.file_type().is_block_device();
    let number = numbered(if is_device { metadata.rdev() } else { metadata.dev() });
    (number.major != 0).then_some(number)
}

/// Reads the number in a `dev` file. A device that was removed just now has none.
fn read_device(path: &Path) -> Option<DevNum> {
    DevNum::parse(fs::read_to_string(path).ok()?.trim())
}
