//! What stands around the devices: nodes and links in `/dev/mapper`.
//!
//! The kernel knows nothing of them, and a call succeeds whatever becomes of them; what goes wrong here is kept
//! until the batch settles. Where udev answers they are its own, and dmctl only looks at what it did.

use std::io::{self, ErrorKind};
use std::time::Duration;

use nix::errno::Errno;

use super::Live;
use super::nodes::Nodes;
use super::udev::Ended;
use crate::identity::Name;
use crate::kernel::{Id, KernelError, ListEntry, ReadKernel};

/// As many names as a person reads.
const MAX_SHOWN: usize = 5;

impl Live {
    /// Gets what it takes to wait for udev.
    pub(super) fn begin_beside_udev(&self) -> Result<(), KernelError> {
        self.udev.begin().map_err(no_semaphore)
    }

    /// Does something to the nodes, where they are dmctl's to keep.
    pub(super) fn with_nodes(&self, act: impl FnOnce(&Nodes) -> Result<(), KernelError>) {
        if self.udev.is_alone() {
            self.note(act(&self.nodes));
        }
    }

    /// Refuses a name that can't have its node, before a device has it. A name that is taken is the kernel's to refuse.
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

    /// Waits until udev has answered, and looks at what it did. Nothing is told yet: a device may be suspended.
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

    /// Sees to the nodes of devices that udev is done with. Its links are right as they are; but it may have
    /// gone away before it made them, be in the way of an older node, or make them in another `/dev`.
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

    /// What is to be said of devices that udev did not get done with.
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

    /// Tells what is to be told, and, where nobody else does, puts right what is wrong in `/dev/mapper`.
    pub(super) fn keep_nodes(&self) -> Result<(), KernelError> {
        for warning in self.warnings.lock().drain(..) {
            tracing::warn!("{warning}");
        }
        if self.udev.is_alone() {
            let devices = self.list()?;
            // What a crash may have left, of this map or of another: nobody who settles now has to answer for a
            // node that can't be put right.
            let there = self.nodes.sweep(&devices);
            let missing = |device: &&ListEntry| is_ours(device) && !there.contains(&device.number);
            for device in devices.iter().filter(missing) {
                let _ = self.nodes.make(&device.name, device.number, || Ok(devices.clone()));
            }
        }
        self.troubles.lock().drain(..).next().map_or(Ok(()), Err)
    }
}

/// Why there is nothing to wait for udev with, and what helps.
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

/// Some names, and how many more there are.
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
