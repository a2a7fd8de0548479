//! Faults on demand, and the log of calls: what tests do to a simulated kernel, and how they watch it.

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
    /// A load that is taken, and of which the parameters are ignored: where the live table has a target of the
    /// same type, the new one is as that is. Any other call is refused with EINVAL.
    Ignore,
}

impl Fault {
    /// What `call` is refused with before it does anything; none when it goes wrong in another way.
    pub(super) fn refuses(self, call: Call) -> Option<Errno> {
        match (self, call) {
            (Self::Refuse(errno), _) => Some(errno),
            (Self::Swap | Self::Preresume, Call::Resume) | (Self::Ignore, Call::Load) => None,
            _ => Some(Errno::EINVAL),
        }
    }
}

/// What is to fail, and what was called.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// How many changing calls there were.
    pub changes: usize,
    /// By the number of the changing call.
    pub nth: Vec<(usize, Fault)>,
    /// By the device that is resumed.
    pub resumes: Vec<(Name, Fault)>,
    /// The last changing call that still works.
    pub dies_after: Option<usize>,
    /// Every call, with the device it was for.
    pub calls: Vec<(Call, SmolStr)>,
}

impl Faults {
    /// Notes a changing call, and says how it is to fail, if it is.
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
