//! How the kernel lays out a device: superblock, journal, then areas of tags and of data in turn. From it follows how
//! much data there is room for.
//!
//! The kernel counts this at each load, from the size that the device has then, and a table may be as long as that
//! (`get_provided_data_sectors`, `calculate_device_limits` and `dm_integrity_ctr` in `drivers/md/dm-integrity.c`).
//! The count in the superblock is that of the last resume (`dm_integrity_resume`). Inline mode has another layout, which
//! is not judged.

use super::{Integrity, MAGIC, Mode};
use crate::targets::{le16, le32};
use crate::units::SECTOR;

/// The sectors of the superblock (`SB_SECTORS`).
const SUPERBLOCK: u64 = 8;
/// The sectors that an area of tags is padded to, and that must be left behind the journal (`METADATA_PADDING_SECTORS`).
const PADDING: u64 = 8;
/// The bytes that an area of tags is padded to in the old layout, `1 << SECTOR_SHIFT << METADATA_PADDING_SECTORS`.
const OLD_PADDING: u64 = SECTOR << PADDING;
/// The most sectors of a journal by default (`DEFAULT_MAX_JOURNAL_SECTORS`).
const MAX_JOURNAL: u64 = 131_072;
/// The part of the device that the journal takes by default, as a power of two (`DEFAULT_JOURNAL_SIZE_FACTOR`).
const JOURNAL_FACTOR: u32 = 7;
/// The sectors between two areas of tags by default (`DEFAULT_INTERLEAVE_SECTORS`), and the range that they may have.
const INTERLEAVE: u64 = 32768;
const LOG_INTERLEAVE: std::ops::RangeInclusive<u32> = 3..=31;
/// The sectors of a buffer by default (`DEFAULT_BUFFER_SECTORS`).
const BUFFER: u64 = 128;
/// The smallest buffer that the kernel tries, as a power of two of sectors.
const MIN_LOG_BUFFER: u32 = 3;
/// The largest buffer, as a power of two of sectors.
const MAX_LOG_BUFFER: u32 = 22;

/// `SB_FLAG_HAVE_JOURNAL_MAC`.
pub(super) const HAS_MAC: u32 = 0x1;
/// `SB_FLAG_FIXED_PADDING`.
const FIXED_PADDING: u32 = 0x8;
/// `SB_FLAG_FIXED_HMAC`.
const FIXED_HMAC: u32 = 0x10;
/// `SB_FLAG_INLINE`.
pub(super) const INLINE: u32 = 0x20;

/// A section of the journal (`calculate_journal_section_size`).
pub(super) struct Section {
    pub(super) entries: u64,
    pub(super) sectors: u64,
}

impl Section {
    /// Returns a section for blocks of `block` sectors with tags of `tag` bytes.
    pub(super) fn new(block: u64, tag: u64, has_mac: bool) -> Self {
        let entry = (8 + 8 * block + tag).next_multiple_of(8);
        // A sector of entries ends with a commit id, and holds a part of the MAC where there is one.
        let room = 512 - 8 - if has_mac { 8 } else { 0 };
        // Eight sectors of entries, and a block for each entry.
        let entries = 8 * (room / entry);
        Self { entries, sectors: entries * block + 8 }
    }

    /// Returns how many whole sections there are in `sectors`, at least one.
    pub(super) fn count(&self, sectors: u64) -> u64 {
        (sectors / self.sectors).max(1)
    }
}

/// What fixes the layout of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The sectors before the superblock.
    start: u64,
    /// The length of a tag, in bytes.
    tag: u64,
    /// The sectors of a block, as a power of two.
    log_block: u32,
    /// The sectors between two areas of tags, as a power of two.
    log_interleave: u32,
    /// The sections of the journal.
    sections: u64,
    /// The flags in the superblock.
    flags: u32,
    /// The sectors of a buffer as a power of two, where the tags have a device of their own.
    log_buffer: Option<u32>,
}

/// The sizes of the devices, in sectors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// The device with the data.
    pub data: u64,
    /// The device with the superblock, the journal and the tags.
    pub tags: u64,
}

