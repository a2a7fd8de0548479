//! The running kernel.
//!
//! [`Live`] is Device Mapper's control node, opened. The devicemapper crate makes the calls it has; what it
//! lacks goes over the same descriptor: `raw` is the ioctl and `wire` its layouts. `read` and `change` are the calls, one a
//! method of their traits. Reading a table and
//! loading one always ask the kernel to wipe its buffers, whatever the target: any word of an unknown target may
//! be a key.
//!
//! Block devices are read from sysfs and `/proc` (`block`, `stacking`, `paths`, `users`, `openers`,
//! `peek`). Where udev answers
//! (`udevd`) it makes the links in `/dev/mapper`, and is waited for at the end of a batch of calls (`udev`, `cookie`);
//! where it does not, `nodes` keeps them. `dev_mapper` brings the two together.

mod block;
mod change;
mod control;
mod cookie;
mod dev_mapper;
mod events;
mod hallmarks;
mod keyrings;
mod log;
mod lookup;
mod modules;
mod names;
mod nodes;
mod openers;
mod paths;
mod peek;
mod raw;
mod read;
#[cfg(any(test, fuzzing))]
pub(crate) mod replies;
mod stacking;
mod sysfs;
mod udev;
mod udevd;
mod users;
mod waits;
mod wire;
mod writers;
mod zeroizing;

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use nix::errno::Errno;

pub use events::Events;
pub use names::names;
pub(crate) use waits::{LongWait, Tell};
pub(crate) use writers::{Writers, writers};

use control::{Control, label, malformed, unwritable};
use log::Log;
use nodes::Nodes;
use raw::Command;
use udev::UdevSync;
use waits::Waits;
use wire::{Answer, Request};

use super::{Call, Id, KernelError};
use crate::sync::Mutex;

/// The folder of Device Mapper's nodes.
const NODES: &str = "/dev/mapper";

/// How dmctl works with udev.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Udev {
    /// Where it answers, it makes the links in `/dev/mapper` and is waited for; elsewhere dmctl keeps nodes there.
    #[default]
    Auto,
    /// dmctl keeps the nodes, and does not wait for udev.
    Off,
}

/// The running kernel.
///
/// Opening it takes root. This lists the mapped devices of the machine:
///
/// ```no_run
/// use dmctl::kernel::ReadKernel;
/// use dmctl::kernel::live::{Live, Udev};
///
/// # fn main() -> Result<(), dmctl::kernel::KernelError> {
/// let kernel = Live::open(Udev::Auto)?;
/// for device in kernel.list()? {
///     println!("{} is {}", device.name, device.number);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Live {
    control: Control,
    log: Log,
    udev: UdevSync,
    waits: Waits,
    /// The nodes, which dmctl keeps where udev does not answer.
    nodes: Nodes,
    /// Warnings about udev, to be logged at the next [`settle`](super::ChangeKernel::settle).
    warnings: Mutex<Vec<String>>,
    /// Errors of nodes since the last [`settle`](super::ChangeKernel::settle): the devices themselves are as they should
    /// be, so the calls that changed them succeeded.
    troubles: Mutex<Vec<KernelError>>,
    /// Whether no block device is opened, to look at its content.
    opens_none: bool,
    /// What [`keep_still`](ReadKernel::keep_still) does; `None` where the lock is held already.
    still: Option<Still>,
}

/// Takes the lock for a look, and returns it as a guard; `None` where another process has it.
type Still = Box<dyn Fn() -> Option<Box<dyn Any>> + Send + Sync>;

impl Live {
    /// Opens the control node. It needs root, and a kernel that has Device Mapper loaded.
    ///
    /// # Errors
    ///
    /// [`KernelError::NoControl`] names the missing part and how to get it.
    pub fn open(udev: Udev) -> Result<Self, KernelError> {
        Ok(Self {
            control: Control::open()?,
            log: Log::default(),
            udev: UdevSync::new(udev),
            waits: Waits::default(),
            nodes: Nodes::new(NODES),
            warnings: Mutex::default(),
            troubles: Mutex::default(),
            opens_none: false,
            still: None,
        })
    }

    /// Opens no block device: what one holds can't be told. For a map that another user could have written.
    #[must_use]
    pub(crate) fn opening_none(self) -> Self {
        Self { opens_none: true, ..self }
    }

    /// Takes the lock with `still` before it looks at a target that does not answer while it is suspended.
    #[must_use]
    pub(crate) fn keeping_still(
        self,
        still: impl Fn() -> Option<Box<dyn Any>> + Send + Sync + 'static,
    ) -> Self {
        Self { still: Some(Box::new(still)), ..self }
    }

    /// Waits for udev as long as `limit` (default 30 s), and a few seconds at most once `stop` is true. A call that waits for
    /// I/O in flight is ended then, too, by SIGURG to the thread that waits: that signal gets a handler that does nothing.
    #[must_use]
    pub fn patient(mut self, limit: Duration, stop: Arc<AtomicBool>) -> Self {
        self.udev.limit = limit;
        self.waits.attend(&stop, None);
        self.udev.stop = Some(stop);
        self
    }

    /// As [`patient`](Self::patient); `tell` is called, in a thread of its own, for a call that waits for I/O in flight
    /// longer than a second, and again every ten seconds.
    #[must_use]
    pub(crate) fn telling(mut self, limit: Duration, stop: Arc<AtomicBool>, tell: Tell) -> Self {
        self.udev.limit = limit;
        self.waits.attend(&stop, Some(tell));
        self.udev.stop = Some(stop);
        self
    }

    /// Makes a call about one device.
    fn ask(&self, call: Call, command: Command, id: &Id, request: &Request) -> Result<Answer, KernelError> {
        let answer = self.control.call(command, request);
        answer.map_err(|errno| KernelError::Refused { call, device: label(id), errno, log: None })
    }

    /// Reads the state of a device; `None` when it does not exist.
    fn info(&self, id: &Id) -> Result<Option<super::Info>, KernelError> {
        let request = Request::about(id, 0).map_err(|why| unwritable(Call::Table, &label(id), why))?;
        let answer = self.ask(Call::Table, Command::DeviceStatus, id, &request);
        match answer {
            Err(error) if error.errno() == Some(Errno::ENXIO) => Ok(None),
            answer => answer?.info().map(Some).map_err(|why| malformed(Call::Table, &label(id), why)),
        }
    }

    /// Runs a call that the kernel may refuse with only an errno, and adds the line of its log.
    fn explained<T>(&self, id: &Id, act: impl FnOnce() -> Result<T, KernelError>) -> Result<T, KernelError> {
        let listener = self.log.listen();
        act().map_err(|error| match error {
            KernelError::Refused { call, device, errno, .. } => {
                let number = self.info(id).ok().flatten().map(|info| info.number);
                KernelError::Refused { call, device, errno, log: listener.lines(number) }
            }
            other => other,
        })
    }
}
