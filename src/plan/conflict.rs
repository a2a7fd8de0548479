//! Conflicts of a map, as data. The sentence is made where it is shown, in `display`.

mod display;
mod party;

use std::time::Duration;

use smol_str::SmolStr;

pub use self::party::{Claimant, Link, NameHolder};
use super::blocks_grow::BlocksGrow;
use super::neighbour::{SameDisk, WrittenElsewhere};
use super::other_stack::OtherStack;
use super::suspended_below::SuspendedBelow;
use super::unseen_fact::UnseenFact;
use super::wrong_below::WrongBelow;
use super::wrong_queue::WrongQueue;
use crate::block_size::{Misaligned, MisalignedRow};
use crate::config::SharedSectors;
use crate::device::Written;
use crate::diff::Unjudgeable;
use crate::identity::{Called, DevNum, Key, Name, Uuid};
use crate::kernel::Absence;
use crate::keys::MissingKey;
use crate::observed::{Circle, Gone};
use crate::targets::{Contradiction, NoRoom, Problem, Repair, Shortage, UnfinishedFirst};

/// A conflict of one mapping, which blocks the whole map: no step is applied while it lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The mapping with the conflict.
    pub mapping: Key,
    /// The name that the map gives its device.
    pub name: Name,
    /// The obstacle, whose sentence also tells how to remove it.
    pub reason: Obstacle,
}

impl Conflict {
    /// Sorts conflicts by mapping, name and sentence, and drops duplicates.
    pub fn sort(conflicts: &mut Vec<Self>) {
        conflicts.sort_by_cached_key(|conflict| {
            (conflict.mapping.clone(), conflict.name.clone(), conflict.reason.to_string())
        });
        conflicts.dedup();
    }
}

