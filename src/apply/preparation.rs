//! Sends messages that prepare a lower device for a table: the volumes of a thin pool.
//!
//! A volume must not change while it is copied. The kernel leaves that to the sender of the message
//! (`Documentation/admin-guide/device-mapper/thin-provisioning.rst`), so the device that serves it is
//! suspended around the message.

use nix::errno::Errno;

use super::cause::Cause;
use super::journal::{UndoEntry, UndoLog};
use crate::device::Device;
use crate::identity::DevNum;
use crate::kernel::{ChangeKernel, DeviceState, Id, KernelError, ReadKernel, Slot, Suspend};
use crate::plan::{Message, Preparation};

/// The device that a message prepares.
pub(crate) struct Recipient<'a> {
    pub kernel: &'a dyn ChangeKernel,
    /// Where a device that stays suspended is noted.
    pub journal: &'a UndoLog,
    /// The identity that the kernel is asked by.
    pub id: &'a Id,
}

impl Recipient<'_> {
    /// Sends `message`. A volume that exists already is not a failure.
    pub(crate) fn prepare(&self, message: &Message, preparation: &Preparation) -> Result<(), Cause> {
        let user = match preparation.copies {
            Some(volume) => user_of(self.kernel, self.id, volume)?,
            None => None,
        };
        let Some(user) = user.filter(|user| !user.info.suspended) else { return self.send(message) };
        let info = &user.info;
        let ours = preparation.origin.as_ref().is_some_and(|(_, uuid)| info.uuid.as_ref() == Some(uuid));
        if !ours {
            return Err(Cause::CopiedInUse(info.name.clone()));
        }
        let id = id_of(&user);
        self.kernel.suspend(&id, Suspend::default())?;
        let sent = self.send(message);
        if let Err(error) = self.kernel.resume(&id).or_else(|_| self.kernel.resume(&id)) {
            self.journal.push(UndoEntry::Suspended { id, name: info.name.clone() });
            return Err(error.into());
        }
        sent
    }

    fn send(&self, message: &Message) -> Result<(), Cause> {
        match self.kernel.message(self.id, message.sector, message.text.reveal()) {
            Err(error) if error.errno() == Some(Errno::EEXIST) => Ok(()),
            outcome => Ok(outcome.map(drop)?),
        }
    }
}

fn id_of(device: &DeviceState) -> Id {
    let info = &device.info;
    Id::stable(&info.name, info.uuid.as_ref())
}

/// Returns the device that serves a volume of the device `lower`.
fn user_of(kernel: &dyn ReadKernel, lower: &Id, volume: u32) -> Result<Option<DeviceState>, KernelError> {
    let Some(pool) = kernel.device(lower, Slot::Live)? else { return Ok(None) };
    let holders = kernel.users(pool.info.number)?.holders;
    for listed in kernel.list()?.into_iter().filter(|listed| holders.contains(&listed.number)) {
        let id = Id::stable(&listed.name, listed.uuid.as_ref());
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
    let rows = device.table.understood().unwrap_or_default();
    rows.iter().any(|row| row.target.volume() == Some((&pool, volume)))
}
