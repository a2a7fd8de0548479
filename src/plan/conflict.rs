//! Conflicts of a map, as data. The sentence is made where it is shown.

use std::fmt;
use std::time::Duration;

use smol_str::SmolStr;

use super::blocks_grow::BlocksGrow;
use super::neighbour::{SameDisk, WrittenElsewhere};
use super::unseen_fact::UnseenFact;
use crate::block_size::{Misaligned, MisalignedRow};
use crate::config::SharedSectors;
use crate::device::Written;
use crate::identity::{Called, DevNum, Key, Name, Uuid, printable};
use crate::kernel::Absence;
use crate::keys::MissingKey;
use crate::observed::Circle;
use crate::targets::{self, Contradiction, NoRoom, Problem};

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
    /// A lower device is not found.
    LowerMissing {
        /// The lower device, as the map writes it.
        device: Written,
        /// Why it is not found.
        absence: Absence,
        /// How long an apply waits for it.
        wait: Duration,
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
    /// A lower device is read-only, and the table would write to it.
    LowerReadOnly(Written),
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
    /// A key is in no keyring.
    KeyMissing(MissingKey),
    /// The mapping and others exchange sectors, and their tables can't be swapped together.
    ExchangeInParts,
    /// Volumes that are snapshots of each other.
    SnapshotsInCircle {
        /// The mappings that serve these volumes.
        origins: Vec<Key>,
    },
    /// The steps of the mapping wait for each other.
    StepsInCircle,
}

/// A member of a circle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// A mapping of the map.
    Mapping(Key),
    /// Any other device.
    Device(Called),
}

/// A device that keeps the name of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameHolder {
    /// The device of a mapping.
    Mapping(Key),
    /// A device that is removed with its last close.
    RemovalPending,
    /// A device without uuid, and the mapping, which would adopt one, has a device.
    SecondWithoutUuid,
    /// A device without uuid.
    WithoutUuid,
    /// An orphan.
    Orphan(Uuid),
    /// A device of another dmctl owner, of another subsystem, or of unknown origin.
    Foreign(Uuid),
}

/// The claimant of a block device: the kernel refuses a table that uses the device (`bd_prepare_to_claim`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimant {
    /// A file system, mounted here.
    Mount(String),
    /// The kernel, which swaps to it (`/proc/swaps`).
    Swap,
    /// Another block device, as an array is: its name.
    Holder(String),
}

