//! What the superblock fixes (`dm_integrity_ctr` in `drivers/md/dm-integrity.c`, which refuses a table with other values;
//! `struct superblock` has the offsets).

use super::super::Unit;
use super::compare::tag;
use super::{Integrity, MAGIC, Mode};
use crate::targets::{Contradiction, OnDisk, le16, le32, le64};
use crate::units::{Bytes, SECTOR};

const SUPERBLOCK: &str = "the superblock of integrity";
/// `SB_FLAG_HAVE_JOURNAL_MAC`.
const HAS_MAC: u32 = 0x1;
/// `SB_FLAG_INLINE`.
const INLINE: u32 = 0x20;

pub(super) fn contradiction(wanted: &Integrity, on_disk: &OnDisk<'_>) -> Option<Contradiction> {
    let head = on_disk.first().filter(|head| head.starts_with(MAGIC))?;
    let device = wanted.meta_device.as_ref().unwrap_or(&wanted.device);
    let tag_size = le16(head, 10).filter(|size| *size > 0);
    // A superblock without a tag size was never written by a kernel.
    let tag_size = u32::from(tag_size?);
    let flags = le32(head, 24)?;
    let block = Bytes(SECTOR.checked_shl(u32::from(*head.get(28)?))?);
    let bytes = |size: u32| Unit::Bytes.of(size);
    let tags = tag(wanted).and_then(|size| {
        Contradiction::field(device, SUPERBLOCK, "tag_size", &bytes(tag_size), &bytes(size))
    });
    let blocks = || {
        let wanted = Bytes(wanted.sectors_per_block() * SECTOR);
        Contradiction::field(device, SUPERBLOCK, "block_size", &block, &wanted)
    };
    let given = |is: bool| if is { "set" } else { "unset" }.to_string();
    let mac = || {
        let (on_disk, wanted) = (given(flags & HAS_MAC != 0), given(wanted.journal_mac.is_some()));
        Contradiction::field(device, SUPERBLOCK, "journal_mac", &on_disk, &wanted)
    };
    let mode = || {
        let on_disk = if flags & INLINE != 0 { Mode::Inline } else { wanted.mode };
        let other = (wanted.mode == Mode::Inline) != (flags & INLINE != 0);
        other.then(|| Contradiction::Fixed {
            device: device.into(),
            metadata: SUPERBLOCK,
            field: "mode",
            on_disk: if flags & INLINE != 0 { on_disk.to_string() } else { Mode::Journal.to_string() },
            wanted: wanted.mode.to_string(),
        })
    };
    let room = || {
        let there = le64(head, 16)?;
        // With a device of its own for the tags the kernel counts again, and so it does where the device has grown.
        (wanted.meta_device.is_none() && !on_disk.live && there > 0 && there < on_disk.length).then_some(
            Contradiction::TooSmall {
                metadata: "this table",
                counted: on_disk.length,
                unit: "sectors",
                room: "the superblock of integrity",
                there,
                remedy: "leave the length out",
            },
        )
    };
    tags.or_else(blocks).or_else(mac).or_else(mode).or_else(room)
}
