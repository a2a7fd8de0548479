//! Messages that make a lower device ready for a table: the volumes of a thin pool.
//!
//! A volume that is copied must stand still meanwhile. The kernel leaves that to whoever sends the message
//! (`Documentation/admin-guide/device-mapper/thin-provisioning.rst`), so the device that serves it is
//! suspended around the message.

use nix::errno::Errno;

use super::journal::{Done, Journal};
use crate::device::Device;
use crate::diff;
use crate::identity::DevNum;
use crate::kernel::{ChangeKernel, DeviceState, Id, KernelError, ReadKernel, Slot, Suspend};
use crate::plan::Preparation;

/// Sends `text` to the target at `sector` of the device `lower`. That what it orders is there already is no
/// failure.
pub fn send(
    kernel: &dyn ChangeKernel,
    journal: &Journal,
    lower: &Id,
    (sector, text): (u64, &str),
    preparation: &Preparation,
) -> Result<(), String> {
    let user = match preparation.copies {
        Some(volume) => user_of(kernel, lower, volume).map_err(|error| error.to_string())?,
        None => None,
    };
    let message = || match kernel.message(lower, sector, text) {
        Err(error) if error.errno() == Some(Errno::EEXIST) => Ok(()),
        outcome => outcome.map(drop).map_err(|error| error.to_string()),
    };
    let Some(user) = user.filter(|user| !user.info.suspended) else { return message() };
    let info = &user.info;
    let ours = preparation.origin.as_ref().is_some_and(|(_, uuid)| info.uuid.as_ref() == Some(uuid));
    if !ours {
        return Err(format!(
            "the volume to be copied is in use as {0}, which no mapping of this map is; suspend it for the time of the \
             copy, with `dmctl suspend {0}`, or declare it",
            info.name
        ));
    }
    let id = id_of(&user);
    kernel.suspend(&id, Suspend::default()).map_err(|error| error.to_string())?;
    let sent = message();
    if let Err(error) = kernel.resume(&id).or_else(|_| kernel.resume(&id)) {
        journal.push(Done::Suspended { id, name: info.name.clone() });
        return Err(error.to_string());
    }
    sent
}

fn id_of(device: &DeviceState) -> Id {
    let info = &device.info;
    info.uuid.as_ref().map_or_else(|| Id::Name(info.name.clone()), |uuid| Id::Uuid(uuid.clone()))
}

/// The device that serves a volume of the device `lower`, if one does.
fn user_of(kernel: &dyn ReadKernel, lower: &Id, volume: u32) -> Result<Option<DeviceState>, KernelError> {
    let Some(pool) = kernel.device(lower, Slot::Live)? else { return Ok(None) };
    let holders = kernel.users(pool.info.number)?.holders;
    for listed in kernel.list()?.into_iter().filter(|listed| holders.contains(&listed.number)) {
        let id = listed.uuid.map_or(Id::Name(listed.name), Id::Uuid);
        if let Some(user) = kernel.device(&id, Slot::Live)?
            && serves(&user, pool.info.number, volume)
        {
            return Ok(Some(user));
        }
    }
    Ok(None)
}

fn serves(device: &DeviceState, pool: DevNum, volume: u32) -> bool {
    let pool = Device::numbered(pool);
    let rows = diff::understand(&device.table).unwrap_or_default();
    rows.iter().any(|row| row.target.volume() == Some((&pool, volume)))
}
