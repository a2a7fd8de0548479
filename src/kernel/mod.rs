//! The kernel, read and changed through two traits.
//!
//! [`ReadKernel`] is all that planning, showing and exporting are given: they cannot change anything.
//! [`ChangeKernel`] adds the calls that do; only [`crate::apply`] and the changing verbs are given one.
//! There are two kernels: [`live`], the running one, and [`simulated`], a model of it kept in a file. The
//! same test cases run on both; when they disagree the model is wrong.
//!
//! One call is one ioctl: `list` gives every device's name, number and uuid, `table` one device's table
//! and its state.

mod absence;
mod error;
mod hallmarks;
pub mod live;
mod memory;
pub(crate) mod retry;
pub mod simulated;
mod status;
mod unseen;

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use absence::Absence;
pub use error::{Call, KernelError};
pub use hallmarks::{Hallmarks, Sameness};
pub use memory::MemoryLock;
pub use status::{DeviceStatus, StatusRow};
pub use unseen::{HostPart, Unseen};

use crate::access::Access;
use crate::device::Device;
use crate::identity::{DevNum, Name, Uuid, printable};
use crate::keys::Keyring;
use crate::table::{RawRow, ReadTable};
use crate::thin_metadata::{self, PoolContent, Unreadable};

/// A device as the list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEntry {
    /// The name, in the form the kernel stores.
    pub name: Name,
    /// Its uuid, when it has one.
    pub uuid: Option<Uuid>,
    /// The device number; another device may have it after a removal.
    pub number: DevNum,
}

/// The state of a device: what the kernel tells with every answer about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Info {
    /// The name, in the form the kernel stores.
    pub name: Name,
    /// Its uuid, when it has one.
    pub uuid: Option<Uuid>,
    /// The device number; another device may have it after a removal.
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
    pub const fn access(&self) -> Access {
        Access::from_read_only(self.read_only)
    }
}

/// A mapped device with one of its tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceState {
    /// The state of the device, whichever table was asked for.
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
    /// By name. A rename between two calls gives it to another device.
    Name(Name),
    /// By uuid. It can't move to another device between two calls; a name can.
    Uuid(Uuid),
}

impl Id {
    /// Returns the id that stays with a device: its uuid, or the name of one that has no uuid.
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
    /// The number under which the kernel lists it.
    pub number: DevNum,
    /// The size, in sectors of 512 bytes.
    pub sectors: u64,
    /// Whether it refuses writes.
    pub read_only: bool,
    /// The smallest unit it reads and writes, in bytes.
    pub logical_block_size: u32,
    /// The place on its disk, for a partition.
    pub partition: Option<Partition>,
    /// The devices directly below it: the lower devices of a mapped device or an array, the disk of a partition, the
    /// device with the file of a loop device. Each once.
    pub lower: Vec<DevNum>,
}

/// How a block device takes I/O.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueFacts {
    /// Whether a mapped device above can hand requests to it: it takes requests, and is not a partition.
    pub takes_requests: bool,
    /// Whether it is memory that is addressed directly.
    pub is_memory: bool,
}

/// The place of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// The number of the disk.
    pub disk: DevNum,
    /// The first sector on the disk.
    pub start: u64,
}

/// The users of a block device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users {
    /// The numbers of the devices above it (`holders` in sysfs).
    pub holders: Vec<DevNum>,
    /// Where it is mounted, in this process's mount namespace.
    pub mounts: Vec<String>,
    /// Whether it is swap space.
    pub swap: bool,
    /// Processes that have it open, or have it mounted in a mount namespace of theirs.
    pub processes: Vec<Process>,
    /// What could not be seen: it may have other users than the holders, the mounts and the swap space here.
    pub unseen: Vec<Unseen>,
    /// What could not be seen of the processes.
    pub unseen_processes: Option<Unseen>,
}

