//! Removes a device that another program may hold open for a moment.

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::{ChangeKernel, Id, KernelError, Removal, Slot};

/// The time that a device may be busy before the removal fails. Programs that read every new device (udev,
/// blkid) have closed it by then.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// A flag that is never set: the removal is not stopped.
pub(crate) static NEVER: AtomicBool = AtomicBool::new(false);

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Removes a device. While it is open the call is repeated, until `patience` is over or `hurry` returns true. A
/// device that another program removed meanwhile counts as removed.
pub(crate) fn remove(
    kernel: &dyn ChangeKernel,
    id: &Id,
    patience: Duration,
    hurry: &dyn Fn() -> bool,
) -> Result<(), KernelError> {
    let deadline = Instant::now() + patience;
    loop {
        let Err(error) = kernel.remove(id, Removal::Now) else { return Ok(()) };
        match error.errno() {
            Some(Errno::EBUSY) if Instant::now() < deadline && !hurry() => {
                // Most often it is udev, which looks at what was changed just now.
                kernel.catch_up();
                thread::sleep(PAUSE.min(patience));
            }
            Some(Errno::ENXIO) if matches!(kernel.device(id, Slot::Live), Ok(None)) => return Ok(()),
            _ => return Err(error),
        }
    }
}
