//! Faults on demand, and the log of calls: for tests with a simulated kernel.

use nix::errno::Errno;
use smol_str::SmolStr;

use crate::identity::Name;
use crate::kernel::{Call, KernelError};

/// A way for a call to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is refused before it did anything.
    Refuse(Errno),
    /// A resume in which the new table could not be made live: the inactive table is destroyed, the device is
    /// left suspended on the old one. Any other call is refused with EINVAL.
    Swap,
    /// A resume in which the new table's target gave up: the new table is live, the old one is gone, the
    /// device is left suspended. Any other call is refused with EINVAL.
    Preresume,
    /// A load that is accepted but ignores its parameters: a target whose type is also in the live table keeps the
    /// parameters that it has there. Any other call is refused with EINVAL.
    Ignore,
}

impl Fault {
    /// Returns the errno that `call` is refused with before it has an effect; `None` when it fails in another way.
    pub(super) fn refuses(self, call: Call) -> Option<Errno> {
        match (self, call) {
            (Self::Refuse(errno), _) => Some(errno),
            (Self::Swap | Self::Preresume, Call::Resume) | (Self::Ignore, Call::Load) => None,
            _ => Some(Errno::EINVAL),
        }
    }
}

/// The faults to come, and the log of calls.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// The number of changing calls.
    pub changes: usize,
    /// The faults by the number of the changing call.
    pub nth: Vec<(usize, Fault)>,
    /// The faults by the name of the device that is resumed.
    pub resumes: Vec<(Name, Fault)>,
    /// The last changing call that still works.
    pub dies_after: Option<usize>,
    /// Every call, with its device.
    pub calls: Vec<(Call, SmolStr)>,
    /// How often the content of a pool was read.
    pub pool_reads: usize,
}

impl Faults {
    /// Records a changing call, and returns its fault, if it has one.
    pub(super) fn change(&mut self, call: Call, device: SmolStr) -> Result<Option<Fault>, KernelError> {
        self.changes += 1;
        let now = self.changes;
        if self.dies_after.is_some_and(|last| now > last) {
            return Err(KernelError::Io {
                what: format!("{} {device}", call.verb()),
                source: std::io::Error::new(std::io::ErrorKind::Interrupted, "the process is dead by now"),
            });
        }
        self.calls.push((call, device));
        Ok(self.nth.iter().find(|(nth, _)| *nth == now).map(|(_, fault)| *fault))
    }

    /// Takes the fault that waits for the resume of `name`.
    pub(super) fn resume_of(&mut self, name: &Name) -> Option<Fault> {
        let index = self.resumes.iter().position(|(other, _)| other == name)?;
        Some(self.resumes.remove(index).1)
    }
}
