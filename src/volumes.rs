//! The volumes that a thin pool holds, and the devices that have them.
//!
//! The kernel has no list of the volumes of a pool: they are read from its metadata on disk ([`thin_metadata`]), of which the
//! pool's table tells the device. A volume is in use by every device of whose two tables one has a row with its id.
//!
//! [`thin_metadata`]: crate::thin_metadata

use std::collections::BTreeMap;

use thiserror::Error;

use crate::identity::{Called, DevNum, Name};
use crate::kernel::{DeviceState, Id, KernelError, ListEntry, ReadKernel, Slot};
use crate::table::RawRow;
use crate::targets::{self, Target, VolumeList};
use crate::thin_metadata::{PoolContent, Unreadable};

/// A pool, and what it holds.
#[derive(Debug)]
pub struct PoolVolumes {
    /// The device of the pool.
    pub pool: ListEntry,
    /// The device of its metadata.
    pub metadata: DevNum,
    /// The content of its metadata, the volumes among it.
    pub content: PoolContent,
    /// The devices that have a volume, by its id and then by their names.
    pub users: BTreeMap<u32, Vec<VolumeUser>>,
}

/// A device that has a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeUser {
    /// The device.
    pub device: ListEntry,
    /// The table with the volume: the inactive one only where the live one does not have it.
    pub slot: Slot,
}

/// Why the volumes of a device can't be told.
#[derive(Debug, Error)]
pub enum VolumesError {
    /// The device is not a pool.
    #[error("`{name}` is not a thin pool")]
    NotAPool {
        /// The name of the device.
        name: Name,
        /// The pool of the first volume that it has.
        pool: Option<Called>,
    },
    /// The kernel prints a failure in place of the table of the pool.
    #[error("the pool `{name}` has failed: the kernel does not tell where its metadata is")]
    Failed {
        /// The name of the device.
        name: Name,
    },
    /// The metadata can't be read.
    #[error("the volumes of `{name}` can't be told: {why} (its metadata is on {metadata})")]
    Unreadable {
        /// The name of the device.
        name: Name,
        /// The device of the metadata.
        metadata: Called,
        /// What is wrong.
        why: Unreadable,
    },
    /// The device is gone.
    #[error("the device `{name}` went away while it was read")]
    Gone {
        /// The name of the device.
        name: Name,
    },
    /// A call of the kernel failed.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// Reads what a pool holds. One call for the pool and one for each device above it, besides the reads of the metadata.
pub fn read(kernel: &dyn ReadKernel, pool: ListEntry) -> Result<PoolVolumes, VolumesError> {
    let Some(state) = table(kernel, &pool, Slot::Live)? else {
        return Err(VolumesError::Gone { name: pool.name });
    };
    let rows = || state.table.iter().filter_map(target);
    let Some(row) = rows().find(|row| row.volume_list().is_some()) else {
        let of = rows().find_map(|row| row.volume().and_then(|(pool, _)| pool.number));
        let pool_of = of.map(|number| called(kernel, number)).transpose()?;
        return Err(VolumesError::NotAPool { name: pool.name, pool: pool_of });
    };
    let metadata = match row.volume_list() {
        Some(VolumeList::On(device)) => device.number,
        Some(VolumeList::Untold) | None => None,
    };
    let Some(metadata) = metadata else { return Err(VolumesError::Failed { name: pool.name }) };
    let content = match kernel.thin_metadata(metadata, 0) {
        Ok(content) => content,
        Err(why) => {
            let metadata = called(kernel, metadata)?;
            return Err(VolumesError::Unreadable { name: pool.name, metadata, why });
        }
    };
    let users = users(kernel, pool.number)?;
    Ok(PoolVolumes { pool, metadata, content, users })
}

/// Whether a device is a pool.
pub(crate) fn is_pool(kernel: &dyn ReadKernel, device: &ListEntry) -> Result<bool, KernelError> {
    let state = table(kernel, device, Slot::Live)?;
    let has_volumes = |row: &RawRow| target(row).is_some_and(|row| row.volume_list().is_some());
    Ok(state.is_some_and(|state| state.table.iter().any(has_volumes)))
}

fn target(row: &RawRow) -> Option<Box<dyn Target>> {
    targets::parse(&row.kind, row.params()).ok()
}

fn table(
    kernel: &dyn ReadKernel,
    device: &ListEntry,
    slot: Slot,
) -> Result<Option<DeviceState>, KernelError> {
    kernel.device(&Id::stable(&device.name, device.uuid.as_ref()), slot)
}

/// Names a device.
fn called(kernel: &dyn ReadKernel, number: DevNum) -> Result<Called, KernelError> {
    let mapped = kernel.list()?.into_iter().find(|device| device.number == number);
    let name = mapped.map(|device| device.name.to_string()).or_else(|| kernel.driver_name(number));
    Ok(Called { name, number })
}

/// Finds the devices that have the volumes of a pool.
fn users(kernel: &dyn ReadKernel, pool: DevNum) -> Result<BTreeMap<u32, Vec<VolumeUser>>, KernelError> {
    let above = kernel.users(pool)?;
    // Where the devices above can't be seen, each table is looked at.
    let is_above = |device: &ListEntry| !above.unseen.is_empty() || above.holders.contains(&device.number);
    let mut users = BTreeMap::<u32, Vec<VolumeUser>>::new();
    let mut listed = kernel.list()?;
    listed.sort_by(|one, two| one.name.cmp(&two.name));
    for device in listed.into_iter().filter(is_above) {
        let mut add = |state: &DeviceState, slot: Slot| {
            for id in state.table.iter().filter_map(target).filter_map(|row| id_in(row.as_ref(), pool)) {
                let of = users.entry(id).or_default();
                if of.last().is_none_or(|user| user.device.number != device.number) {
                    of.push(VolumeUser { device: device.clone(), slot });
                }
            }
        };
        let Some(live) = table(kernel, &device, Slot::Live)? else { continue };
        add(&live, Slot::Live);
        if live.info.inactive_table
            && let Some(inactive) = table(kernel, &device, Slot::Inactive)?
        {
            add(&inactive, Slot::Inactive);
        }
    }
    Ok(users)
}

/// Returns the id of the volume that a row has of a pool.
fn id_in(row: &dyn Target, pool: DevNum) -> Option<u32> {
    row.volume().filter(|(of, _)| of.number == Some(pool)).map(|(_, id)| id)
}
