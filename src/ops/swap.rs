//! The swap of tables that a resume makes, and how it is undone when it fails.

use super::advice::Advice;
use super::find::stable_id;
use super::origins::Writers;
use super::{LeftState, OpError};
use crate::kernel::{ChangeKernel, DeviceState, Id, KernelError, Slot, Suspend};

/// Resumes the device, which makes its inactive table live. `before` is the state at the begin of the operation.
///
/// The kernel fails in two ways, and leaves the device suspended in both: with the old table, and the new one gone; or
/// with the new table, and the old one gone (`do_resume` in `drivers/md/dm-ioctl.c`). Either is undone. `advice` is
/// called only when the kernel refuses.
pub(super) fn resume(
    kernel: &dyn ChangeKernel,
    before: &DeviceState,
    advice: impl FnOnce() -> Vec<Advice>,
) -> Result<(), OpError> {
    let id = stable_id(&before.info);
    let Err(cause) = kernel.resume(&id) else { return Ok(()) };
    match restore(kernel, &id, before) {
        Ok(()) => Err(OpError::Refused { cause, advice: advice() }),
        Err(recovery) => Err(not_put_back(before, cause, recovery)),
    }
}

/// Resumes the device as [`resume`] does, while the devices that write the origin of its snapshots are suspended.
pub(super) fn resume_beside(
    kernel: &dyn ChangeKernel,
    before: &DeviceState,
    writers: Writers,
    advice: impl FnOnce() -> Vec<Advice>,
) -> Result<(), OpError> {
    let refused = |cause| match restore(kernel, &stable_id(&before.info), before) {
        Ok(()) => OpError::refused(cause),
        Err(recovery) => not_put_back(before, cause, recovery),
    };
    writers.around(kernel, refused, || resume(kernel, before, advice))
}

/// Restores the old table and the state of the device.
///
/// Even a failed clear is followed by the resume: the device must not stay suspended.
fn restore(kernel: &dyn ChangeKernel, id: &Id, before: &DeviceState) -> Result<(), KernelError> {
    kernel.put_back();
    let cleared = kernel.clear(id);
    let Some(now) = kernel.device(id, Slot::Live)? else { return cleared };
    let replaced = now.table != before.table && !before.table.is_empty();
    if replaced {
        kernel.load(id, &before.table, before.info.access())?;
    }
    if replaced || now.info.suspended && !before.info.suspended {
        kernel.resume(id)?;
    }
    if replaced && before.info.suspended {
        kernel.suspend(id, Suspend::default())?;
    }
    cleared
}

/// Makes the error of a device that could not be restored.
pub(super) fn not_put_back(before: &DeviceState, cause: KernelError, recovery: KernelError) -> OpError {
    OpError::not_put_back(cause, recovery, LeftState::Suspended { name: before.info.name.clone() })
}
