//! Logical blocks along a stack: how large those of a device are, and which rows they allow.
//!
//! The kernel computes both when it gives a device its first table, and again whenever a table is made live
//! (`dm_calculate_queue_limits` in `drivers/md/dm-table.c`). A row has the largest blocks of its lower devices, unless its
//! target sets other ones; a device has the largest of its rows. All sizes here are in sectors of 512 bytes.

use std::fmt;

use smallvec::SmallVec;

use crate::device::Device;
use crate::targets::{Blocks, DeviceUse, Target};
use crate::units::SECTOR;

/// The logical blocks of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowBlocks {
    /// The largest of the lower devices.
    lower: u64,
    /// Those that the target gives its device.
    own: u64,
}

/// The logical blocks of a table, as far as its rows were added.
#[derive(Debug, Clone, Default)]
pub(crate) struct TableBlocks {
    /// The start and length of each row, with its blocks.
    rows: SmallVec<[(u64, u64, RowBlocks); 1]>,
}

/// A number of a row that breaks the blocks of a lower device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misaligned {
    /// The part of the row that the number is.
    pub part: Part,
    /// The number, in sectors.
    pub odd: u64,
    /// The blocks that it should be a multiple of, in sectors.
    pub block: u64,
    /// The blocks of the lower device itself, in sectors. The target may use larger ones.
    pub device_block: u64,
}

/// A part of a row that must be whole blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The first sector that is used of the lower device.
    Start,
    /// The sectors that are used of the lower device.
    Length,
    /// The unit in which the target reads and writes.
    Unit,
}

/// A row that ends, or goes on, within a block of its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MisalignedRow {
    /// The first sector of the row.
    pub start: u64,
    /// Its length, in sectors.
    pub length: u64,
    /// The blocks of the device, in sectors.
    pub block: u64,
}

impl RowBlocks {
    /// Computes the blocks of a row with this target and these lower devices, whose blocks `block_of` tells.
    pub(crate) fn of(
        target: &dyn Target,
        lowers: &[DeviceUse<'_>],
        block_of: impl Fn(&Device) -> u64,
    ) -> Self {
        let stacked = lowers.iter().filter(|lower| lower.blocks != Blocks::Apart);
        let lower = stacked.map(|lower| block_of(lower.device)).max().unwrap_or(1).max(1);
        Self { lower, own: target.logical_block(lower).max(1) }
    }

    /// Returns the blocks that the target gives its device.
    pub(crate) fn own(self) -> u64 {
        self.own
    }

    /// Returns what breaks the unit in which the target uses a lower device that has these blocks. Constructors of targets
    /// check it, when a table is loaded.
    pub(crate) fn broken_unit(lower: &DeviceUse<'_>, device_block: u64) -> Option<Misaligned> {
        let odd = lower.unit.filter(|unit| unit % device_block.max(1) != 0)?;
        Some(Misaligned { part: Part::Unit, odd, block: device_block, device_block })
    }

    /// Returns what of a lower device, which has these blocks and this size, is used but in whole blocks
    /// (`device_area_is_invalid`).
    pub(crate) fn misaligned(
        self,
        lower: &DeviceUse<'_>,
        device_block: u64,
        size: Option<u64>,
    ) -> Option<Misaligned> {
        let block = self.own;
        let misaligned = |part, odd| Misaligned { part, odd, block, device_block };
        let length = match lower.blocks {
            Blocks::Apart => return None,
            Blocks::Stacked => lower.length,
            Blocks::StackedWhole => lower.length.or(size),
        };
        let numbers = [(Part::Start, Some(lower.start)), (Part::Length, length)];
        let odd = |(part, number): (Part, Option<u64>)| {
            number.filter(|number| number % block != 0).map(|number| misaligned(part, number))
        };
        numbers.into_iter().find_map(odd)
    }
}

impl TableBlocks {
    /// Adds the next row.
    pub(crate) fn add(&mut self, start: u64, length: u64, row: RowBlocks) {
        self.rows.push((start, length, row));
    }

    /// Returns the blocks of a device with these rows.
    pub(crate) fn block(&self) -> u64 {
        self.rows.iter().map(|(_, _, row)| row.own).max().unwrap_or(1)
    }

    /// Returns the first row that a block of the device would reach into without being whole there
    /// (`validate_hardware_logical_block_alignment`): a block may lie across two rows only where the second one has smaller
    /// blocks below.
    pub(crate) fn misaligned(&self) -> Option<MisalignedRow> {
        let block = self.block();
        let (mut remaining, mut last) = (0, None);
        for (start, length, row) in &self.rows {
            last = Some(MisalignedRow { start: *start, length: *length, block });
            if remaining < *length && remaining % row.lower != 0 {
                return last;
            }
            let inside = start.saturating_add(*length) % block;
            remaining = if inside == 0 { 0 } else { block - inside };
        }
        last.filter(|_| remaining > 0)
    }
}

impl fmt::Display for Misaligned {
    /// Writes what follows the name of the lower device.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, odd, block, device_block } = *self;
        if part == Part::Unit {
            return write!(
                f,
                "has blocks of {} bytes, and the target would use it in pieces of {} bytes: these must be whole blocks",
                block * SECTOR,
                odd.saturating_mul(SECTOR)
            );
        }
        let has = if device_block == block { "has" } else { "is used in" };
        write!(
            f,
            "{has} blocks of {} bytes: starts and lengths must be multiples of {block} sectors, and {odd} is none",
            block * SECTOR
        )
    }
}

