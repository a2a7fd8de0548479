//! Block devices of every driver, as sysfs shows them.

use std::fs;
use std::path::Path;

use super::stacking;
use super::sysfs::{SYSFS, exists, failed, folder, is_sysfs, read_number};
use crate::identity::DevNum;
use crate::kernel::{BlockDevice, KernelError, Partition};

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
            None => stacking::lower(&folder)?,
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
    is_sysfs()?;
    let entries = fs::read_dir(path).map_err(|error| failed("read", path, error))?;
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(|error| failed("read", path, error))?.file_name();
        numbers.extend(name.to_str().and_then(DevNum::parse));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_block_device_is_none() {
        assert_eq!(block_device(DevNum::new(4095, 1_048_575)).unwrap(), None);
    }
}
