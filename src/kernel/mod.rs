//! The kernel, read and changed through two traits.
//!
//! [`ReadKernel`] is all that planning, showing and exporting are given: they cannot change anything.
//! [`ChangeKernel`] adds the calls that do; only [`crate::apply`] and the changing verbs are given one.
//! There are two kernels: [`live`], the running one, and [`simulated`], a model of it kept in a file. The
//! same test cases run on both; when they disagree the model is wrong.
//!
//! One call is one ioctl: `list` gives every device's name, number and uuid, `table` one device's table
//! and its state.

mod error;
pub mod live;
mod memory;
pub(crate) mod retry;
pub mod simulated;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use error::{Call, KernelError};
pub use memory::MemoryLock;

use crate::access::Access;
use crate::device::Device;
use crate::identity::{DevNum, Name, Uuid, printable};
use crate::table::{RawRow, ReadTable};

/// A device as the list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEntry {
    /// Its name.
    pub name: Name,
    /// Its uuid, when it has one.
    pub uuid: Option<Uuid>,
    /// Its number.
    pub number: DevNum,
}

/// The state of a device: what the kernel tells with every answer about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Info {
    /// Its name.
    pub name: Name,
    /// Its uuid, when it has one.
    pub uuid: Option<Uuid>,
    /// Its number.
    #[serde(skip)]
    pub number: DevNum,
    /// Whether I/O is held back.
    pub suspended: bool,
    /// Whether it has a table that serves I/O.
    pub live_table: bool,
    /// Whether a table waits in the inactive slot.
    pub inactive_table: bool,
    /// How often it is open: by file systems, programs, and other mappings' tables.
    pub open_count: u32,
    /// Counts the events of its targets and its renames; a table swap does not count.
    pub event_nr: u32,
    /// Whether it refuses writes.
    pub read_only: bool,
    /// How many targets its live table has.
    pub target_count: u32,
    /// Whether it goes away as soon as it is closed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deferred_remove: bool,
}

impl Info {
    /// Tells whether it refuses writes.
    #[must_use]
    pub const fn access(&self) -> Access {
        Access::from_read_only(self.read_only)
    }
}

/// A mapped device with one of its tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceState {
    /// Its state.
    pub info: Info,
    /// The table that was asked for; empty when that slot is empty.
    pub table: ReadTable,
}

/// Which of the two tables of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Slot {
    /// The one that serves I/O.
    #[default]
    Live,
    /// The one that the next resume makes live.
    Inactive,
}

/// How a device is found: by exactly one of the two, as the kernel wants it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Id {
    /// By name.
    Name(Name),
    /// By uuid. It can't move to another device between two calls; a name can.
    Uuid(Uuid),
}

impl Id {
    /// Returns the id that stays with a device: its uuid, or the name of one that has no uuid.
    #[must_use]
    pub fn stable(name: &Name, uuid: Option<&Uuid>) -> Self {
        match uuid {
            Some(uuid) => Self::Uuid(uuid.clone()),
            None => Self::Name(name.clone()),
        }
    }
}

/// A block device, whatever driver it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockDevice {
    /// Its number.
    pub number: DevNum,
    /// Its size.
    pub sectors: u64,
    /// Whether it refuses writes.
    pub read_only: bool,
    /// The smallest unit it reads and writes, in bytes.
    pub logical_block_size: u32,
}

/// Who uses a block device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users {
    /// Devices that stand on it (`holders` in sysfs), by number.
    pub holders: Vec<DevNum>,
    /// Where it is mounted, in this process's mount namespace.
    pub mounts: Vec<String>,
    /// Whether it is swap space.
    pub swap: bool,
    /// Processes that have it open, or have it mounted in a mount namespace of theirs.
    pub processes: Vec<Process>,
}

impl Users {
    /// Takes in what was learnt of more users, each once.
    pub fn add(&mut self, more: Users) {
        self.holders.extend(more.holders);
        self.holders.sort_unstable();
        self.holders.dedup();
        self.processes.extend(more.processes);
        self.swap |= more.swap;
    }
}

/// A process that keeps a block device in use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// The name of its command, without arguments: those may hold a secret.
    pub command: String,
    /// Where the device is mounted in the mount namespace of this process, which is not that of dmctl. None
    /// for a process that has the device itself open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
}

impl Process {
    /// What it does with the device, as in `dd (pid 812) has it open`.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.mount {
            Some(place) => format!("mounted on {} in the mount namespace of {self}", printable(place)),
            None => format!("{self} has it open"),
        }
    }
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (pid {})", printable(&self.command), self.pid)
    }
}

