//! The nodes and links of the devices in `/dev/mapper`.
//!
//! The kernel does not know them, and a call succeeds whether or not they are right; an error here is kept until
//! the batch settles. Where udev answers it makes the links, and dmctl only checks them.

use std::io::{self, ErrorKind};
use std::time::Duration;

use nix::errno::Errno;

use super::Live;
use super::nodes::Nodes;
use super::udev::Ended;
use crate::identity::Name;
use crate::kernel::{Id, KernelError, ListEntry, ReadKernel};

/// The most names in one message.
const MAX_SHOWN: usize = 5;

impl Live {
    /// Gets the cookie that udev answers with.
    pub(super) fn begin_beside_udev(&self) -> Result<(), KernelError> {
        self.udev.begin().map_err(no_semaphore)
    }

    /// Changes the nodes, where dmctl keeps them.
    pub(super) fn with_nodes(&self, act: impl FnOnce(&Nodes) -> Result<(), KernelError>) {
        if self.udev.is_alone() {
            self.note(act(&self.nodes));
        }
    }

    /// Refuses a name that can't have its node, before a device has it. A name that a device has is refused by the
    /// kernel.
    pub(super) fn check_node(&self, name: &Name) -> Result<(), KernelError> {
        if !self.udev.is_alone() {
            return Ok(());
        }
        let is_taken = || matches!(self.info(&Id::Name(name.clone())), Ok(Some(_)));
        self.nodes
            .check(name, || self.list())
            .or_else(|blocked| if is_taken() { Ok(()) } else { Err(blocked) })
    }

    fn note(&self, outcome: Result<(), KernelError>) {
        if let Err(trouble) = outcome {
            self.troubles.lock().push(trouble);
        }
    }

    /// Waits until udev has answered, and checks its links. Warnings are kept for later: the log may be on a device
    /// that is suspended.
    pub(super) fn wait_for_udev(&self) {
        match self.udev.wait() {
            Ended::Nothing => {}
            Ended::Answered(names) => self.follow(&names),
            Ended::Without(errno) => {
                self.warn(format!("udev is not waited for: {}", no_semaphore(errno)));
            }
            Ended::Late { names, cookie, waited } => self.warn(self.late(&names, &cookie, waited)),
        }
    }

    fn warn(&self, warning: String) {
        self.warnings.lock().push(warning);
    }

    /// Puts right the nodes of devices that udev is done with. Its links stay as they are; but udev may have stopped
    /// before it made them, have met an older node, or have made them in another `/dev`.
    fn follow(&self, names: &[Name]) {
        if names.is_empty() {
            return;
        }
        let Ok(devices) = self.list() else { return };
        let list = || Ok(devices.clone());
        for name in names {
            self.note(match devices.iter().find(|device| device.name == *name) {
                Some(device) => self.nodes.make(name, device.number, list),
                None => self.nodes.remove(name, None, list),
            });
        }
    }

    /// Writes the warning about devices that udev did not answer for in time.
    fn late(&self, names: &[Name], cookie: &str, waited: Duration) -> String {
        let devices = self.list().unwrap_or_default();
        let lagging: Vec<Name> =
            names.iter().filter(|name| self.nodes.lag(name, &devices)).cloned().collect();
        let names = if lagging.is_empty() { names } else { &lagging };
        format!(
            "udev did not answer within {} s (cookie {cookie}): /dev/mapper may not be right yet about {}. \
             The devices themselves are. `udevadm settle` waits for udev, `--udev off` works without it",
            waited.as_secs(),
            enumerate(names)
        )
    }

    /// Logs the warnings, and puts `/dev/mapper` right where udev does not. Returns the first error of the batch.
    pub(super) fn keep_nodes(&self) -> Result<(), KernelError> {
        for warning in self.warnings.lock().drain(..) {
            tracing::warn!("{warning}");
        }
        if self.udev.is_alone() {
            let devices = self.list()?;
            // A crash may have left these nodes, for this map or another one: one that can't be put right is not an
            // error of this batch.
            let there = self.nodes.sweep(&devices);
            let missing = |device: &&ListEntry| is_ours(device) && !there.contains(&device.number);
            // A device that waits for its last close has no node any more.
            let stays = |device: &&ListEntry| {
                let info = self.info(&Id::Name(device.name.clone()));
                info.ok().flatten().is_some_and(|info| !info.deferred_remove)
            };
            for device in devices.iter().filter(missing).filter(stays) {
                let _ = self.nodes.make(&device.name, device.number, || Ok(devices.clone()));
            }
        }
        self.troubles.lock().drain(..).next().map_or(Ok(()), Err)
    }
}

/// Explains why there is no semaphore to wait for udev with, and how to mend that.
fn no_semaphore(errno: Errno) -> KernelError {
    let source = match errno {
        Errno::ENOSPC => io::Error::new(
            ErrorKind::StorageFull,
            "this system has no room for another one (kernel.sem); `ipcs -s` lists them, `--udev off` does without",
        ),
        errno => errno.into(),
    };
    KernelError::Io { what: "get a semaphore to wait for udev".to_string(), source }
}

fn is_ours(device: &ListEntry) -> bool {
    device.uuid.as_ref().is_some_and(|uuid| uuid.parts().is_some())
}

/// Lists the first names, and counts the rest.
fn enumerate(names: &[Name]) -> String {
    let shown: Vec<String> = names.iter().take(MAX_SHOWN).map(ToString::to_string).collect();
    let more = names.len() - shown.len();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_counted() {
        let names = |count: usize| -> Vec<Name> {
            (0..count).map(|n| Name::new(&format!("m{n}")).unwrap()).collect()
        };
        assert_eq!(enumerate(&names(2)), "m0, m1");
        assert_eq!(enumerate(&names(7)), "m0, m1, m2, m3, m4 and 2 more");
    }
}
