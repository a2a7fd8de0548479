//! The running kernel.
//!
//! [`Live`] is Device Mapper's control node, opened. The devicemapper crate makes the calls it has; what it
//! lacks goes over the same descriptor: `raw` is the ioctl and `wire` its layouts. Reading a table and
//! loading one always ask the kernel to wipe its buffers, whatever the target: any word of an unknown target may
//! be a key.
//!
//! Block devices are read from sysfs and `/proc` (`block`, `stacking`, `paths`, `users`, `openers`,
//! `peek`). Where udev answers
//! (`udevd`) it makes the links in `/dev/mapper`, and is waited for at the end of a batch of calls (`udev`, `cookie`);
//! where it does not, `nodes` keeps them. `dev_mapper` brings the two together.

mod block;
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

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use nix::errno::Errno;

pub use events::Events;
pub use names::names;
pub(crate) use waits::{LongWait, Tell};
pub(crate) use writers::{Writers, writers};

use control::{Control, label, malformed, refused, unwritable};
use log::Log;
use nodes::Nodes;
use raw::Command;
use udev::UdevSync;
use waits::Waits;
use wire::{Answer, Request, flag};

use super::{
    Absence, BlockDevice, Call, ChangeKernel, DeviceState, Hallmarks, HostPart, Id, KernelError, ListEntry,
    MemoryLock, ReadKernel, Removal, Slot, Suspend, Users, Version,
};
use crate::access::Access;
use crate::device::Device;
use crate::identity::{DevNum, Name, Uuid};
use crate::keys::Keyring;
use crate::sync::Mutex;
use crate::table::RawRow;

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