impl Layout {
    /// Reads the layout from a superblock. `None` for a superblock that the kernel does not take, and in inline mode.
    pub(crate) fn read(wanted: &Integrity, superblock: &[u8]) -> Option<Self> {
        let flags = le32(superblock, 24).filter(|flags| flags & INLINE == 0)?;
        let layout = Self {
            start: wanted.reserved.0,
            tag: u64::from(le16(superblock, 10).filter(|tag| *tag > 0)?),
            log_block: u32::from(*superblock.get(28)?),
            log_interleave: u32::from(*superblock.get(9)?),
            sections: u64::from(le32(superblock, 12).filter(|sections| *sections > 0)?),
            flags,
            log_buffer: wanted.log_buffer(),
        };
        let interleaves = layout.log_buffer.is_some() || LOG_INTERLEAVE.contains(&layout.log_interleave);
        (superblock.starts_with(MAGIC) && layout.log_block <= 3 && interleaves).then_some(layout)
    }

    /// Returns the layout that the kernel makes on blank devices (`initialize_superblock`), whether or not it leaves room for
    /// data. `None` in inline mode, and for tags whose length is not known.
    pub(crate) fn fresh(wanted: &Integrity, sizes: Sizes) -> Option<Self> {
        if wanted.mode == Mode::Inline {
            return None;
        }
        let block = wanted.sectors_per_block();
        let has_hash = wanted.internal_hash.is_some() || wanted.journal_mac.is_some();
        let flags = [
            (wanted.journal_mac.is_some(), HAS_MAC),
            (wanted.fix_padding && wanted.meta_device.is_none(), FIXED_PADDING),
            (wanted.fix_hmac && has_hash, FIXED_HMAC),
        ];
        let flags = flags.into_iter().filter(|(is_set, _)| *is_set).fold(0, |all, (_, flag)| all | flag);
        let interleave = wanted.interleave_sectors.map_or(INTERLEAVE, |sectors| sectors.0).max(1).ilog2();
        let journal = wanted.journal_sectors.map(|sectors| sectors.0);
        let journal = journal.unwrap_or_else(|| MAX_JOURNAL.min(sizes.data >> JOURNAL_FACTOR));
        let mut layout = Self {
            start: wanted.reserved.0,
            tag: u64::from(wanted.tag()?),
            log_block: block.ilog2(),
            log_interleave: interleave.clamp(*LOG_INTERLEAVE.start(), *LOG_INTERLEAVE.end()),
            sections: 0,
            flags,
            log_buffer: wanted.log_buffer(),
        };
        layout.sections = layout.section().count(journal);
        if wanted.meta_device.is_some() {
            layout.log_interleave = 0;
            layout.shrink_journal(sizes);
        }
        Some(layout)
    }

    /// Takes the longest journal that leaves room for the tags, with buffers as large as possible.
    fn shrink_journal(&mut self, sizes: Sizes) {
        let (most, largest) = (self.sections, self.log_buffer.unwrap_or_default());
        for log in (MIN_LOG_BUFFER.min(largest)..=largest).rev() {
            self.sections = 0;
            for bit in (0..=most.ilog2()).rev() {
                let more = Self { sections: self.sections | 1 << bit, ..self.clone() };
                if more.sections <= most && more.tags_fit(sizes, log) {
                    self.sections = more.sections;
                }
            }
            if self.sections > 0 {
                return;
            }
        }
        self.sections = 1;
    }

    /// Returns how many sectors of data there is room for; 0 where the devices are too small.
    pub(crate) fn room(&self, sizes: Sizes) -> u64 {
        let Some(log_buffer) = self.log_buffer else {
            let bits = (3..u64::BITS - sizes.tags.leading_zeros()).rev();
            return bits.fold(0, |room, bit| {
                let more = room | 1 << bit;
                if self.fits(more, sizes.tags) { more } else { room }
            });
        };
        if self.tags_fit(sizes, log_buffer.min(MIN_LOG_BUFFER)) { self.whole(sizes.data) } else { 0 }
    }

