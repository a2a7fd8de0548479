//! Tells a file system that can't be frozen from other refusals.
//!
//! A suspend freezes the file system on its device first (`lock_fs` in `drivers/md/dm.c`). That fails with EIO where the
//! journal was aborted, and with EBUSY where the file system is frozen already. A single device is swapped by its resume,
//! which suspends it first (`do_resume` in `drivers/md/dm-ioctl.c`): the refusal names the resume, and the device is not
//! suspended.

use nix::errno::Errno;

use crate::identity::Name;
use crate::kernel::{Call, ChangeKernel, Id, KernelError, Slot, Suspend};

/// Words the refusal of a call that suspends or swaps a device, with the ways out where its file system could not be
/// frozen.
pub(super) fn explained(
    kernel: &dyn ChangeKernel,
    (id, name): (&Id, &Name),
    how: Suspend,
    error: &KernelError,
) -> String {
    let KernelError::Refused { call, errno: errno @ (Errno::EIO | Errno::EBUSY), .. } = error else {
        return error.to_string();
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
        return error.to_string();
    }
    let why = if *errno == Errno::EBUSY {
        "it is frozen already; thaw it with `fsfreeze --unfreeze`"
    } else {
        "its journal may be aborted; unmount it, or thaw it if it is frozen"
    };
    format!(
        "{error}: the suspend of {name} failed, because the file system on it can't be frozen: {why}, or leave the freeze out \
         with suspend = {{ freeze = false }} in its mapping"
    )
}
