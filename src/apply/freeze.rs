//! Tells a file system that can't be frozen from other refusals.
//!
//! A suspend freezes the file system on its device first (`lock_fs` in `drivers/md/dm.c`). That fails with EIO where the
//! journal was aborted, and with EBUSY where the file system is frozen already. A single device is swapped by its resume,
//! which suspends it first (`do_resume` in `drivers/md/dm-ioctl.c`): the refusal names the resume, and the device is not
//! suspended.

use nix::errno::Errno;

use super::cause::Cause;
use crate::identity::Name;
use crate::kernel::{Call, ChangeKernel, Id, KernelError, Slot, Suspend};

/// Returns the cause of a refused call that suspends or swaps a device: whether its file system could not be frozen.
pub(super) fn explained(
    kernel: &dyn ChangeKernel,
    (id, name): (&Id, &Name),
    how: Suspend,
    error: KernelError,
) -> Cause {
    let KernelError::Refused { call, errno: errno @ (Errno::EIO | Errno::EBUSY), .. } = &error else {
        return error.into();
    };
    let is_suspend = match call {
        Call::Suspend => true,
        Call::Resume => {
            let device = kernel.device(id, Slot::Live).ok().flatten();
            device.is_some_and(|device| !device.info.suspended)
        }
        _ => false,
    };
    if !how.freeze || !is_suspend {
        return error.into();
    }
    let is_frozen = *errno == Errno::EBUSY;
    Cause::Unfrozen { error: Box::new(error), device: name.clone(), is_frozen }
}
