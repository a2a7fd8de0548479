//! Removing a device that somebody may hold for a moment.

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::{ChangeKernel, Id, KernelError, Slot};

/// How long a device may be busy before that is taken for an answer. What looks at every new device (udev,
/// blkid) has let go by then.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Stops nothing.
pub static NEVER: AtomicBool = AtomicBool::new(false);

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Removes a device. One that is open is tried again until `patience` is over, or `hurry` says so; one that went
/// away by itself meanwhile is gone all the same.
pub fn remove(
    kernel: &dyn ChangeKernel,
    id: &Id,
    patience: Duration,
    hurry: &dyn Fn() -> bool,
) -> Result<(), KernelError> {
    let deadline = Instant::now() + patience;
    loop {
        let Err(error) = kernel.remove(id, false) else { return Ok(()) };
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
