//! Removing a device that somebody may hold for a moment, and saying who it is when it is for longer.

use crate::identity::DevNum;
use crate::kernel::ReadKernel;
pub use crate::kernel::removal::remove;

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
