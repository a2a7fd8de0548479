//! What the superblock fixes, and how much data there is room for (`dm_integrity_ctr` in `drivers/md/dm-integrity.c`, which refuses a table with other values;
//! `struct superblock` has the offsets).

use super::super::Unit;
use super::layout::{HAS_MAC, INLINE, Layout, Sizes};
use super::{Integrity, MAGIC, Mode, PROVIDED};
use crate::targets::{Contradiction, Found, OnDisk, SizeOf, TargetKind as _, le16, le32, le64};
use crate::units::{Bytes, SECTOR};

const SUPERBLOCK: &str = "the superblock of integrity";
/// The sectors of the superblock (`SB_SECTORS`).
const SUPERBLOCK_SECTORS: u64 = 8;
/// `SB_FLAG_DIRTY_BITMAP`.
const DIRTY_BITMAP: u32 = 0x4;
/// The effect of a load where there is not a superblock.
pub(super) const FORMATS: &str = "the kernel writes a superblock and an empty journal, and every block reads as an error until it is \
                                  written or its tag is recalculated";
/// The reason against a load in recovery mode.
pub(super) const FATAL_IN_RECOVERY: &str = "the flags where the superblock is tell of a dirty bitmap, and the kernel would crash in recovery mode; load it in the mode \
     bitmap or direct, or clear these 4 KiB if they were never used by integrity";

/// Judges the bytes where the superblock should be.
pub(super) fn look(bytes: &[u8]) -> Found {
    if bytes.starts_with(MAGIC) {
        Found::Right
    } else if bytes.iter().all(|byte| *byte == 0) {
        Found::Blank
    } else {
        Found::Other
    }
}

/// Judges the same bytes for a load in recovery mode. The kernel formats nothing then. Linux 6.1 reads the bitmap that the flags
/// tell of into a journal that it has not made (`dm_integrity_resume`), and crashes; it takes the flags of other content as well.
pub(super) fn look_in_recovery(bytes: &[u8]) -> Found {
    let is_dirty = le32(bytes, 24).is_some_and(|flags| flags & DIRTY_BITMAP != 0);
    if is_dirty { Found::Fatal } else { Found::Right }
}

pub(super) fn contradiction(wanted: &Integrity, on_disk: &OnDisk<'_>) -> Option<Contradiction> {
    fixed(wanted, on_disk).or_else(|| foreign(on_disk)).or_else(|| too_small(wanted, on_disk))
}

/// Finds something else where the superblock should be. A live table in recovery mode is above anything, and the kernel
/// takes no other mode there.
fn foreign(on_disk: &OnDisk<'_>) -> Option<Contradiction> {
    let (place, head) = (on_disk.places.first()?, on_disk.heads.first()?.as_deref()?);
    ((place.look)(head) == Found::Other).then(|| Contradiction::foreign(place, Integrity::NAME))
}