fn length_unknown(f: &mut fmt::Formatter<'_>, kind: &str, start: u64, lower: Option<&Key>) -> fmt::Result {
    write!(f, "the length of the {kind} target at sector {start} follows from ")?;
    match lower {
        None => f.write_str("a device whose size is not known: give the row a length"),
        Some(key) => write!(
            f,
            "the size of @{key}, which is known only once @{key} was loaded for the first time; apply the map without \
             this mapping first, or give the row a length"
        ),
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RowStart { kind, start, given } => write!(
                f,
                "its {kind} target must start at sector {start}, where the one before it ends, not at {given}"
            ),
            Self::LengthUnknown { kind, start, lower } => length_unknown(f, kind, *start, lower.as_ref()),
            Self::NoRoom(no_room) => no_room.fmt(f),
            Self::RowsMisaligned(row) => row.fmt(f),
            Self::BlocksGrow(growth) => growth.fmt(f),
            Self::Parameter(problem) => write!(f, "{problem}"),
            Self::OwnSectors { first, second, sectors } => write!(
                f,
                "{} and {} are the same device at {sectors}, and its target would overwrite what it keeps there; give it another device",
                first.described(),
                second.described()
            ),
            Self::Contradiction(contradiction) => contradiction.fmt(f),
            Self::Metadata { device, message } => write!(f, "{}: {message}", device.described()),
            Self::Circle { through } => write!(f, "it depends on itself, through {}", links(through)),
            Self::InCircle(circle) => write!(f, "{circle}"),
            Self::AboveCircle { through } => {
                let all_mappings = through.iter().all(|link| matches!(link, Link::Mapping(_)));
                let members = if all_mappings { "mappings" } else { "devices" };
                write!(f, "it depends on a circle of {members}, through {}", links(through))
            }
            Self::LinkMoved { device, leads_to } => write!(
                f,
                "the link {} leads to {leads_to}, which shows the content of a lower device of this mapping; which one the \
                 map means can't be told: write a path of /dev/disk/by-id, or PARTUUID=",
                **device
            ),
            Self::Overlap { sectors, device, other, other_device } => write!(
                f,
                "it writes to {sectors} of {}; `{other}` writes there too (as {}); give them different \
                 sectors, or write shared = true in both",
                **device, **other_device
            ),
            Self::WrittenElsewhere(shared) => shared.fmt(f),
            Self::SameDisk(disk) => disk.fmt(f),
            Self::SameVolume { id, pool, other } => write!(
                f,
                "it is volume {id} of {}, and so is `{other}`; give it another id, or write shared = true in both",
                pool.described()
            ),
            Self::ClaimedTwice { device, other, mapping } => {
                write!(f, "the device `{device}` can't be both `{other}` and `{mapping}`")
            }
            Self::RenamedFromUuid { name, uuid } => write!(
                f,
                "renamed_from names `{name}`, but that device has the uuid {uuid}, which can't be changed; write uuid = \
                 \"{uuid}\" to declare it as it is"
            ),
            Self::NameTaken { name, number, by } => write!(f, "the name `{name}` is taken by {number}, {by}"),
            Self::HandoverActive { giver, number } => write!(
                f,
                "it would take over what `{giver}` keeps on {number}, and that is not suspended; apply the map with \
                 `state = \"suspended\"` for it first"
            ),
            Self::OriginForeign { writer, origin } => write!(
                f,
                "its origin {origin} is written through `{writer}`, which no mapping of this map is, and which must be \
                 suspended while the snapshot is made; declare it, or run `dmctl suspend {0}` before the apply and \
                 `dmctl resume {0}` after it",
                writer.word()
            ),
            Self::OriginDeaf { origin, through, below } => write!(
                f,
                "its origin {} is written through {through}, which is a snapshot-origin of {below}: a snapshot of it would \
                 keep nothing; write {below} as the origin",
                origin.described()
            ),
            Self::Unseen(fact) => fact.fmt(f),
            Self::TypeMissing(kind) => write_type_missing(f, kind),
            Self::KeyMissing(key) => write!(f, "{key}"),
            Self::ExchangeInParts => f.write_str(
                "it would take sectors from a device that takes others in turn, and their tables can't be swapped together; \
                 apply the change in two parts: first a map in which nothing uses these sectors",
            ),
            Self::SnapshotsInCircle { origins } => write_snapshots_in_circle(f, origins),
            Self::StepsInCircle => {
                f.write_str("its steps wait for each other; apply the change in two parts")
            }
            Self::LowerMissing { .. }
            | Self::LowerPruned { .. }
            | Self::LowerAbsent { .. }
            | Self::LowerRenamed { .. }
            | Self::LowerTooSmall { .. }
            | Self::LowerReadOnly(_)
            | Self::Misaligned { .. }
            | Self::LowerClaimed { .. } => self.write_lower(f),
        }
    }
}

impl Obstacle {
    /// Whether the obstacle is only in the way of a load: a table that is live already goes on.
    pub(super) fn hinders_only_a_load(&self) -> bool {
        matches!(
            self,
            Self::Parameter(_)
                | Self::Metadata { .. }
                | Self::LowerTooSmall { .. }
                | Self::LowerReadOnly(_)
                | Self::Misaligned { .. }
                | Self::RowsMisaligned(_)
                | Self::Unseen(_)
        )
    }

