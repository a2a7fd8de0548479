//! The users of a device, which keep it from being removed.

use std::collections::BTreeSet;
use std::fmt;

use crate::identity::{DevNum, printable};
use crate::kernel::{Info, KernelError, Process, ReadKernel, Unseen};

/// The users of a device. Its `Display` lists them in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The block devices above it (`holders` in sysfs), with the name of the mapping, or the name that its driver gave
    /// to a device of another kind.
    pub holders: Vec<(DevNum, Option<String>)>,
    /// The paths it is mounted on.
    pub mounts: Vec<String>,
    /// Whether it is used as swap.
    pub swap: bool,
    /// The processes that have it open, or mounted in a mount namespace of their own.
    pub processes: Vec<Process>,
    /// What could not be seen, so that it may have other users.
    pub unseen: Vec<Unseen>,
    /// The open count of the kernel, which includes all of the above.
    pub open_count: u32,
}

impl Usage {
    /// Reads the users of the device.
    pub(crate) fn of(kernel: &dyn ReadKernel, info: &Info) -> Result<Self, KernelError> {
        let mut users = kernel.users(info.number)?;
        if usize::try_from(info.open_count).is_ok_and(|count| count > users.holders.len()) {
            kernel.openers(&BTreeSet::from([info.number])).into_values().for_each(|more| users.add(more));
        }
        let listed = if users.holders.is_empty() { Vec::new() } else { kernel.list()? };
        let name = |number| {
            let mapped = listed.iter().find(|listed| listed.number == number);
            mapped.map_or_else(|| kernel.driver_name(number), |mapped| Some(mapped.name.to_string()))
        };
        Ok(Self {
            holders: users.holders.into_iter().map(|number| (number, name(number))).collect(),
            mounts: users.mounts,
            swap: users.swap,
            processes: users.processes,
            unseen: users.unseen.into_iter().chain(users.unseen_processes).collect(),
            open_count: info.open_count,
        })
    }

    /// Whether a known user does not close the device by itself: a device above it, a mount, swap.
    pub(super) fn is_lasting(&self) -> bool {
        let mounted = !self.mounts.is_empty() || self.processes.iter().any(|process| process.mount.is_some());
        !self.holders.is_empty() || mounted || self.swap
    }
}

/// What keeps a device open without being a process that has it open: the kernel itself.
const NO_PROGRAM: &str = "a mount that was detached lazily (`umount -l`) and is still in use, a mapped file, or a part of the \
                          kernel keeps it";

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut uses: Vec<String> = self
            .holders
            .iter()
            .map(|(number, name)| match name {
                Some(name) => format!("`{}` ({number}) depends on it", printable(name)),
                None => format!("device {number} depends on it"),
            })
            .collect();
        uses.extend(self.mounts.iter().map(|place| format!("mounted on {}", printable(place))));
        if self.swap {
            uses.push("swap space".to_string());
        }
        uses.extend(self.processes.iter().map(Process::describe));
        if uses.is_empty() {
            let times =
                if self.open_count == 1 { "once".to_string() } else { format!("{} times", self.open_count) };
            uses.push(match self.unseen.first() {
                Some(unseen) => format!("open {times}, and by what could not be seen: {unseen}"),
                None => format!("open {times}, and no program has it open: {NO_PROGRAM}"),
            });
        } else {
            let unseen = self.unseen.iter();
            uses.extend(unseen.map(|unseen| format!("other users could not be seen ({unseen})")));
        }
        f.write_str(&uses.join(", "))
    }
}
