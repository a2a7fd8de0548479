//! Removing a device that somebody may hold for a moment, and saying who it is when it is for longer.

use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::identity::DevNum;
use crate::kernel::{ChangeKernel, Id, KernelError, ReadKernel};

/// How often a device that is held for a moment (by udev, by a scan) is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// Removes a device. One that is open is tried again until `patience` is over, or `hurry` says so.
pub fn remove(
    kernel: &dyn ChangeKernel,
    id: &Id,
    patience: Duration,
    hurry: &dyn Fn() -> bool,
) -> Result<(), KernelError> {
    let deadline = Instant::now() + patience;
    loop {
        match kernel.remove(id, false) {
            Err(error) if error.errno() == Some(Errno::EBUSY) && Instant::now() < deadline && !hurry() => {
                thread::sleep(TRY_AGAIN);
            }
            outcome => return outcome,
        }
    }
}

/// Who uses a device, in a few words.
pub fn users(kernel: &dyn ReadKernel, number: Option<DevNum>) -> String {
    let users = number.and_then(|number| kernel.users(number).ok()).unwrap_or_default();
    let mut by: Vec<String> = users.mounts.iter().map(|mount| format!("mounted on {mount}")).collect();
    by.extend(users.swap.then(|| "swap space".to_string()));
    by.extend(users.holders.iter().map(|holder| format!("held by {}", called(kernel, *holder))));
    if by.is_empty() {
        by.push("a program has it open".to_string());
    }
    by.join(", ")
}

fn called(kernel: &dyn ReadKernel, number: DevNum) -> String {
    let listed = kernel.list().unwrap_or_default();
    let name = listed.iter().find(|listed| listed.number == number).map(|listed| listed.name.to_string());
    name.unwrap_or_else(|| number.to_string())
}