    /// Writes the sentence about a lower device.
    fn write_lower(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lower device ")?;
        match self {
            Self::LowerMissing { device, absence, wait } => {
                write!(f, "{} {absence}", **device)?;
                if wait.is_zero() || !absence.can_end() {
                    return Ok(());
                }
                write!(f, "; apply waits up to {wait:?} for it")
            }
            Self::LowerPruned { device, name } => write!(
                f,
                "{} is `{name}`, which no mapping declares and prune = true removes",
                device.described()
            ),
            Self::LowerAbsent { device, key } => {
                write!(f, "{} is the mapping `{key}`, which is to be absent", device.described())
            }
            Self::LowerRenamed { device, key, name } => write!(
                f,
                "{} is the mapping `{key}`, which is to be called `{name}`; write @{key}",
                device.described()
            ),
            Self::LowerTooSmall { device, end, size } => write!(
                f,
                "{} is too small: the table reaches to sector {end}, it has {size}",
                device.described()
            ),
            Self::LowerReadOnly(device) => write!(
                f,
                "{} is read-only, and this table would write to it; say readonly = true",
                device.described()
            ),
            Self::Misaligned { device, misaligned } => write!(f, "{} {misaligned}", device.described()),
            Self::LowerClaimed { device, by } => {
                match device {
                    Ok(device) => f.write_str(&device.described())?,
                    Err(number) => write!(f, "{number}")?,
                }
                write!(f, " is {by}, so the kernel gives it to no table")
            }
            _ => Ok(()),
        }
    }
}

fn write_type_missing(f: &mut fmt::Formatter<'_>, kind: &str) -> fmt::Result {
    write!(
        f,
        "the kernel lists no target type `{}`, and its module index has no module `{}`, so that the table would be refused; \
         install the module, or a kernel that has it",
        printable(kind),
        targets::module(kind)
    )
}

fn write_snapshots_in_circle(f: &mut fmt::Formatter<'_>, origins: &[Key]) -> fmt::Result {
    let origins: Vec<String> = origins.iter().map(|key| format!("`{key}`")).collect();
    write!(
        f,
        "the volumes of {} are snapshots of each other, so that none can be made first; leave snapshot_of out of one of them, \
         which is then an empty volume, or the one of that id that the pool has",
        origins.join(" and ")
    )
}

/// `@key` as a map writes it, or `over (254:1)`.
impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mapping(key) => write!(f, "@{key}"),
            Self::Device(device) => device.fmt(f),
        }
    }
}

impl fmt::Display for NameHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mapping(key) => {
                write!(f, "the device of the mapping `{key}`, which this plan does not rename or remove")
            }
            Self::RemovalPending => {
                f.write_str("a device that goes away as soon as it is closed; then apply again")
            }
            Self::SecondWithoutUuid => f.write_str(
                "a device without uuid, and the mapping has a device already; remove one of the two",
            ),
            Self::WithoutUuid => f.write_str(
                "a device without uuid; write adopt = true to take it over, or give the mapping another name",
            ),
            Self::Orphan(uuid) => write!(
                f,
                "an owned device ({uuid}) that no mapping declares; remove it, or let prune = true do so"
            ),
            Self::Foreign(uuid) => {
                let other = uuid.parts().map(|(owner, _)| format!("the dmctl owner {owner}"));
                let whose = other.or_else(|| uuid.subsystem().map(ToString::to_string));
                let whose = whose.map_or_else(String::new, |whose| format!(" of {whose}"));
                write!(
                    f,
                    "a device{whose} with the uuid {uuid}; give the mapping another name, or write uuid = \"{uuid}\" to \
                     declare that very device"
                )
            }
        }
    }
}

impl fmt::Display for Claimant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mount(mount) => write!(f, "mounted on {mount}"),
            Self::Swap => f.write_str("swap space"),
            Self::Holder(holder) => write!(f, "part of {holder}"),
        }
    }
}

/// Members of a circle, separated by commas.
fn links(links: &[Link]) -> String {
    links.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
