//! Reads files of sysfs: the folder of a block device, and the numbers in its files.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};
use nix::sys::statfs::{SYSFS_MAGIC, statfs};

use crate::identity::{DevNum, printable_path};
use crate::kernel::{HostPart, KernelError, QueueFacts};

/// Where sysfs lists block devices by number.
pub(super) const SYSFS: &str = "/sys/dev/block";

/// Returns the number in a node's `st_rdev`.
pub(super) fn numbered(rdev: u64) -> DevNum {
    let part = |part: u64| u32::try_from(part).unwrap_or(u32::MAX);
    DevNum::new(part(major(rdev)), part(minor(rdev)))
}

/// Returns the folder of a device in sysfs.
pub(super) fn folder(number: DevNum) -> PathBuf {
    Path::new(SYSFS).join(number.to_string())
}

/// Returns the kernel's own name for a device, under which devtmpfs has its node.
pub(super) fn driver_name(number: DevNum) -> Option<String> {
    let uevent = fs::read_to_string(folder(number).join("uevent")).ok()?;
    uevent.lines().find_map(|line| line.strip_prefix("DEVNAME=")).map(ToString::to_string)
}

/// Returns the path of a device's node in devtmpfs.
pub(super) fn node(number: DevNum) -> Option<PathBuf> {
    driver_name(number).map(|name| Path::new("/dev").join(name))
}

/// Counts the reads and writes in flight (`part_inflight_show` in `block/genhd.c`). A device without a queue, as a mapped
/// one of bios is, counts them as well (`dm_start_io_acct` in `drivers/md/dm.c`).
pub(super) fn in_flight(number: DevNum) -> u64 {
    let text = fs::read_to_string(folder(number).join("inflight")).unwrap_or_default();
    text.split_whitespace().filter_map(|count| count.parse::<u64>().ok()).sum()
}

/// Tells whether a device keeps tags that its users fill: before Linux 6.11 only those that have the profile of
/// Device Mapper itself, from then on all whose profile is empty (`format_show` in `block/blk-integrity.c`). A partition has
/// the profile of its disk.
pub(super) fn keeps_tags(number: DevNum) -> bool {
    let read = |place: &str| fs::read_to_string(folder(number).join(place)).ok();
    let format = read("integrity/format").or_else(|| read("../integrity/format"));
    format.is_some_and(|format| matches!(format.trim_end(), "nop" | "DM-DIF-EXT-TAG"))
}

/// Reads how a device takes I/O. One that takes requests has a folder `mq` (`blk_mq_sysfs_register`, called by
/// `blk_register_queue` in `block/blk-sysfs.c` where `queue_is_mq`); a partition has none, whatever its disk takes.
/// `queue/dax` is `queue_dax_show` there; a partition has the queue of its disk.
pub(super) fn queue(number: DevNum) -> QueueFacts {
    let folder = folder(number);
    let dax = |place: &str| read_number::<u8>(&folder.join(place)).ok();
    QueueFacts {
        takes_requests: folder.join("mq").is_dir(),
        is_memory: dax("queue/dax").or_else(|| dax("../queue/dax")) == Some(1),
    }
}

/// Tells whether a device has this number. Without sysfs that is not known, which is an error.
pub(super) fn exists(number: DevNum) -> Result<bool, KernelError> {
    match fs::metadata(folder(number)) {
        Ok(_) => is_sysfs().map(|()| true),
        Err(error) if is_absent(&error) => is_sysfs().map(|()| false),
        Err(error) => Err(failed("look up", &folder(number), error)),
    }
}

/// Fails where the folder of block devices is missing, or is not sysfs: in a container it may be a folder of the container's
/// own.
pub(super) fn is_sysfs() -> Result<(), KernelError> {
    let look = |error| failed("look for block devices (is sysfs mounted?) in", Path::new(SYSFS), error);
    let mounted = statfs(SYSFS).map_err(|errno| look(errno.into()))?;
    if mounted.filesystem_type() == SYSFS_MAGIC {
        Ok(())
    } else {
        Err(look(io::Error::new(ErrorKind::InvalidData, "it is not sysfs")))
    }
}

/// Tells that block devices are not visible.
pub(super) fn hidden() -> Option<HostPart> {
    is_sysfs().is_err().then_some(HostPart::BlockDevices)
}

/// Reads the number in a file of sysfs.
pub(super) fn read_number<T: std::str::FromStr>(path: &Path) -> Result<T, KernelError> {
    let text = fs::read_to_string(path).map_err(|error| failed("read", path, error))?;
    text.trim().parse().map_err(|_| {
        let source = io::Error::new(ErrorKind::InvalidData, format!("`{}` is not a number", text.trim()));
        failed("read", path, source)
    })
}

pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

pub(super) fn failed(verb: &str, path: &Path, source: io::Error) -> KernelError {
    KernelError::Io { what: format!("{verb} {}", printable_path(path)), source }
}