/// An obstacle to a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// A row is given a start that is not the end of the row before.
    RowStart {
        /// The target type of the row.
        kind: SmolStr,
        /// Where the row must start, in sectors.
        start: u64,
        /// The start that is given.
        given: u64,
    },
    /// The length of a row follows from a device of unknown size.
    LengthUnknown {
        /// The target type of the row.
        kind: SmolStr,
        /// The start of the row, in sectors.
        start: u64,
        /// The mapping whose size is known only after a first load.
        lower: Option<Key>,
    },
    /// The lower devices leave no room for a row.
    NoRoom(NoRoom),
    /// A parameter of a target breaks a rule, which shows only now.
    Parameter(Problem),
    /// A row would use the same sectors for two purposes.
    OwnSectors {
        /// The lower device of the first use.
        first: Written,
        /// The lower device of the second use.
        second: Written,
        /// The sectors, of the device that both lead to.
        sectors: SharedSectors,
    },
    /// A device holds metadata with which the kernel must not load the table.
    Metadata {
        /// The device that holds the metadata.
        device: Written,
        /// The sentence of the target.
        message: &'static str,
    },
    /// The metadata on a lower device contradicts the table, which the kernel would refuse or ignore.
    Contradiction(Contradiction),
    /// The metadata of the live table must be repaired before another one can be loaded.
    Repair(Repair),
    /// The live table has something left, and the kernel refuses the new one meanwhile.
    UnfinishedFirst(UnfinishedFirst),
    /// The mapping needs a volume that its pool can't make.
    VolumeOfDamagedPool {
        /// The id of the volume.
        id: u32,
        /// The pool, as the map writes it.
        pool: Written,
        /// What must be repaired.
        repair: Repair,
    },
    /// A lower device is not found.
    LowerMissing {
        /// The lower device, as the map writes it.
        device: Written,
        /// Why it is not found.
        absence: Absence,
        /// How long an apply waits for it.
        wait: Duration,
        /// The device that the live table has in its place.
        had: Option<Gone>,
    },
    /// A lower device is an orphan that is removed.
    LowerPruned {
        /// The lower device, as the map writes it.
        device: Written,
        /// The name of the orphan.
        name: Name,
    },
    /// A lower device is a mapping that is to be absent.
    LowerAbsent {
        /// The lower device, as the map writes it.
        device: Written,
        /// The key of the mapping that is to be absent.
        key: Key,
    },
    /// A lower device is written by the name of a mapping that gets another name.
    LowerRenamed {
        /// The lower device, as the map writes it.
        device: Written,
        /// The key of the mapping that gets another name.
        key: Key,
        /// The name it gets.
        name: Name,
    },
    /// A lower device is smaller than what the table uses of it.
    LowerTooSmall {
        /// The lower device, as the map writes it.
        device: Written,
        /// Where the table ends on it, in sectors.
        end: u64,
        /// Its size, in sectors.
        size: u64,
    },
    /// A lower device is over a mapping that becomes smaller than what the table uses of it.
    LowerCut {
        /// The lower device, as the map writes it.
        device: Written,
        /// The key of the mapping.
        key: Key,
        /// Where the table ends on the device, in sectors.
        end: u64,
        /// The size of the mapping, in sectors.
        size: u64,
    },
    /// A lower device is shorter, or becomes shorter, than what the target has on it already.
    LowerHoldsMore(Shortage),
    /// A pool is new, and does not have the volume that the table needs.
    VolumeAbsent {
        /// The pool, as the map writes it.
        pool: Written,
        /// The id of the volume.
        id: u32,
        /// Whether a snapshot is to be taken of it.
        is_copied: bool,
    },
    /// A lower device is read-only, and the table would write to it.
    LowerReadOnly(Written),
    /// A lower device is read-only, and the kernel writes to it whatever the access of the mapping is.
    LowerMerged(Written),
    /// A lower device is read-only, and holds no metadata yet.
    LowerUnformatted {
        /// The lower device, as the map writes it.
        device: Written,
        /// The target type.
        kind: SmolStr,
    },
    /// A lower device holds no metadata yet, and the table is told to write none.
    NeverFormatted {
        /// The lower device, as the map writes it.
        device: Written,
        /// The target type.
        kind: SmolStr,
    },
    /// A pool that a table needs a new volume of is told to make none.
    NoNewVolumes {
        /// The pool, as the map writes it.
        pool: Written,
        /// The id of the volume.
        id: u32,
    },
    /// A row does not use a lower device in whole logical blocks.
    Misaligned {
        /// The lower device, as the map writes it.
        device: Written,
        /// The number that is not whole blocks.
        misaligned: Misaligned,
    },
    /// A row does not fit the logical blocks that another row gives the device.
    RowsMisaligned(MisalignedRow),
    /// The logical blocks of a device grow under something that needs smaller ones.
    BlocksGrow(Box<BlocksGrow>),
    /// A lower device is claimed outside of Device Mapper.
    LowerClaimed {
        /// The lower device as the map writes it, or else its number.
        device: Result<Written, DevNum>,
        /// The claimant, which has opened it for itself alone.
        by: Claimant,
    },
    /// The mapping would be in a circle.
    Circle {
        /// The other members of the circle, from the one below on; the mapping itself where there is no other.
        through: Vec<Link>,
    },
    /// The device of the mapping is in a circle already.
    InCircle(Circle),
    /// The mapping would be above a circle.
    AboveCircle {
        /// The members in or above the circle that it uses.
        through: Vec<Link>,
    },
    /// A link, which udev moved, may mean any of several lower devices.
    LinkMoved {
        /// The lower device, as the map writes it.
        device: Written,
        /// The device that the link leads to now.
        leads_to: Called,
    },
    /// Two mappings write to the same sectors.
    Overlap {
        /// The sectors that both mappings write to.
        sectors: SharedSectors,
        /// The device as this mapping writes it.
        device: Written,
        /// The key of the other mapping.
        other: Key,
        /// The device as the other mapping writes it.
        other_device: Written,
    },
    /// A device outside the map writes to the same sectors, or is the same volume.
    WrittenElsewhere(Box<WrittenElsewhere>),
    /// A lower device is a disk of which a partition is in use, or a partition of a disk that is in use.
    SameDisk(Box<SameDisk>),
    /// Two mappings are the same volume of a pool.
    SameVolume {
        /// The id of the volume.
        id: u32,
        /// The pool as this mapping writes it.
        pool: Written,
        /// The key of the other mapping.
        other: Key,
    },
    /// Two mappings have one device.
    ClaimedTwice {
        /// The name of the device.
        device: Name,
        /// The key of the other mapping.
        other: Key,
        /// The key of this mapping.
        mapping: Key,
    },
    /// The device to be renamed has a uuid of its own.
    RenamedFromUuid {
        /// The name of the device.
        name: Name,
        /// The uuid that it has.
        uuid: Uuid,
    },
    /// A device has the name, and keeps it.
    NameTaken {
        /// The name that is taken.
        name: Name,
        /// The number of the device.
        number: DevNum,
        /// The kind of that device.
        by: NameHolder,
    },
    /// The device that hands its blocks over is not suspended.
    HandoverActive {
        /// The name of that device.
        giver: Name,
        /// The device that holds the blocks.
        number: DevNum,
    },
    /// The origin of a new snapshot is written through a device that may not be suspended meanwhile.
    OriginForeign {
        /// The name of that device.
        writer: Name,
        /// The origin.
        origin: DevNum,
        /// The mapping of another stack that this device is.
        other: Option<OtherStack>,
    },
    /// The origin of a new snapshot is written at a device below, so that the snapshot would keep nothing.
    OriginDeaf {
        /// The origin as the map writes it.
        origin: Written,
        /// The device through which it is written.
        through: String,
        /// The device below, as it is written there.
        below: String,
    },
    /// A fact that the plan depends on could not be seen.
    Unseen(Box<UnseenFact>),
    /// The kernel does not have a target type, and its module index lists no module that has it.
    TypeMissing(SmolStr),
    /// A lower device is not of the type that a target needs.
    WrongBelow(Box<WrongBelow>),
    /// A lower device does not take I/O as a target needs it.
    WrongQueue(Box<WrongQueue>),
    /// A call would wait for a suspended device.
    SuspendedBelow(Box<SuspendedBelow>),
    /// A key is in no keyring.
    KeyMissing(MissingKey),
    /// The mapping and others exchange sectors, and their tables can't be swapped together.
    ExchangeInParts {
        /// The mapping that must be absent first.
        first: Key,
    },
    /// Volumes that are snapshots of each other.
    SnapshotsInCircle {
        /// The mappings that serve these volumes.
        origins: Vec<Key>,
    },
    /// The steps of the mapping wait for each other.
    StepsInCircle,
}

impl Obstacle {
    /// Why the live table can't be judged, where a lower device is not found and may be another than the one of the table.
    pub(super) fn unrecorded(&self) -> Option<Unjudgeable> {
        match self {
            Self::LowerMissing {
                device, absence, had: Some(Gone { number, is_recorded: false }), ..
            } => {
                Some(Unjudgeable::Lower { device: device.clone(), absence: absence.clone(), number: *number })
            }
            _ => None,
        }
    }

    /// Whether the obstacle is only in the way of a load: a table that is live already goes on.
    pub(super) fn hinders_only_a_load(&self) -> bool {
        matches!(
            self,
            Self::Parameter(_)
                | Self::Metadata { .. }
                | Self::LowerTooSmall { .. }
                | Self::LowerCut { .. }
                | Self::LowerReadOnly(_)
                | Self::LowerMerged(_)
                | Self::LowerUnformatted { .. }
                | Self::NeverFormatted { .. }
                | Self::Misaligned { .. }
                | Self::RowsMisaligned(_)
                | Self::Unseen(_)
                | Self::LowerMissing { had: Some(_), .. }
        )
    }
}