impl fmt::Display for MisalignedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, length, block } = self;
        write!(
            f,
            "a row begins or ends within a block: the device has blocks of {} bytes, because of its largest row, and so the \
             row at sector {start}, of {length} sectors, must begin and end at multiples of {block} sectors",
            block * SECTOR
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets;

    /// Adds rows as `dmsetup` writes them. The device `8:N` has blocks of N sectors.
    fn table(rows: &[(u64, &str, &str)]) -> (TableBlocks, Vec<Misaligned>) {
        let (mut blocks, mut wrong, mut start) = (TableBlocks::default(), Vec::new(), 0);
        let block_of = |device: &Device| device.number.map_or(1, |number| u64::from(number.minor));
        for (length, kind, params) in rows {
            let target = targets::parse(kind, params).unwrap();
            let lowers = target.lower_devices(*length);
            let row = RowBlocks::of(target.as_ref(), &lowers, block_of);
            wrong.extend(lowers.iter().filter_map(|lower| {
                let block = block_of(lower.device);
                RowBlocks::broken_unit(lower, block).or_else(|| row.misaligned(lower, block, Some(1001)))
            }));
            blocks.add(start, *length, row);
            start += length;
        }
        (blocks, wrong)
    }

    fn block(kind: &str, params: &str) -> u64 {
        table(&[(800, kind, params)]).0.block()
    }

    #[test]
    fn a_device_has_the_largest_blocks_of_its_lower_devices_and_its_target() {
        let crypt = |size: u32| format!("cipher_null-ecb - 0 8:1 0 1 sector_size:{size}");
        assert_eq!(block("linear", "8:8 0"), 8);
        assert_eq!(block("striped", "2 8 8:1 0 8:8 0"), 8);
        assert_eq!(block("crypt", &crypt(4096)), 8);
        assert_eq!(block("crypt", &crypt(512).replace("8:1", "8:8")), 8);
        assert_eq!(block("writecache", "s 8:1 8:2 4096 0"), 8);
        assert_eq!(block("integrity", "8:1 0 4 J 2 internal_hash:crc32c block_size:4096"), 8);
        assert_eq!(block("integrity", "8:8 0 4 J 2 internal_hash:crc32c block_size:1024"), 2);
        assert_eq!(block("ebs", "8:8 0 1 8"), 1);
        assert_eq!(block("zoned", "8:1"), 8);
        assert_eq!(block("zero", ""), 1);
    }

    #[test]
    fn the_blocks_of_metadata_and_logs_stay_apart() {
        assert_eq!(block("thin-pool", "8:8 8:1 128 0"), 1);
        assert_eq!(block("cache", "8:8 8:1 8:1 128 0 smq 0"), 1);
        assert_eq!(block("cache", "8:1 8:8 8:1 128 0 smq 0"), 8);
        assert_eq!(block("era", "8:8 8:1 128"), 1);
        assert_eq!(block("log-writes", "8:1 8:8"), 1);
        assert_eq!(block("mirror", "disk 2 8:8 1024 2 8:1 0 8:1 800"), 1);
        assert_eq!(block("snapshot", "8:1 8:8 P 8"), 8);
        assert_eq!(block("integrity", "8:1 0 4 J 2 internal_hash:crc32c meta_device:8:8"), 1);
    }

    #[test]
    fn rows_use_whole_blocks_of_their_lower_devices() {
        let wrong = |length, kind, params| {
            let (_, wrong) = table(&[(length, kind, params)]);
            wrong.first().map(|wrong| (wrong.part, wrong.odd))
        };
        assert_eq!(wrong(800, "linear", "8:8 63"), Some((Part::Start, 63)));
        assert_eq!(wrong(63, "linear", "8:8 0"), Some((Part::Length, 63)));
        assert_eq!(wrong(63, "linear", "8:1 63"), None);
        let crypt = "cipher_null-ecb - 0 8:1 7 1 sector_size:4096";
        assert_eq!(wrong(800, "crypt", crypt), Some((Part::Start, 7)));
        assert_eq!(wrong(63, "ebs", "8:8 63 1 8"), None);
        // One stripe with large blocks, and the other one must keep to them.
        assert_eq!(wrong(800, "striped", "2 8 8:8 0 8:1 4"), Some((Part::Start, 4)));
        // All of a cow is looked at, which has 1001 sectors here.
        assert_eq!(wrong(800, "snapshot", "8:8 8:1 P 8"), Some((Part::Length, 1001)));
        assert_eq!(wrong(800, "snapshot", "8:1 8:8 P 4"), Some((Part::Unit, 4)));
        assert_eq!(wrong(800, "writecache", "s 8:1 8:8 512 0"), Some((Part::Unit, 1)));
    }

    #[test]
    fn a_block_of_the_device_is_whole_in_each_row() {
        let wrong = |rows: &[(u64, &str, &str)]| table(rows).0.misaligned().map(|row| row.start);
        assert_eq!(wrong(&[(800, "linear", "8:8 0"), (63, "linear", "8:1 0")]), Some(800));
        assert_eq!(wrong(&[(63, "linear", "8:1 0"), (800, "linear", "8:8 0")]), Some(63));
        // The kernel takes a block across two rows of small blocks.
        let across = [(63, "linear", "8:1 0"), (65, "linear", "8:1 63"), (800, "linear", "8:8 0")];
        assert_eq!(wrong(&across), None);
        assert_eq!(wrong(&[(63, "linear", "8:1 0"), (2, "linear", "8:1 0")]), None);
        assert_eq!(wrong(&[(800, "writecache", "s 8:1 8:1 4096 0"), (63, "zero", "")]), Some(800));
    }
}