impl Users {
    /// Adds more users, each once.
    pub fn add(&mut self, more: Users) {
        self.holders.extend(more.holders);
        self.holders.sort_unstable();
        self.holders.dedup();
        self.processes.extend(more.processes);
        self.swap |= more.swap;
        self.unseen.extend(more.unseen);
        self.unseen_processes = self.unseen_processes.take().or(more.unseen_processes);
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
    /// Describes its use of the device, as in `dd (pid 812) has it open`.
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

/// How a device that is open is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// The call is refused with EBUSY.
    Now,
    /// The device goes away when it is closed.
    Deferred,
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
    /// Reads the version of the ioctl interface.
    fn version(&self) -> Result<Version, KernelError>;

    /// Lists every mapped device: one call, however many there are.
    fn list(&self) -> Result<Vec<ListEntry>, KernelError>;

    /// Reads one mapped device with one of its tables; `None` when it does not exist. One call.
    fn device(&self, id: &Id, slot: Slot) -> Result<Option<DeviceState>, KernelError>;

    /// Reads the state of each row of a device's live table (`DM_TABLE_STATUS` without `DM_STATUS_TABLE_FLAG`); `None` when
    /// it does not exist. One call. With `DM_NOFLUSH_FLAG`, so that a look commits no transaction of a pool, a cache or a
    /// clone. **A suspended device with an `era` row does not answer before it is resumed**: look at it with
    /// [`device`](Self::device) first.
    fn status(&self, id: &Id) -> Result<Option<DeviceStatus>, KernelError>;

    /// Keeps other processes of dmctl from suspending devices for as long as the guard lives; `None` where that can't be
    /// had. For a look at a target that does not answer while it is suspended.
    fn keep_still(&self) -> Option<Box<dyn Any>> {
        Some(Box::new(()))
    }

    /// Lists the target types that are loaded, with their versions.
    fn targets(&self) -> Result<BTreeMap<String, Version>, KernelError>;

    /// Whether the kernel has a target type. It loads the module of one that a table names, so that a type which is
    /// missing after a table was refused can't be had.
    fn has_target(&self, kind: &str) -> bool {
        self.targets().map_or(true, |targets| targets.contains_key(kind))
    }

    /// Lists the target types that it can load, or has; `None` where that is not known.
    fn loadable_targets(&self) -> Option<BTreeSet<String>> {
        None
    }

    /// Finds the number of the block device that is written as `device`; `None` when it is not found, which
    /// [`absence`](Self::absence) explains. A [`Form::Mapping`](crate::device::Form::Mapping) is not known here.
    fn resolve(&self, device: &Device) -> Result<Option<DevNum>, KernelError>;

    /// Tells why [`resolve`](Self::resolve) does not find a device.
    fn absence(&self, device: &Device) -> Absence {
        let _ = device;
        Absence::Missing
    }

    /// Reads a block device; `None` when no device has this number.
    fn block_device(&self, number: DevNum) -> Result<Option<BlockDevice>, KernelError>;

    /// Lists the numbers of the partitions of a disk. Empty for any other device.
    fn partitions(&self, disk: DevNum) -> Result<Vec<DevNum>, KernelError>;

    /// Lists the numbers of all block devices, mapped ones included.
    fn block_devices(&self) -> Result<Vec<DevNum>, KernelError>;

    /// Lists the paths of each block device below `/dev`: its own node first, then the links to it.
    fn paths(&self) -> Result<BTreeMap<DevNum, Vec<String>>, KernelError>;

    /// Returns the name that its driver gave a block device, such as `md0` or `loop20`; `None` where it is not known. For
    /// a mapping that is `dm-N`.
    fn driver_name(&self, number: DevNum) -> Option<String>;

    /// Lists the paths that a block device is known to have, whether they are there or not: its node, as its driver names it,
    /// and the links that udev recorded of it.
    fn recorded_paths(&self, number: DevNum) -> BTreeSet<String>;

    /// Reads what tells a block device from another of the same number and size, as far as its driver tells it. Links are
    /// left out: [`Hallmarks::complete`] takes them from the [`paths`](Self::paths).
    fn hallmarks(&self, number: DevNum) -> Hallmarks;

    /// Reads the users of a block device that the kernel records.
    fn users(&self, number: DevNum) -> Result<Users, KernelError>;

    /// Finds the users of these block devices that [`users`](Self::users) does not know: processes, and loop
    /// devices. This reads every process of the machine, so it is called once, for all devices that are open
    /// without a known user. A process that can't be read is left out.
    fn openers(&self, numbers: &BTreeSet<DevNum>) -> BTreeMap<DevNum, Users>;

    /// Reads `length` bytes of a block device from byte `offset` on; `None` when they can't be read.
    fn peek(&self, number: DevNum, offset: u64, length: usize) -> Option<Vec<u8>>;

    /// Reads what a thin pool holds, from its metadata on disk, which begins at sector `sector` of a block device. The pool may be
    /// live: then this is what it committed last. Nothing is written, and the pool is not asked.
    fn thin_metadata(&self, device: DevNum, sector: u64) -> Result<PoolContent, Unreadable> {
        thin_metadata::read_from(device, sector, &|at, offset, length| self.peek(at, offset, length))
    }

    /// Counts the requests that were sent to a block device and have not ended. 0 where that is not known.
    fn in_flight(&self, number: DevNum) -> u64 {
        let _ = number;
        0
    }

    /// Whether a block device that is not mapped keeps tags with its blocks that a device above fills (its integrity profile
    /// is neither absent nor one of its own).
    fn keeps_tags(&self, number: DevNum) -> bool;

    /// Reads how a block device takes I/O. Of a device that is not there, nothing is so.
    fn queue(&self, number: DevNum) -> QueueFacts;

    /// Lists the parts of the system that are not visible.
    fn hidden(&self) -> BTreeSet<HostPart> {
        BTreeSet::new()
    }

    /// Tells whether a keyring of this process holds a key, which the kernel then finds when it loads a table; `None`
    /// where that is not known.
    fn has_key(&self, key: &Keyring) -> Option<bool>;

    /// Tells whether the start of a block device can be read now. The disks of a kernel that is not running
    /// always can, whether or not their content is known.
    fn answers(&self, number: DevNum) -> bool {
        let _ = number;
        true
    }
}

/// A kernel that can be changed.
pub trait ChangeKernel: ReadKernel {
    /// Creates a device without a table.
    fn create(&self, name: &Name, uuid: Option<&Uuid>) -> Result<DevNum, KernelError>;

