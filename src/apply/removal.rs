//! Removes a device that a program may hold open for a moment, and names its users when it stays open.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use crate::identity::DevNum;
pub(crate) use crate::kernel::retry::remove;
use crate::kernel::{Process, ReadKernel};
use crate::plan::Plan;

/// The interval at which a plan is made again while it waits for a close.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// Makes a plan, and makes it again while only programs that have a device open keep it from being carried out. Programs
/// that read every new device, as udev does, have closed it when `patience` is over.
pub fn once_closed<E>(patience: Duration, mut plan: impl FnMut() -> Result<Plan, E>) -> Result<Plan, E> {
    let deadline = Instant::now() + patience;
    loop {
        let made = plan()?;
        if !made.awaits_a_close() || Instant::now() >= deadline {
            return Ok(made);
        }
        thread::sleep(TRY_AGAIN);
    }
}

/// The users that keep a device from being removed. Its `Display` lists them, and is not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptBy {
    /// Where the device is mounted.
    pub mounts: Vec<String>,
    /// Whether it is swap space.
    pub swap: bool,
    /// The names of the devices on top of it.
    pub holders: Vec<String>,
    /// The processes that have it open, or mounted in a mount namespace of theirs.
    pub processes: Vec<Process>,
}

impl fmt::Display for KeptBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut by: Vec<String> = self.mounts.iter().map(|mount| format!("mounted on {mount}")).collect();
        by.extend(self.swap.then(|| "swap space".to_string()));
        by.extend(self.holders.iter().map(|holder| format!("held by {holder}")));
        by.extend(self.processes.iter().map(Process::describe));
        if by.is_empty() {
            by.push("a program has it open".to_string());
        }
        f.write_str(&by.join(", "))
    }
}

/// Reads the users of a device.
pub(crate) fn users(kernel: &dyn ReadKernel, number: Option<DevNum>) -> KeptBy {
    let mut users = number.and_then(|number| kernel.users(number).ok()).unwrap_or_default();
    kernel.openers(&number.into_iter().collect()).into_values().for_each(|more| users.add(more));
    KeptBy {
        mounts: users.mounts,
        swap: users.swap,
        holders: users.holders.iter().map(|holder| called(kernel, *holder)).collect(),
        processes: users.processes,
    }
}

fn called(kernel: &dyn ReadKernel, number: DevNum) -> String {
    let listed = kernel.list().unwrap_or_default();
    let name = listed.iter().find(|listed| listed.number == number).map(|listed| listed.name.to_string());
    name.or_else(|| kernel.driver_name(number)).unwrap_or_else(|| number.to_string())
}