/// How a device is suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspend {
    /// Wait for all I/O in flight to end.
    pub flush: bool,
    /// Freeze the file system on it.
    pub freeze: bool,
}

impl Default for Suspend {
    fn default() -> Self {
        Self { flush: true, freeze: true }
    }
}

/// A version of three numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Version(pub u32, pub u32, pub u32);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// A kernel that can be read.
pub trait ReadKernel: Sync {
    /// The version of the ioctl interface.
    fn version(&self) -> Result<Version, KernelError>;

    /// Every device: one call, however many there are.
    fn list(&self) -> Result<Vec<ListEntry>, KernelError>;

    /// One device with one of its tables, or none when it does not exist. One call.
    fn device(&self, id: &Id, slot: Slot) -> Result<Option<DeviceState>, KernelError>;

    /// The target types that are loaded, with their versions.
    fn targets(&self) -> Result<BTreeMap<String, Version>, KernelError>;

    /// The number of the block device that was written as `device`, or none when there is no such device.
    /// A [`Form::Mapping`](crate::device::Form::Mapping) is not known here.
    fn resolve(&self, device: &Device) -> Result<Option<DevNum>, KernelError>;

    /// A block device, or none when no device has this number.
    fn block_device(&self, number: DevNum) -> Result<Option<BlockDevice>, KernelError>;

    /// Every block device, mapped ones included, by number.
    fn block_devices(&self) -> Result<Vec<DevNum>, KernelError>;

    /// Where each block device is found below `/dev`: its own node first, then the links to it.
    fn paths(&self) -> Result<BTreeMap<DevNum, Vec<String>>, KernelError>;

    /// Who uses a block device, as far as the kernel keeps books about it.
    fn users(&self, number: DevNum) -> Result<Users, KernelError>;

    /// Who has these block devices open beyond what [`users`](Self::users) tells: processes, and loop devices.
    /// That takes a look at every process of the machine, so it is asked once for all the devices that are open
    /// and nobody knows why. What can't be seen is left out.
    fn openers(&self, numbers: &BTreeSet<DevNum>) -> BTreeMap<DevNum, Users>;

    /// `length` bytes of a block device from byte `offset` on, or none when they can't be read.
    fn peek(&self, number: DevNum, offset: u64, length: usize) -> Option<Vec<u8>>;

    /// Whether the start of a block device can be read now. The disks of a kernel that is no running one always
    /// can, whether or not it is known what they hold.
    fn answers(&self, number: DevNum) -> bool {
        let _ = number;
        true
    }
}

/// A kernel that can be changed.
pub trait ChangeKernel: ReadKernel {
    /// Makes a device without a table.
    fn create(&self, name: &Name, uuid: Option<&Uuid>) -> Result<DevNum, KernelError>;

    /// Puts a table into the inactive slot, in place of one that is there.
    fn load(&self, id: &Id, table: &[RawRow], access: Access) -> Result<(), KernelError>;

    /// Empties the inactive slot. It may be empty already.
    fn clear(&self, id: &Id) -> Result<(), KernelError>;

    /// Holds I/O back, after what is in flight.
    fn suspend(&self, id: &Id, how: Suspend) -> Result<(), KernelError>;

    /// Makes the inactive table live, if there is one, and lets I/O through.
    fn resume(&self, id: &Id) -> Result<(), KernelError>;

    /// Gives a device another name.
    fn rename(&self, name: &Name, new: &Name) -> Result<(), KernelError>;

    /// Gives a device that has no uuid its uuid.
    fn set_uuid(&self, name: &Name, uuid: &Uuid) -> Result<(), KernelError>;

    /// Destroys a device. With `deferred` one that is open goes away when it is closed.
    fn remove(&self, id: &Id, deferred: bool) -> Result<(), KernelError>;

    /// Sends a message to the target at `sector`, and returns its answer if it gives one.
    fn message(&self, id: &Id, sector: u64, message: &str) -> Result<Option<String>, KernelError>;

    /// Keeps this process in memory as long as what is given lives: for the time in which devices are
    /// suspended. None where that is not needed, or not allowed.
    fn lock_memory(&self) -> Option<MemoryLock> {
        None
    }

    /// Gets ready for a batch of changes: what it may take that can run out is taken now, before anything is
    /// changed. Whoever does not call it gets what is there.
    fn begin(&self) -> Result<(), KernelError> {
        Ok(())
    }

    /// Waits, within a limit, until those who look at each changed device (udev) are done with the changes up
    /// to now: before a device that is busy is tried again. No other call waits for them.
    fn catch_up(&self) {}

    /// Lets the outside world catch up: device nodes, links. Called at the end of a batch of changes.
    fn settle(&self) -> Result<(), KernelError>;
}
