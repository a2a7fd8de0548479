//! What the superblocks of an array fix (`super_init_validation` in `drivers/md/dm-raid.c`; `struct dm_raid_superblock` has
//! the offsets).
//!
//! The layout on disk wins over the table, and the kernel reshapes an array whose table has another, or refuses. That may
//! be wanted of a live array. An array that is only brought up must be as it was.

use super::super::frame::Contradiction;
use super::level::{Family, Level};
use super::{Raid, Resync};
use crate::targets::{Found, Metadata, OnDisk, begins_with, le32};
use crate::units::Sectors;

/// `DM_RAID_MAGIC` of `dm-raid.c`, the first 4 bytes of a metadata device (`struct dm_raid_superblock`).
const MAGIC: u32 = 0x6452_6d44;

/// What becomes of an array that has to be made consistent.
const OVERWRITES: &str = "the kernel writes parity or copies over what the devices hold";

const SUPERBLOCK: &str = "the superblock of the array";

/// Lists what the devices hold that a load reads or overwrites: superblocks, and data that is made consistent.
pub(super) fn places(raid: &Raid) -> Vec<Metadata<'_>> {
    let mut found: Vec<Metadata<'_>> = raid
        .devices
        .iter()
        .filter_map(|pair| pair.metadata.as_ref())
        .map(|device| Metadata {
            device,
            offset: 0,
            length: 512,
            // The kernel refuses nothing here: any other content is overwritten by a superblock.
            look: |bytes| if begins_with(bytes, MAGIC) { Found::Right } else { Found::Blank },
            is_copy: true,
            otherwise: "the kernel writes a new superblock, and parity or copies over what the devices hold",
        })
        .collect();
    let resyncs = raid.sync == Some(Resync::Sync) || (raid.sync.is_none() && !raid.remembers());
    if resyncs && raid.level.family() != Family::Stripes {
        let last = raid.devices.iter().rev().find_map(|pair| pair.data.as_ref());
        found.extend(last.map(|device| Metadata::overwritten(device, OVERWRITES)));
    }
    let rebuilt = raid.rebuild.iter().filter_map(|index| raid.devices.get(usize::try_from(*index).ok()?));
    found.extend(
        rebuilt
            .filter_map(|pair| pair.data.as_ref())
            .map(|device| Metadata::overwritten(device, "the kernel fills this device from the others")),
    );
    found
}

pub(super) fn contradiction(raid: &Raid, on_disk: &OnDisk<'_>) -> Option<Contradiction> {
    // `sync` makes a new array of whatever is there.
    if on_disk.live || raid.sync == Some(Resync::Sync) {
        return None;
    }
    let members = || raid.devices.iter().enumerate().filter(|(_, pair)| pair.metadata.is_some());
    let heads = || members().enumerate().map(|(index, (place, pair))| (place, pair, on_disk.head(index)));
    let mut superblocks = heads().filter_map(|(place, pair, head)| {
        let head = head.filter(|head| begins_with(head, MAGIC))?;
        Some((place, pair.metadata.as_ref()?, head))
    });
    superblocks.clone().find_map(|(place, device, head)| of_member(raid, place, device, head)).or_else(|| {
        superblocks.next()?;
        // Some devices have a superblock, so the array exists.
        heads().find_map(|(place, pair, head)| {
            let fresh = !begins_with(head?, MAGIC);
            let filled = raid.rebuild.iter().any(|rebuilt| usize::try_from(*rebuilt) == Ok(place));
            let device = pair.metadata.as_ref()?;
            (fresh && !filled && raid.delta_disks.is_none())
                .then(|| Contradiction::NewMember { device: device.into(), place })
        })
    })
}

fn of_member(
    raid: &Raid,
    place: usize,
    device: &crate::device::Device,
    head: &[u8],
) -> Option<Contradiction> {
    let count = le32(head, 8).filter(|count| *count > 0)?;
    let wanted = u32::try_from(raid.devices.len()).ok()?;
    let devices = raid
        .delta_disks
        .is_none()
        .then(|| Contradiction::field(device, SUPERBLOCK, "a number of devices of", &count, &wanted))
        .flatten();
    let level =
        || Contradiction::field(device, SUPERBLOCK, "a level of", &le32(head, 48)?, &number(raid.level));
    let chunk = || {
        let on_disk = Sectors(u64::from(le32(head, 56)?));
        let has_chunks = raid.level.family() != Family::Mirror && on_disk.0 > 0;
        has_chunks.then(|| Contradiction::field(device, SUPERBLOCK, "chunk", &on_disk, &raid.chunk)).flatten()
    };
    let role = || {
        let role = le32(head, 12)?;
        let free = matches!(raid.level.family(), Family::Mirror | Family::Copies | Family::Stripes);
        let wanted = u32::try_from(place).ok()?;
        (!free).then(|| Contradiction::field(device, SUPERBLOCK, "place", &role, &wanted)).flatten()
    };
    devices.or_else(level).or_else(chunk).or_else(role)
}

/// Returns the level as the superblock has it: MD has no raid4 of dm-raid's kind (`raid_types`).
fn number(level: Level) -> u32 {
    match level.family() {
        Family::Stripes => 0,
        Family::Mirror => 1,
        Family::Copies => 10,
        Family::Parity(1) => 5,
        Family::Parity(_) => 6,
    }
}
