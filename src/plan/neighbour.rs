//! Devices that share sectors, a volume or a disk with a mapping of the map, as data. The sentence is made where it is
//! shown.

use std::fmt;

use super::other_stack::{OtherStack, Pruning};
use super::usage::InUse;
use crate::config::SharedSectors;
use crate::device::Written;
use crate::identity::{DevNum, Key, Name, Owner, Uuid, printable};

/// A place that two devices use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedPlace {
    /// The part of the device that both use.
    pub part: Part,
    /// The lower device as the mapping writes it.
    pub device: Written,
    /// The device further down that has these sectors, where it is not the lower device itself.
    pub at: Option<DevNum>,
}

/// A part of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Some of its sectors.
    Sectors(SharedSectors),
    /// The volume of this id.
    Volume(u32),
}

/// A mapped device that exists and is not a mapping of the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Living {
    /// Its name.
    pub name: Name,
    /// Its number.
    pub number: DevNum,
    /// Its origin.
    pub origin: Origin,
    /// Its users.
    pub users: InUse,
}

/// The origin of a mapped device, as its uuid tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A mapping of another stack has it.
    OtherStack(OtherStack),
    /// The owner of the map has it, and no mapping declares it.
    Leftover(Uuid, Pruning),
    /// The owner of the map has it, and the kernel removes it with its last close.
    Leaving,
    /// Another dmctl owner has it.
    Owner(Owner),
    /// A subsystem has it.
    Subsystem(&'static str),
    /// Its uuid tells no origin.
    Unknown(Uuid),
    /// It has no uuid.
    WithoutUuid,
}

/// The other device at a shared place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Other {
    /// A mapping of the map.
    Mapping(Key),
    /// A device that is not one of the map.
    Living(Living),
}

/// Sectors or a volume that a device outside the map writes to, and a mapping of the map would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenElsewhere {
    /// The place that both write to.
    pub place: SharedPlace,
    /// The device outside the map.
    pub by: Living,
    /// Whether the table of that device can be read. Otherwise it may write to any sector of its lower devices.
    pub is_known: bool,
}

/// Sectors that one of two devices writes to, and the other only reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadElsewhere {
    /// The place that both use.
    pub place: SharedPlace,
    /// The other device.
    pub other: Other,
    /// Whether the mapping of the remark is the one that writes.
    pub writes: bool,
}

/// A disk and a partition of it that would both be in use: the kernel gives out the one or the other (`bd_may_claim` in
/// `block/bdev.c`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SameDisk {
    /// The lower device as the mapping writes it, or else its number.
    pub device: Result<Written, DevNum>,
    /// The path of the device of the same disk that is in use, or else its number.
    pub used: String,
    /// Whether the device in use is the disk, and not a partition.
    pub is_disk: bool,
    /// The user of that device.
    pub by: DiskUser,
    /// The device and the offset, in sectors, that hold the same sectors and can be had.
    pub instead: Option<(String, u64)>,
}

/// The user of a disk or of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskUser {
    /// A file system, mounted here.
    Mount(String),
    /// The kernel, which swaps to it.
    Swap,
    /// A block device that is not a mapped one, as an array is, by its name.
    Holder(String),
    /// A mapped device outside the map.
    Living(Living),
    /// A mapping of the map.
    Mapping(Key),
    /// The live table of the mapping itself.
    Itself,
}

impl fmt::Display for SharedPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Part::Sectors(sectors) => write!(f, "{sectors} of ")?,
            Part::Volume(id) => write!(f, "volume {id} of ")?,
        }
        match self.at {
            Some(at) => write!(f, "{at}, below {}", self.device.described()),
            None => f.write_str(&self.device.described()),
        }
    }
}

impl fmt::Display for Living {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({}), {}", self.name, self.number, self.origin)?;
        let users = self.users.describe();
        if users.is_empty() { Ok(()) } else { write!(f, ", {users}") }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherStack(other) => write!(f, "the mapping `{}` of another stack", other.key),
            Self::Leftover(uuid, _) => write!(f, "an owned device ({uuid}) that no mapping declares"),
            Self::Leaving => f.write_str("an owned device that goes away as soon as it is closed"),
            Self::Owner(owner) => write!(f, "a device of the dmctl owner {owner}"),
            Self::Subsystem(subsystem) => write!(f, "a device of {subsystem}"),
            Self::Unknown(uuid) => write!(f, "a device with the uuid {uuid}"),
            Self::WithoutUuid => f.write_str("a device without uuid"),
        }
    }
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mapping(key) => write!(f, "`{key}`"),
            Self::Living(living) => write!(f, "{living},"),
        }
    }
}

impl fmt::Display for WrittenElsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, by, is_known } = self;
        let volume = matches!(place.part, Part::Volume(_));
        match (volume, is_known) {
            (true, _) => write!(f, "it would be {place}, and so is {by}")?,
            (false, true) => write!(f, "it would write to {place}, where {by}, writes too")?,
            (false, false) => write!(
                f,
                "it would write to {place}, which {by}, uses with a table that dmctl does not know, so it may write there too"
            )?,
        }
        match &by.origin {
            Origin::Leaving => return f.write_str("; apply again once it is gone"),
            Origin::OtherStack(other) => return write!(f, "; {other}"),
            Origin::Leftover(uuid, pruning) => {
                let formerly = uuid.parts().map(|(_, key)| format!("formerly = [\"{key}\"]"));
                let fields: Vec<String> = formerly.into_iter().chain(uuid.field()).collect();
                f.write_str("; ")?;
                if !fields.is_empty() {
                    write!(f, "write {} in the mapping that this device is, or ", fields.join(" or "))?;
                }
                pruning.fmt(f)?;
            }
            _ => {}
        }
        let other = if volume { "another id" } else { "other sectors" };
        let meant = if volume { "one volume is" } else { "that is" };
        write!(f, "; give it {other}, or write shared = true if {meant} meant")
    }
}

impl fmt::Display for ReadElsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, other, writes } = self;
        if *writes {
            write!(f, "it writes to {place}, which {other} only reads")
        } else {
            write!(f, "it only reads {place}, and {other} writes there")
        }
    }
}

impl fmt::Display for SameDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the kernel gives the lower device ")?;
        match &self.device {
            Ok(device) => f.write_str(&device.described())?,
            Err(number) => write!(f, "{number}")?,
        }
        let used = printable(&self.used);
        let other = match &self.by {
            DiskUser::Living(Living { origin: Origin::OtherStack(other), .. }) => Some(other),
            _ => None,
        };
        let which = if self.is_disk { ", the disk of that partition," } else { " of the same disk" };
        write!(f, " to no table: {used}{which} is {}", self.by)?;
        if let Some(other) = other {
            write!(f, "; {other}")?;
        }
        match (&self.instead, &self.by) {
            (Some((device, offset)), _) => {
                let or = if other.is_some() { "or " } else { "" };
                write!(f, "; {or}map {} with offset {offset} instead", printable(device))
            }
            (None, DiskUser::Itself) => f.write_str("; apply it with state = \"absent\" first"),
            (None, _) => Ok(()),
        }
    }
}

impl fmt::Display for DiskUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mount(mount) => write!(f, "mounted on {}", printable(mount)),
            Self::Swap => f.write_str("swap space"),
            Self::Holder(holder) => write!(f, "part of {}", printable(holder)),
            Self::Living(living) => write!(f, "under {living}"),
            Self::Mapping(key) => write!(f, "under the mapping `{key}`"),
            Self::Itself => f.write_str("under its live table"),
        }
    }
}