    /// Rounds down to whole blocks.
    fn whole(&self, sectors: u64) -> u64 {
        sectors >> self.log_block << self.log_block
    }

    fn section(&self) -> Section {
        Section::new(1 << self.log_block, self.tag, self.flags & HAS_MAC != 0)
    }

    /// Returns the sectors before the first area of tags, if a device of `sectors` has as many.
    fn initial(&self, sectors: u64) -> Option<u64> {
        let initial = self.sections.checked_mul(self.section().sectors)?.checked_add(SUPERBLOCK)?;
        (initial + PADDING < sectors && u32::try_from(initial).is_ok()).then_some(initial)
    }

    /// Whether the last of `room` sectors of data is on a device of `sectors`, which holds the tags as well.
    fn fits(&self, room: u64, sectors: u64) -> bool {
        let last = || {
            let padding = if self.flags & FIXED_PADDING != 0 { PADDING * SECTOR } else { OLD_PADDING };
            let tags = self.tag << self.log_interleave.saturating_sub(self.log_block);
            let tags = tags.checked_next_multiple_of(padding)? / SECTOR;
            let area = (room - 1) >> self.log_interleave;
            let data = (room - 1).checked_add(self.initial(sectors)?)?.checked_add(self.start)?;
            data.checked_add((area + 1).checked_mul(tags)?)
        };
        last().is_some_and(|last| last < sectors)
    }

    /// Whether the tags of the whole data device are on a device of their own, in buffers of this size.
    fn tags_fit(&self, sizes: Sizes, log_buffer: u32) -> bool {
        self.needed(sizes.data, log_buffer).is_some_and(|needed| needed <= sizes.tags)
    }

    /// Returns the sectors of the journal and the tags as the kernel uses them on a device of their own, which begin behind
    /// the reserved ones: the tags in buffers as large as possible, of which the last is read as a whole. The kernel does
    /// not count the reserved sectors (`calculate_device_limits`), but skips them (`dm_bufio_set_sector_offset`).
    pub(super) fn used(&self, sizes: Sizes) -> Option<u64> {
        let largest = self.log_buffer?;
        let smallest = largest.min(MIN_LOG_BUFFER);
        let log = (smallest..=largest).rev().find(|log| self.tags_fit(sizes, *log)).unwrap_or(smallest);
        self.needed(sizes.data, log)
    }

    fn needed(&self, data: u64, log_buffer: u32) -> Option<u64> {
        let tags = (data >> self.log_block).checked_mul(self.tag)?;
        let tags = tags.checked_next_multiple_of(SECTOR << log_buffer)? / SECTOR;
        let initial = self.initial(u64::MAX)?;
        Some(initial.checked_add(tags)?.max(initial + PADDING + 1))
    }

    /// Writes a superblock with this layout, for data of `room` sectors (`struct superblock`).
    pub(crate) fn superblock(&self, room: u64) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(self.version());
        bytes.extend(u8::try_from(self.log_interleave));
        bytes.extend(u16::try_from(self.tag).unwrap_or_default().to_le_bytes());
        bytes.extend(u32::try_from(self.sections).unwrap_or_default().to_le_bytes());
        bytes.extend(room.to_le_bytes());
        bytes.extend(self.flags.to_le_bytes());
        bytes.extend(u8::try_from(self.log_block));
        bytes
    }

    /// `sb_set_version`, for a superblock without a bitmap.
    fn version(&self) -> u8 {
        match self.flags {
            flags if flags & FIXED_HMAC != 0 => 5,
            flags if flags & FIXED_PADDING != 0 => 4,
            _ => 1,
        }
    }
}

impl Integrity {
    /// Returns the sectors of a buffer as a power of two, where the tags have a device of their own.
    fn log_buffer(&self) -> Option<u32> {
        self.meta_device.as_ref()?;
        let sectors = self.buffer_sectors.map_or(BUFFER, |sectors| sectors.0).max(1);
        Some(sectors.ilog2().min(MAX_LOG_BUFFER))
    }
}