    /// Loads a table into the inactive slot, and replaces the one in it.
    fn load(&self, id: &Id, table: &[RawRow], access: Access) -> Result<(), KernelError>;

    /// Empties the inactive slot. It may be empty already.
    fn clear(&self, id: &Id) -> Result<(), KernelError>;

    /// Suspends a device: holds new I/O back, once the I/O in flight has ended.
    fn suspend(&self, id: &Id, how: Suspend) -> Result<(), KernelError>;

    /// Makes the inactive table live, if there is one, and lets I/O through.
    fn resume(&self, id: &Id) -> Result<(), KernelError>;

    /// Gives a device another name.
    fn rename(&self, name: &Name, new: &Name) -> Result<(), KernelError>;

    /// Gives a device that has no uuid its uuid.
    fn set_uuid(&self, name: &Name, uuid: &Uuid) -> Result<(), KernelError>;

    /// Removes a device and both of its tables, now or at its last close, as `how` tells.
    fn remove(&self, id: &Id, how: Removal) -> Result<(), KernelError>;

    /// Sends a message to the target at `sector`, and returns its answer if it gives one.
    fn message(&self, id: &Id, sector: u64, message: &str) -> Result<Option<String>, KernelError>;

    /// Keeps this process in memory until the lock is dropped: for the time in which devices are suspended.
    /// `None` where that is not needed, or not allowed.
    fn lock_memory(&self) -> Option<MemoryLock> {
        None
    }

    /// Prepares a batch of changes: takes the resources that can run out before anything is changed. A batch
    /// without this call takes them when they are needed.
    fn begin(&self) -> Result<(), KernelError> {
        Ok(())
    }

    /// From now on changes are put back, until the next [`begin`](Self::begin): no wait is ended because this process is to end.
    fn put_back(&self) {}

    /// Whether a wait for I/O in flight was ended, because this process is to end.
    fn gave_up(&self) -> bool {
        false
    }

    /// Waits, within a limit, until udev has handled the changes up to now: before a device that is busy is
    /// tried again. No other call waits for udev.
    fn catch_up(&self) {}

    /// Waits for device nodes and links to follow the changes. Called at the end of a batch.
    fn settle(&self) -> Result<(), KernelError>;
}