/// Finds a value that another one was formatted with.
fn fixed(wanted: &Integrity, on_disk: &OnDisk<'_>) -> Option<Contradiction> {
    let head = on_disk.first().filter(|head| head.starts_with(MAGIC))?;
    let device = wanted.meta_device.as_ref().unwrap_or(&wanted.device);
    let tag_size = le16(head, 10).filter(|size| *size > 0);
    // A superblock without a tag size was never written by a kernel.
    let tag_size = u32::from(tag_size?);
    let flags = le32(head, 24)?;
    let block = Bytes(SECTOR.checked_shl(u32::from(*head.get(28)?))?);
    let bytes = |size: u32| Unit::Bytes.of(size);
    let tags = wanted.tag().and_then(|size| {
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
    tags.or_else(blocks).or_else(mac).or_else(mode)
}

/// Finds out whether the devices are too small for the row, with a superblock or before they have one.
fn too_small(wanted: &Integrity, on_disk: &OnDisk<'_>) -> Option<Contradiction> {
    let sizes = wanted.sizes(on_disk.size_of)?;
    let head = match on_disk.first() {
        Some(head) => head,
        // The superblock would be behind the end, where nothing can be read.
        None if wanted.reserved.0.saturating_add(SUPERBLOCK_SECTORS) > sizes.tags => &[],
        None => return None,
    };
    let layout = |sizes| match look(head) {
        Found::Right => Layout::read(wanted, head),
        _ => Layout::fresh(wanted, sizes),
    };
    let there = layout(sizes)?.room(sizes);
    match &wanted.meta_device {
        Some(device) => {
            let (needed, reserved) = (least_for_tags(sizes, wanted.reserved.0, &layout)?, wanted.reserved.0);
            let metadata = "the journal and the tags of all data";
            let is_short = needed.saturating_add(reserved) > sizes.tags;
            is_short.then(|| match reserved {
                0 => Contradiction::TooSmall {
                    metadata,
                    counted: needed,
                    unit: "sectors",
                    room: "meta_device",
                    there: sizes.tags,
                    remedy: "make meta_device larger, or device smaller",
                },
                reserved => Contradiction::TooSmallBehind {
                    metadata,
                    needed,
                    reserved,
                    device: device.into(),
                    there: sizes.tags,
                    remedy: "make meta_device larger, or device or reserved smaller",
                },
            })
        }
        None if there == 0 => Some(Contradiction::NoRoom {
            device: (&wanted.device).into(),
            size: sizes.data,
            least: least_for_data(&layout)?,
            rest: "tags and a journal",
        }),
        None if there < on_disk.length => Some(Contradiction::TooSmall {
            metadata: "this table",
            counted: on_disk.length,
            unit: "sectors",
            room: "the device below, beside tags and journal,",
            there,
            remedy: "leave the length out",
        }),
        None => None,
    }
}

/// Returns how many sectors the journal and the tags need behind the reserved ones, on a device that is large enough. On a
/// larger device the kernel makes the journal and the buffers larger, so each size is tried until one is enough.
fn least_for_tags(mut sizes: Sizes, reserved: u64, layout: LayoutOf<'_>) -> Option<u64> {
    loop {
        let used = layout(sizes)?.used(sizes)?;
        let needed = used.checked_add(reserved)?;
        if needed <= sizes.tags {
            return Some(used);
        }
        sizes.tags = needed;
    }
}

/// Returns the least sectors of a device with room for data beside the tags and the journal.
fn least_for_data(layout: LayoutOf<'_>) -> Option<u64> {
    let is_enough =
        |size| Some(layout(Sizes { data: size, tags: size })?.room(Sizes { data: size, tags: size }) > 0);
    let (mut small, mut large) = (0, 1);
    while !is_enough(large)? {
        small = large;
        large = large.checked_mul(2)?;
    }
    while large - small > 1 {
        let middle = small + (large - small) / 2;
        if is_enough(middle)? { large = middle } else { small = middle }
    }
    Some(large)
}

/// Returns the layout on devices of these sizes.
type LayoutOf<'l> = &'l dyn Fn(Sizes) -> Option<Layout>;

impl Integrity {
    /// Returns the sizes of the devices, where both are known.
    fn sizes(&self, size_of: SizeOf<'_>) -> Option<Sizes> {
        let data = size_of(&self.device)?;
        Some(Sizes { data, tags: self.meta_device.as_ref().map_or(Some(data), size_of)? })
    }

    /// Returns how many sectors a table may have with the superblock that is there. Where its layout is not known it is
    /// what the superblock counted last.
    pub(super) fn provided(&self, on_disk: &OnDisk<'_>) -> Option<u64> {
        let head = on_disk.first().filter(|head| head.starts_with(MAGIC))?;
        let sectors = match Layout::read(self, head) {
            Some(layout) => layout.room(self.sizes(on_disk.size_of)?),
            None => le64(head, PROVIDED)?,
        };
        Some(sectors).filter(|sectors| *sectors > 0)
    }
}
