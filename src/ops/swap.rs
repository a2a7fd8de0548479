//! The swap of tables, which is what a resume is, and the way back when it fails.

use super::OpError;
use super::find::steady;
use crate::kernel::{ChangeKernel, Id, Info, KernelError};

/// Resumes the device, whose state was `before` the operation began, and makes its inactive table live.
///
/// A kernel that can't make the table live leaves the device suspended, on its old table, with the new
/// one gone (`do_resume` in `drivers/md/dm-ioctl.c`); a second resume gets it going again. `advice` is
/// asked for only when the kernel refuses.
pub(super) fn resume(
    kernel: &dyn ChangeKernel,
    before: &Info,
    advice: impl FnOnce() -> Vec<String>,
) -> Result<(), OpError> {
    let id = steady(before);
    let Err(cause) = kernel.resume(&id) else { return Ok(()) };
    match put_back(kernel, &id, before) {
        Ok(()) => Err(OpError::Refused { cause, advice: advice() }),
        Err(recovery) => Err(not_put_back(before, cause, recovery)),
    }
}

/// Drops the table that could not become live and brings the device back to the state it had.
fn put_back(kernel: &dyn ChangeKernel, id: &Id, before: &Info) -> Result<(), KernelError> {
    let cleared = kernel.clear(id);
    // Without a live table there is nothing to resume; what was suspended before stays so.
    if before.live_table && !before.suspended {
        // Even when the clearing failed: a device must not stay suspended for that.
        kernel.resume(id)?;
    }
    cleared
}

/// The error of a device that could not be brought back.
pub(super) fn not_put_back(before: &Info, cause: KernelError, recovery: KernelError) -> OpError {
    let name = &before.name;
    let left = format!(
        "`{name}` may be suspended or keep an inactive table: look with `dmctl info {name}`, then try `dmctl resume {name}`"
    );
    OpError::not_put_back(cause, recovery, left)
}
