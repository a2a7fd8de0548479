//! How an obstacle is told: one sentence, with the way out.

use std::fmt;

use super::{Link, Obstacle};
use crate::device::Written;
use crate::identity::{DevNum, Key, Name, printable};
use crate::observed::Gone;
use crate::plan::other_stack::OtherStack;
use crate::targets;

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RowStart { kind, start, given } => write!(
                f,
                "its {kind} target must start at sector {start}, where the one before it ends, not at {given}"
            ),
            Self::LengthUnknown { kind, start, lower } => length_unknown(f, kind, *start, lower.as_ref()),
            Self::NoRoom(no_room) => no_room.fmt(f),
            Self::LowerHoldsMore(shortage) => shortage.fmt(f),
            Self::RowsMisaligned(row) => row.fmt(f),
            Self::BlocksGrow(growth) => growth.fmt(f),
            Self::Parameter(problem) => write!(f, "{problem}"),
            Self::Contradiction(contradiction) => contradiction.fmt(f),
            Self::Repair(repair) => repair.fmt(f),
            Self::UnfinishedFirst(unfinished) => unfinished.fmt(f),
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
            Self::SuspendedBelow(found) => found.fmt(f),
            Self::VolumeOfDamagedPool { id, pool, repair } => {
                write!(f, "{} can't make volume {id}: {repair}", pool.described())
            }
            Self::OwnSectors { first, second, sectors } => write_own_sectors(f, [first, second], sectors),
            Self::SameVolume { id, pool, other } => write!(
                f,
                "it is volume {id} of {}, and so is `{other}`; give it another id, or write shared = true in both",
                pool.described()
            ),
            Self::ClaimedTwice { device, other, mapping } => {
                write!(f, "the device `{device}` can't be both `{other}` and `{mapping}`")
            }
            Self::RenamedFromUuid { name, uuid } => {
                write!(
                    f,
                    "renamed_from names `{name}`, but that device has the uuid {uuid}, which can't be changed; "
                )?;
                match uuid.field() {
                    Some(field) => write!(f, "write {field} to declare it as it is"),
                    None => f.write_str("a map can't hold that uuid, so leave renamed_from out"),
                }
            }
            Self::NameTaken { name, number, by } => write!(f, "the name `{name}` is taken by {number}, {by}"),
            Self::HandoverActive { giver, number } => write!(
                f,
                "it would take over what `{giver}` keeps on {number}, and that is not suspended; apply the map with \
                 `state = \"suspended\"` for it first"
            ),
            Self::OriginForeign { writer, origin, other } => {
                write_origin_foreign(f, writer, *origin, other.as_ref())
            }
            Self::OriginDeaf { origin, through, below } => write!(
                f,
                "its origin {} is written through {through}, which is a snapshot-origin of {below}: a snapshot of it would \
                 keep nothing; write {below} as the origin",
                origin.described()
            ),
            Self::Unseen(fact) => fact.fmt(f),
            Self::TypeMissing(kind) => write_type_missing(f, kind),
            Self::WrongBelow(wrong) => wrong.fmt(f),
            Self::WrongQueue(wrong) => wrong.fmt(f),
            Self::KeyMissing(key) => write!(f, "{key}"),
            Self::ExchangeInParts { first } => write_exchange_in_parts(f, first),
            Self::SnapshotsInCircle { origins } => write_snapshots_in_circle(f, origins),
            Self::StepsInCircle => {
                f.write_str("its steps wait for each other; apply the change in two parts")
            }
            Self::LowerMissing { .. }
            | Self::LowerPruned { .. }
            | Self::LowerAbsent { .. }
            | Self::LowerRenamed { .. }
            | Self::LowerTooSmall { .. }
            | Self::LowerCut { .. }
            | Self::VolumeAbsent { .. }
            | Self::LowerReadOnly(_)
            | Self::LowerMerged(_)
            | Self::LowerUnformatted { .. }
            | Self::NeverFormatted { .. }
            | Self::NoNewVolumes { .. }
            | Self::Misaligned { .. }
            | Self::LowerClaimed { .. } => self.write_lower(f),
        }
    }
}

impl Obstacle {
    /// Writes the sentence about a lower device.
    fn write_lower(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lower device ")?;
        match self {
            Self::LowerMissing { device, absence, wait, had } => {
                write!(f, "{} {absence}", **device)?;
                if let Some(Gone { number, .. }) = had {
                    return write!(f, "; the live table has {number} in its place");
                }
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
            Self::LowerCut { device, key, end, size } => write!(
                f,
                "{} is on `{key}`, which is too small: the table reaches to sector {end}, `{key}` has {size}",
                device.described()
            ),
            Self::VolumeAbsent { pool, id, is_copied: false } => write!(
                f,
                "{} is a new pool, and has no volume {id}; write it with `create = true`",
                pool.described()
            ),
            Self::VolumeAbsent { pool, id, is_copied: true } => write!(
                f,
                "{} is a new pool, and has no volume {id} to take a snapshot of; declare that one as well, with `create = true`",
                pool.described()
            ),
            Self::LowerMerged(device) => write!(
                f,
                "{} is read-only, and a merge writes to it also below a read-only mapping; make it writable, or leave the \
                 merge",
                device.described()
            ),
            Self::LowerUnformatted { device, kind } => write!(
                f,
                "{} is read-only, and {kind} would format it, also below a read-only mapping; make it writable until it is \
                 formatted",
                device.described()
            ),
            Self::NeverFormatted { device, kind } => write!(
                f,
                "{} holds no metadata, and a {kind} with read_only = true formats none; leave read_only out until it is \
                 formatted",
                device.described()
            ),
            Self::NoNewVolumes { pool, id } => write!(
                f,
                "{} has read_only = true, so that volume {id} can't be made in it; leave read_only out of it until the volume is \
                 made",
                pool.described()
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

fn write_own_sectors(
    f: &mut fmt::Formatter<'_>,
    [first, second]: [&Written; 2],
    sectors: &impl fmt::Display,
) -> fmt::Result {
    write!(
        f,
        "{} and {} are the same device at {sectors}, and its target would overwrite what it keeps there; give it another \
         device",
        first.described(),
        second.described()
    )
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

fn write_origin_foreign(
    f: &mut fmt::Formatter<'_>,
    writer: &Name,
    origin: DevNum,
    other: Option<&OtherStack>,
) -> fmt::Result {
    write!(f, "its origin {origin} is written through `{writer}`, ")?;
    match other {
        Some(other) => write!(
            f,
            "the mapping `{}` of another stack, which must be suspended while the snapshot is made; {other}",
            other.key
        ),
        None => write!(
            f,
            "which no mapping of this map is, and which must be suspended while the snapshot is made; declare it, or run \
             `dmctl suspend {0} --foreign` before the apply and `dmctl resume {0} --foreign` after it",
            writer.word()
        ),
    }
}

fn write_exchange_in_parts(f: &mut fmt::Formatter<'_>, first: &Key) -> fmt::Result {
    write!(
        f,
        "it would take sectors from a device that lets go of them only after it, and their tables can't be swapped together; \
         apply the change in two parts: first with `state = \"absent\"` for `{first}` and for all that is made on it"
    )
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

/// Members of a circle, separated by commas.
fn links(links: &[Link]) -> String {
    links.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
