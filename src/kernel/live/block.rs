//! Block devices of every driver, as sysfs shows them.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};

use super::stacking;
use crate::device::{Device, Form};
use crate::identity::DevNum;
use crate::kernel::{BlockDevice, KernelError, Partition};

/// Where sysfs lists block devices by number.
const SYSFS: &str = "/sys/dev/block";

/// Returns the number in a node's `st_rdev`.
pub(super) fn numbered(rdev: u64) -> DevNum {
    let part = |part: u64| u32::try_from(part).unwrap_or(u32::MAX);
    DevNum::new(part(major(rdev)), part(minor(rdev)))
}

/// Returns the folder of a device in sysfs.
pub(super) fn folder(number: DevNum) -> PathBuf {
    Path::new(SYSFS).join(number.to_string())
}

/// Reads the number of the block device at `path`, through any links; `None` when it is not a block device.
pub(super) fn at_path(path: &Path) -> Result<Option<DevNum>, KernelError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.file_type().is_block_device().then(|| numbered(metadata.rdev()))),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(failed("look up", path, error)),
    }
}

pub(super) fn resolve(device: &Device) -> Result<Option<DevNum>, KernelError> {
    match (&device.form, device.path()) {
        (Form::Number(number), _) => Ok(exists(*number)?.then_some(*number)),
        (_, Some(path)) => at_path(Path::new(path.as_ref())),
        (_, None) => Ok(None),
    }
}

pub(super) fn block_device(number: DevNum) -> Result<Option<BlockDevice>, KernelError> {
    if !exists(number)? {
        return Ok(None);
    }
    let folder = folder(number);
    // A partition has the queue of the disk it is a part of.
    let is_partition = folder.join("partition").exists();
    let queue = if is_partition { "../queue" } else { "queue" };
    let read = || {
        let partition = if is_partition { Some(stacking::partition(&folder)?) } else { None };
        let lower = match partition {
            Some(Partition { disk, .. }) => vec![disk],
            None => stacking::lower(&folder),
        };
        Ok(BlockDevice {
            partition,
            lower,
            number,
            sectors: read_number(&folder.join("size"))?,
            read_only: read_number::<u8>(&folder.join("ro"))? != 0,
            logical_block_size: read_number(&folder.join(queue).join("logical_block_size"))?,
        })
    };
    match read() {
        Ok(device) => Ok(Some(device)),
        // It may be removed while it is read.
        Err(_) if !exists(number)? => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn all() -> Result<Vec<DevNum>, KernelError> {
    let path = Path::new(SYSFS);
    let entries = fs::read_dir(path).map_err(|error| failed("read", path, error))?;
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(|error| failed("read", path, error))?.file_name();
        numbers.extend(name.to_str().and_then(DevNum::parse));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Returns the path of a device's node in devtmpfs: below `/dev`, under the kernel's own name for it.
pub(super) fn node(number: DevNum) -> Option<PathBuf> {
    let uevent = fs::read_to_string(folder(number).join("uevent")).ok()?;
    let name = uevent.lines().find_map(|line| line.strip_prefix("DEVNAME="))?;
    Some(Path::new("/dev").join(name))
}

/// Tells whether a device has this number. Without sysfs that is not known, which is an error.
fn exists(number: DevNum) -> Result<bool, KernelError> {
    match fs::metadata(folder(number)) {
        Ok(_) => Ok(true),
        Err(error) if is_absent(&error) => match fs::metadata(SYSFS) {
            Ok(_) => Ok(false),
            Err(error) => {
                Err(failed("look for block devices (is sysfs mounted?) in", Path::new(SYSFS), error))
            }
        },
        Err(error) => Err(failed("look up", &folder(number), error)),
    }
}

/// Reads the number in a file of sysfs.
pub(super) fn read_number<T: std::str::FromStr>(path: &Path) -> Result<T, KernelError> {
    let text = fs::read_to_string(path).map_err(|error| failed("read", path, error))?;
    text.trim().parse().map_err(|_| {
        let source = io::Error::new(ErrorKind::InvalidData, format!("`{}` is not a number", text.trim()));
        failed("read", path, source)
    })
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

pub(super) fn failed(verb: &str, path: &Path, source: io::Error) -> KernelError {
    KernelError::Io { what: format!("{verb} {}", path.display()), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_block_device_is_none() {
        for path in ["/dev/null", "/proc/self/status", "/nowhere/at/all", "/proc/self/status/x", "/"] {
            assert_eq!(resolve(&Device::parse(path).unwrap()).unwrap(), None, "{path}");
        }
        assert_eq!(resolve(&Device::parse("4095:1048575").unwrap()).unwrap(), None);
        assert_eq!(block_device(DevNum::new(4095, 1_048_575)).unwrap(), None);
    }
}
