//! What a target does with its lower devices.

use std::fmt;

use smallvec::SmallVec;

use super::own_io::OwnIo;
use crate::device::Device;

/// A part of a lower device that a row uses.
#[derive(Debug, Clone, Copy)]
pub struct DeviceUse<'a> {
    /// The device as the row names it.
    pub device: &'a Device,
    /// The first sector used.
    pub start: u64,
    /// How many sectors are used; `None` when the target decides that by itself: all of the device.
    pub length: Option<u64>,
    /// Whether the target writes there.
    pub access: DeviceAccess,
    /// How the logical blocks of the device count.
    pub blocks: Blocks,
    /// The sectors in which the target reads and writes it, where the kernel wants whole logical blocks of the device.
    pub unit: Option<u64>,
    /// When the target takes the size of the device.
    pub size: SizeTaken,
    /// Which calls wait for I/O of the target's own to the device.
    pub own_io: OwnIo,
}

/// The parts of lower devices that a row uses. Most rows use one.
pub type DeviceUses<'a> = SmallVec<[DeviceUse<'a>; 1]>;

/// How the logical blocks of a lower device count for the device above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocks {
    /// The target hands I/O on to it (`iterate_devices`). The device above has blocks at least as large, and the part that
    /// a row uses must begin and end with one (`device_area_is_invalid` in `drivers/md/dm-table.c`).
    Stacked,
    /// As [`Stacked`](Self::Stacked), and all of the device must be whole blocks, whatever a row uses of it.
    StackedWhole,
    /// The target does I/O of its own there, as on metadata and logs: its blocks do not matter above.
    Apart,
}

/// When a target takes the size of a lower device. A device that grows is used, or is large enough, only from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SizeTaken {
    /// It does not: only the table counts, or the size is looked at with each access.
    #[default]
    Never,
    /// When its table is loaded, to see whether the device is large enough for the row.
    Checked,
    /// When its table is loaded: it uses what is there then.
    AtLoad,
    /// When it is resumed: it uses what is there then.
    AtResume,
}

impl SizeTaken {
    /// Whether a table must not be loaded before the device has its size.
    pub fn is_at_load(self) -> bool {
        matches!(self, Self::Checked | Self::AtLoad)
    }

    /// Whether the target uses what it finds, beyond what its row tells.
    pub fn is_used(self) -> bool {
        matches!(self, Self::AtLoad | Self::AtResume)
    }
}

/// How a target uses a lower device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceAccess {
    /// It reads, and any number of mappings may.
    Read,
    /// It writes, and no other mapping may.
    Write,
    /// It writes, and shares the device with others of its kind by design (thin volumes and their pool, a
    /// snapshot-origin and its snapshots).
    Shared,
    /// It reads, and shares the device by design with those that write it: a snapshot reads the device that its
    /// snapshot-origin writes (`origin_mode` of `snapshot_ctr` in `drivers/md/dm-snap.c`).
    SharedRead,
}

impl DeviceAccess {
    /// Whether the target writes to the device.
    pub fn writes(self) -> bool {
        matches!(self, Self::Write | Self::Shared)
    }

    /// Whether the target shares the device by design.
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Shared | Self::SharedRead)
    }
}

impl<'a> DeviceUse<'a> {
    /// Uses `length` sectors from `start` on, for reading and writing.
    pub fn write(device: &'a Device, start: u64, length: u64) -> Self {
        Self { start, length: Some(length), ..Self::whole(device, DeviceAccess::Write) }
    }

    /// Uses the whole device.
    pub fn whole(device: &'a Device, access: DeviceAccess) -> Self {
        Self {
            device,
            start: 0,
            length: None,
            access,
            blocks: Blocks::Stacked,
            unit: None,
            size: SizeTaken::Never,
            own_io: OwnIo::Never,
        }
    }

    /// Keeps the blocks of the device apart.
    #[must_use]
    pub fn apart(self) -> Self {
        Self { blocks: Blocks::Apart, ..self }
    }

    /// Reads and writes the device in pieces of this many sectors, which must be whole blocks of the device.
    #[must_use]
    pub fn in_units(self, sectors: u64) -> Self {
        Self { unit: Some(sectors), ..self }
    }

    /// Reads or writes the device by itself in these calls.
    #[must_use]
    pub fn with_own_io(self, own_io: OwnIo) -> Self {
        Self { own_io, ..self }
    }

    /// Takes the size of the device then.
    #[must_use]
    pub fn taking_size(self, size: SizeTaken) -> Self {
        Self { size, ..self }
    }
}

/// A message that a lower device must have been sent before a table is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepare<'a> {
    /// The device that the message is sent to.
    pub device: &'a Device,
    /// The message, as the target of that device reads it.
    pub message: String,
    /// The [volume](super::Target::volume) of that device that is copied: while it is in use it must be
    /// suspended, for the kernel does not do that itself.
    pub copies: Option<u32>,
}

/// A lower device that must have a target of some type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeededBelow<'a> {
    /// The device.
    pub device: &'a Device,
    /// The type.
    pub kind: &'static str,
    /// The tags that it must keep. The target may then be further down, below targets that
    /// [pass tags](super::Traits::passes_tags), and another device may keep tags by itself. Without, only a Device Mapper device
    /// can be it, and only with that target itself.
    pub tags: Option<NeededTags>,
}

/// Lower devices whose queues must be of some kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededQueue<'a> {
    /// The devices.
    pub devices: Vec<&'a Device>,
    /// The kind.
    pub kind: QueueKind,
}

/// A kind of queue that a lower device must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueKind {
    /// It takes requests, and is not a partition (`device_is_rq_stackable` in `drivers/md/dm-table.c`).
    Requests,
    /// It is memory that is addressed directly (`persistent_memory_claim` in `drivers/md/dm-writecache.c`).
    Memory,
}

/// The tags that a device keeps beside its blocks, for a device above to fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptTags {
    /// How long a tag is, in bytes.
    pub size: u32,
    /// The block that it stands beside, in bytes.
    pub block: u64,
}

impl fmt::Display for KeptTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes with each {}", self.size, self.block)
    }
}

/// The tags that a lower device must keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeededTags {
    /// Those that the table names.
    pub tags: KeptTags,
    /// How many bytes of a tag are used.
    pub used: u32,
    /// The first version of the target that takes a device with longer tags than are used.
    pub takes_longer: (u32, u32, u32),
}

/// A device whose blocks go from one mapping to another while both are there. The giving mapping must be
/// suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handover<'a> {
    /// The target lets another one have the blocks.
    Gives(&'a Device),
    /// The target takes the blocks from the one that has them.
    Takes(&'a Device),
}

/// The part that a target has in the snapshots of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginUse<'a> {
    /// It writes the device, and lets its snapshots keep the old content first. How a write is split for that follows
    /// from the snapshots that are loaded when the target is resumed (`origin_resume` and `snapshot_merge_resume` in
    /// `drivers/md/dm-snap.c`).
    Writes(&'a Device),
    /// It is a snapshot of the device.
    Keeps {
        /// The device.
        origin: &'a Device,
        /// Where the old content is kept.
        cow: &'a Device,
    },
}

/// The losses with a live target. Each is a sentence for the user, without a verb in front: a plan
/// puts "this loses" before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hazards {
    /// What is lost if the target goes away now.
    pub data_loss_on_remove: Option<&'static str>,
    /// What is lost if another table of the same type takes its place: some targets keep nothing on disk.
    pub data_loss_on_reload: Option<&'static str>,
    /// What its table does not show, because it was told by messages. An export lacks it.
    pub hidden_state: Option<&'static str>,
}
