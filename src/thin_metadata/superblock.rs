//! The superblock: `struct thin_disk_superblock` in `drivers/md/dm-thin-metadata.c`, checked as `sb_check` and
//! `__check_incompat_features` do. It is shorter than a sector, which a disk writes whole or not at all.

use super::block::{Block, le32, le64};
use super::checksum::BlockKind;
use super::content::{PoolContent, ThinVolume, Usage};
use super::unreadable::{Damage, Unreadable};
use crate::units::Sectors;

/// `THIN_SUPERBLOCK_MAGIC`.
pub(crate) const MAGIC: u64 = 27_022_010;
/// `THIN_METADATA_NEEDS_CHECK_FLAG`.
pub(crate) const NEEDS_CHECK: u32 = 1;

/// Where fields are, in bytes. Each space map begins with the number of its blocks, and of those in use
/// (`struct disk_sm_root` in `drivers/md/persistent-data/dm-space-map-common.h`).
pub(crate) mod at {
    pub(crate) const FLAGS: usize = 4;
    pub(crate) const BLOCK: usize = 8;
    pub(crate) const MAGIC: usize = 32;
    pub(crate) const VERSION: usize = 40;
    pub(crate) const TIME: usize = 44;
    pub(crate) const TRANSACTION: usize = 48;
    pub(crate) const HELD_ROOT: usize = 56;
    pub(crate) const DATA_BLOCKS: usize = 64;
    pub(crate) const DATA_USED: usize = 72;
    pub(crate) const METADATA_BLOCKS: usize = 192;
    pub(crate) const METADATA_USED: usize = 200;
    pub(crate) const DETAILS_ROOT: usize = 328;
    pub(crate) const BLOCK_SIZE: usize = 336;
    pub(crate) const INCOMPATIBLE: usize = 360;
}

/// A superblock that was checked.
#[derive(Debug)]
pub(super) struct Superblock {
    transaction_id: u64,
    time: u32,
    block_size: Sectors,
    data_blocks: Usage,
    metadata_blocks: Usage,
    held_root: u64,
    /// The root of the tree that has the details of the volumes.
    pub(super) details_root: u64,
}

impl Superblock {
    /// Reads block 0.
    pub(super) fn of(block: &Block) -> Result<Self, Unreadable> {
        let damaged = |damage| Err(Unreadable::Damaged { block: 0, damage });
        if block.iter().all(|byte| *byte == 0) {
            return Err(Unreadable::Blank);
        }
        if le64(block, at::MAGIC) != MAGIC {
            return Err(Unreadable::Foreign);
        }
        if !BlockKind::Superblock.is_whole(block) {
            return damaged(Damage::Checksum);
        }
        if le64(block, at::BLOCK) != 0 {
            return damaged(Damage::Misplaced { recorded: le64(block, at::BLOCK) });
        }
        let version = le32(block, at::VERSION);
        if !(1..=2).contains(&version) {
            return Err(Unreadable::Version(version));
        }
        let features = le32(block, at::INCOMPATIBLE);
        if features != 0 {
            return Err(Unreadable::Features(features));
        }
        if le32(block, at::FLAGS) & NEEDS_CHECK != 0 {
            return Err(Unreadable::NeedsCheck);
        }
        let usage = |used, total| Usage { used: le64(block, used), total: le64(block, total) };
        Ok(Self {
            transaction_id: le64(block, at::TRANSACTION),
            time: le32(block, at::TIME),
            block_size: Sectors(le32(block, at::BLOCK_SIZE).into()),
            data_blocks: usage(at::DATA_USED, at::DATA_BLOCKS),
            metadata_blocks: usage(at::METADATA_USED, at::METADATA_BLOCKS),
            held_root: le64(block, at::HELD_ROOT),
            details_root: le64(block, at::DETAILS_ROOT),
        })
    }

    /// Whether the metadata has a block of this number besides the superblock.
    pub(super) fn has(&self, block: u64) -> bool {
        (1..self.metadata_blocks.total).contains(&block)
    }

    /// Returns all that is known of a pool with these volumes.
    pub(super) fn content(&self, volumes: Vec<ThinVolume>) -> PoolContent {
        PoolContent {
            transaction_id: self.transaction_id,
            time: self.time,
            block_size: self.block_size,
            data_blocks: self.data_blocks,
            metadata_blocks: self.metadata_blocks,
            held_root_block: Some(self.held_root).filter(|block| *block != 0),
            volumes,
        }
    }
}