/// What [`Live::identify`] gives a device: `DM_DEV_RENAME` takes either (`dev_rename` in `drivers/md/dm-ioctl.c`).
enum Given<'a> {
    Name(&'a Name),
    Uuid(&'a Uuid),
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
    /// Warnings about udev, to be logged at the next [`settle`](ChangeKernel::settle).
    warnings: Mutex<Vec<String>>,
    /// Errors of nodes since the last [`settle`](ChangeKernel::settle): the devices themselves are as they should
    /// be, so the calls that changed them succeeded.
    troubles: Mutex<Vec<KernelError>>,
    /// Whether no block device is opened, to look at its content.
    opens_none: bool,
}

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
        })
    }

    /// Opens no block device: what one holds can't be told. For a map that another user could have written.
    #[must_use]
    pub(crate) fn opening_none(self) -> Self {
        Self { opens_none: true, ..self }
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

    /// Makes a call that waits for I/O in flight. A signal ends it, and it is made again unless this process is to end.
    fn ask_waiting(&self, call: Call, id: &Id, request: &Request) -> Result<Answer, KernelError> {
        loop {
            let waiting = self.waits.begin(call, label(id));
            let outcome = self.ask(call, Command::Suspend, id, request);
            drop(waiting);
            match outcome {
                Err(error) if error.errno() == Some(Errno::EINTR) => {
                    if !self.waits.goes_on(self.udev.stop.as_deref()) {
                        return Err(KernelError::GaveUp { call, device: label(id) });
                    }
                }
                outcome => return outcome,
            }
        }
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

    /// Makes a call about one device that udev answers.
    fn ioctl_with_cookie(
        &self,
        call: Call,
        command: Command,
        id: &Id,
        request: Request,
        also: Option<&Name>,
    ) -> Result<Answer, KernelError> {
        self.udev.call(also, |cookie| self.ask(call, command, id, &request.for_udev(cookie)))
    }

    /// Gives the device `name` a name or a uuid, and returns its number.
    fn identify(&self, name: &Name, given: &Given<'_>) -> Result<DevNum, KernelError> {
        let (call, flags, text, also) = match *given {
            Given::Name(new) => (Call::Rename, 0, new.bytes(), Some(new)),
            Given::Uuid(uuid) => (Call::SetUuid, flag::UUID, uuid.bytes().into(), None),
        };
        let id = Id::Name(name.clone());
        let request = Request::about(&id, flags)
            .and_then(|request| request.text(&text))
            .map_err(|why| unwritable(call, &label(&id), why))?;
        let answer = self.ioctl_with_cookie(call, Command::Rename, &id, request, also)?;
        answer.info().map(|info| info.number).map_err(|why| malformed(call, &label(&id), why))
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

impl ReadKernel for Live {
    fn version(&self) -> Result<Version, KernelError> {
        let (major, minor, patch) =
            self.control.dm().version().map_err(|error| refused(Call::Version, String::new(), error))?;
        Ok(Version(major, minor, patch))
    }

    fn list(&self) -> Result<Vec<ListEntry>, KernelError> {
        let answer = self.control.call(Command::ListDevices, &Request::new(flag::UUID));
        let answer = answer.map_err(|errno| KernelError::Refused {
            call: Call::List,
            device: String::new(),
            errno,
            log: None,
        })?;
        let entries = answer.list().map_err(|why| malformed(Call::List, "", why))?;
        let mut list = Vec::with_capacity(entries.len());
        for mut entry in entries {
            if !entry.uuid_known {
                let info = self.info(&Id::Name(entry.listed.name.clone()))?;
                entry.listed.uuid = info.and_then(|info| info.uuid);
            }
            list.push(entry.listed);
        }
        Ok(list)
    }

    fn device(&self, id: &Id, slot: Slot) -> Result<Option<DeviceState>, KernelError> {
        let inactive = if slot == Slot::Inactive { flag::QUERY_INACTIVE } else { 0 };
        let request = Request::about(id, flag::STATUS_TABLE | flag::SECURE_DATA | inactive)
            .map_err(|why| unwritable(Call::Table, &label(id), why))?;
        let answer = match self.ask(Call::Table, Command::TableStatus, id, &request) {
            Err(error) if error.errno() == Some(Errno::ENXIO) => return Ok(None),
            answer => answer?,
        };
        let mapped = || Ok(DeviceState { info: answer.info()?, table: answer.table()?.into() });
        mapped().map(Some).map_err(|why| malformed(Call::Table, &label(id), why))
    }

    fn targets(&self) -> Result<BTreeMap<String, Version>, KernelError> {
        let versions = self.control.dm().list_versions();
        let versions = versions.map_err(|error| refused(Call::Targets, String::new(), error))?;
        Ok(versions.into_iter().map(|(name, a, b, c)| (name, Version(a, b, c))).collect())
    }

    fn loadable_targets(&self) -> Option<BTreeSet<String>> {
        modules::loadable()
    }

    fn resolve(&self, device: &Device) -> Result<Option<DevNum>, KernelError> {
        lookup::resolve(device)
    }

    fn absence(&self, device: &Device) -> Absence {
        lookup::absence(device)
    }

    fn block_device(&self, number: DevNum) -> Result<Option<BlockDevice>, KernelError> {
        block::block_device(number)
    }

    fn partitions(&self, disk: DevNum) -> Result<Vec<DevNum>, KernelError> {
        stacking::partitions(disk)
    }

    fn block_devices(&self) -> Result<Vec<DevNum>, KernelError> {
        block::all()
    }

    fn paths(&self) -> Result<BTreeMap<DevNum, Vec<String>>, KernelError> {
        Ok(paths::paths())
    }

    fn driver_name(&self, number: DevNum) -> Option<String> {
        sysfs::driver_name(number)
    }

    fn hallmarks(&self, number: DevNum) -> Hallmarks {
        hallmarks::hallmarks(number)
    }

    fn users(&self, number: DevNum) -> Result<Users, KernelError> {
        Ok(users::users(number))
    }

    fn openers(&self, numbers: &BTreeSet<DevNum>) -> BTreeMap<DevNum, Users> {
        openers::openers(numbers)
    }

    fn peek(&self, number: DevNum, offset: u64, length: usize) -> Option<Vec<u8>> {
        if self.opens_none { None } else { peek::read_direct(number, offset, length) }
    }

    fn hidden(&self) -> BTreeSet<HostPart> {
        sysfs::hidden().into_iter().chain(users::hidden()).chain(openers::hidden()).collect()
    }

    fn in_flight(&self, number: DevNum) -> u64 {
        sysfs::in_flight(number)
    }

    fn has_key(&self, key: &Keyring) -> Option<bool> {
        keyrings::has_key(key)
    }

    fn answers(&self, number: DevNum) -> bool {
        peek::read_direct(number, 0, 1).is_some()
    }
}

impl ChangeKernel for Live {
    fn create(&self, name: &Name, uuid: Option<&Uuid>) -> Result<DevNum, KernelError> {
        self.check_node(name)?;
        let id = Id::Name(name.clone());
        let request = Request::about(&id, 0)
            .and_then(|request| uuid.into_iter().try_fold(request, Request::and_uuid))
            .map_err(|why| unwritable(Call::Create, &label(&id), why))?;
        let answer = self.control.call(Command::Create, &request).map_err(|errno| KernelError::Refused {
            call: Call::Create,
            device: label(&id),
            errno,
            log: None,
        })?;
        let number = answer.info().map_err(|why| malformed(Call::Create, &label(&id), why))?.number;
        self.with_nodes(|nodes| nodes.make(name, number, || self.list()));
        Ok(number)
    }

    fn load(&self, id: &Id, table: &[RawRow], access: Access) -> Result<(), KernelError> {
        let flags = flag::SECURE_DATA | if access.is_read_only() { flag::READ_ONLY } else { 0 };
        let request = Request::about(id, flags)
            .and_then(|request| request.table(table))
            .map_err(|why| unwritable(Call::Load, &label(id), why))?;
        self.explained(id, || self.ask(Call::Load, Command::TableLoad, id, &request)).map(drop)
    }

    fn clear(&self, id: &Id) -> Result<(), KernelError> {
        let request = Request::about(id, 0).map_err(|why| unwritable(Call::Clear, &label(id), why))?;
        self.ask(Call::Clear, Command::TableClear, id, &request).map(drop)
    }

    fn suspend(&self, id: &Id, how: Suspend) -> Result<(), KernelError> {
        let flags = flag::SUSPENDED
            | if how.flush { 0 } else { flag::NO_FLUSH }
            | if how.freeze { 0 } else { flag::SKIP_LOCKFS };
        let request = Request::about(id, flags).map_err(|why| unwritable(Call::Suspend, &label(id), why))?;
        self.ask_waiting(Call::Suspend, id, &request).map(drop)
    }

    fn resume(&self, id: &Id) -> Result<(), KernelError> {
        let request = Request::about(id, 0).map_err(|why| unwritable(Call::Resume, &label(id), why))?;
        let resume =
            || self.udev.call(None, |cookie| self.ask_waiting(Call::Resume, id, &request.for_udev(cookie)));
        self.explained(id, resume).map(drop)
    }

    fn rename(&self, name: &Name, new: &Name) -> Result<(), KernelError> {
        self.check_node(new)?;
        let number = self.identify(name, &Given::Name(new))?;
        self.with_nodes(|nodes| nodes.rename(name, new, number, || self.list()));
        Ok(())
    }

    fn set_uuid(&self, name: &Name, uuid: &Uuid) -> Result<(), KernelError> {
        self.identify(name, &Given::Uuid(uuid)).map(drop)
    }

    fn remove(&self, id: &Id, how: Removal) -> Result<(), KernelError> {
        let flags = if how == Removal::Deferred { flag::DEFERRED_REMOVE } else { 0 };
        let request = Request::about(id, flags).map_err(|why| unwritable(Call::Remove, &label(id), why))?;
        // Once it is removed its number is not known any more, and the next device may get it.
        let before = if self.udev.is_alone() { self.info(id).ok().flatten() } else { None };
        self.ioctl_with_cookie(Call::Remove, Command::Remove, id, request, None)?;
        if let Some(info) = before {
            // The node of a device that waits for its last close goes at once, as libdevmapper does it: dmctl does not
            // run any more at that moment, and the next device with this number would be reached by the old name.
            self.with_nodes(|nodes| nodes.remove(&info.name, Some(info.number), || self.list()));
        }
        Ok(())
    }

    fn message(&self, id: &Id, sector: u64, message: &str) -> Result<Option<String>, KernelError> {
        let request = Request::about(id, flag::SECURE_DATA)
            .and_then(|request| request.message(sector, message))
            .map_err(|why| unwritable(Call::Message, &label(id), why))?;
        let answer = self.explained(id, || self.ask(Call::Message, Command::TargetMessage, id, &request))?;
        answer.reply().map_err(|why| malformed(Call::Message, &label(id), why))
    }

    fn lock_memory(&self) -> Option<MemoryLock> {
        MemoryLock::acquire()
    }

    fn begin(&self) -> Result<(), KernelError> {
        self.waits.put_back(false);
        self.log.open();
        self.begin_beside_udev()
    }

    fn put_back(&self) {
        self.waits.put_back(true);
    }

    fn gave_up(&self) -> bool {
        self.waits.gave_up()
    }

    fn catch_up(&self) {
        self.wait_for_udev();
    }

    fn settle(&self) -> Result<(), KernelError> {
        self.wait_for_udev();
        self.keep_nodes()
    }
}
