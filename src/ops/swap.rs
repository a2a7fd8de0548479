//! The swap of tables, which is what a resume is, and the way back when it fails.

use super::OpError;
use super::find::steady;
use crate::kernel::{ChangeKernel, DeviceState, Id, KernelError, Slot, Suspend};

/// Resumes the device, which was as in `before` when the operation began, and makes its inactive table live.
///
/// The kernel fails in two ways, and leaves the device suspended in both: on the old table with the new
/// one gone, or on the new one with the old one gone (`do_resume` in `drivers/md/dm-ioctl.c`). Afterwards
/// the device is as it was before. `advice` is asked for only when the kernel refuses.
pub(super) fn resume(
    kernel: &dyn ChangeKernel,
    before: &DeviceState,
    advice: impl FnOnce() -> Vec<String>,
) -> Result<(), OpError> {
    let id = steady(&before.info);
    let Err(cause) = kernel.resume(&id) else { return Ok(()) };
    match put_back(kernel, &id, before) {
        Ok(()) => Err(OpError::Refused { cause, advice: advice() }),
        Err(recovery) => Err(not_put_back(before, cause, recovery)),
    }
}

/// Brings the old table back, and the device to the state it had.
fn put_back(kernel: &dyn ChangeKernel, id: &Id, before: &DeviceState) -> Result<(), KernelError> {
    let cleared = kernel.clear(id);
    let Some(now) = kernel.device(id, Slot::Live)? else { return cleared };
    let replaced = now.table != before.table && !before.table.is_empty();
    if replaced {
        kernel.load(id, &before.table, before.info.access())?;
    }
    // Even when the clearing failed: a device must not stay suspended for that.
    if replaced || now.info.suspended && !before.info.suspended {
        kernel.resume(id)?;
    }
    if replaced && before.info.suspended {
        kernel.suspend(id, Suspend::default())?;
    }
    cleared
}

/// The error of a device that could not be brought back.
pub(super) fn not_put_back(before: &DeviceState, cause: KernelError, recovery: KernelError) -> OpError {
    let name = &before.info.name;
    let left = format!(
        "`{name}` may be suspended or keep an inactive table: look with `dmctl info {name}`, then try `dmctl resume {name}`"
    );
    OpError::not_put_back(cause, recovery, left)
}
