//! Suspends and resumes a device.

use super::find::{stable_id, state_of};
use super::origins::Writers;
use super::settle::settled;
use super::{Foreign, OpError, circle, swap, waits};
use crate::identity::Name;
use crate::kernel::{ChangeKernel, Slot, Suspend};

/// Suspends a device: the kernel queues new I/O until [`resume`]. By default it waits for the I/O in flight to end, and
/// freezes the file system on the device; `how` can leave out either. A device that is suspended already stays so.
///
/// ```
/// # use dmctl::{identity::Name, kernel::{ChangeKernel, Suspend}, ops::{self, Foreign, OpError}};
/// /// Does `work` while the device is quiet.
/// fn quietly(kernel: &dyn ChangeKernel, name: &Name, work: impl FnOnce()) -> Result<(), OpError> {
///     ops::suspend(kernel, name, Suspend::default(), Foreign::Refuse)?;
///     work();
///     ops::resume(kernel, name, Foreign::Refuse)
/// }
/// ```
///
/// # Errors
///
/// [`OpError::Missing`], [`OpError::Foreign`]; [`OpError::StuckInLoop`] and [`OpError::SuspendedBelow`] where the suspend would
/// never end; [`OpError::Outgrown`] where no resume would end it;
/// [`OpError::Refused`] when the kernel refuses, and the device serves I/O
/// as before.
pub fn suspend(
    kernel: &dyn ChangeKernel,
    name: &Name,
    how: Suspend,
    foreign: Foreign,
) -> Result<(), OpError> {
    let before = state_of(kernel, name)?;
    foreign.check(name, before.info.uuid.as_ref())?;
    circle::refuse_stuck(kernel, &before)?;
    if !before.info.suspended {
        waits::refuse_suspend(kernel, &before)?;
        waits::refuse_outgrown(kernel, &before)?;
    }
    settled(kernel, || kernel.suspend(&stable_id(&before.info), how).map_err(OpError::refused))?;
    tracing::info!("suspended `{name}`");
    Ok(())
}

/// Resumes a device: lets queued and new I/O through. A table in the inactive slot becomes live; where that is one of a
/// snapshot, the devices that write its origin are suspended meanwhile.
///
/// A table that can't become live is dropped, and the device continues with the one it had, or stays suspended if it
/// was so before.
///
/// ```
/// # use dmctl::{identity::Name, kernel::ChangeKernel, ops::{self, Foreign, OpError}};
/// /// Resumes a device that another program left suspended.
/// fn wake(kernel: &dyn ChangeKernel, name: &Name) -> Result<(), OpError> {
///     if ops::by_name(kernel, name)?.suspended {
///         ops::resume(kernel, name, Foreign::Refuse)?;
///     }
///     Ok(())
/// }
/// ```
///
/// # Errors
///
/// [`OpError::Missing`], [`OpError::Foreign`]; [`OpError::Loop`] for a table in the inactive slot that leads back to the
/// device; [`OpError::SuspendedBelow`] where the swap to it would never end; [`OpError::Outgrown`]; [`OpError::Refused`] when the kernel refuses;
/// [`OpError::NotRolledBack`] when the old table can't be resumed either.
pub fn resume(kernel: &dyn ChangeKernel, name: &Name, foreign: Foreign) -> Result<(), OpError> {
    let before = state_of(kernel, name)?;
    foreign.check(name, before.info.uuid.as_ref())?;
    let waiting = before.info.inactive_table.then(|| kernel.device(&stable_id(&before.info), Slot::Inactive));
    let waiting = waiting.transpose()?.flatten();
    let table = waiting.as_ref().map_or(&[][..], |waiting| &waiting.table);
    if !table.is_empty() {
        circle::refuse(kernel, table, &before.info)?;
        waits::refuse_swap_to(kernel, table)?;
        waits::refuse_end(kernel, &before)?;
    } else if before.info.suspended {
        waits::refuse_outgrown(kernel, &before)?;
    }
    let writers = Writers::find(kernel, table, Some(before.info.number), foreign)?;
    settled(kernel, || swap::resume_beside(kernel, &before, writers, Vec::new))?;
    tracing::info!("resumed `{name}`");
    Ok(())
}
