//! A node of a B-tree: `struct node_header` in `drivers/md/persistent-data/dm-btree-internal.h`, then room for all keys, then the values.
//! Checked as `node_check` in `dm-btree-spine.c` does.

use super::block::{BLOCK, Block, le32, le64};
use super::checksum::BlockKind;
use super::unreadable::Damage;

/// Where fields are, in bytes.
pub(super) mod at {
    pub(in super::super) const FLAGS: usize = 4;
    pub(in super::super) const BLOCK: usize = 8;
    pub(in super::super) const ENTRIES: usize = 16;
    pub(in super::super) const ROOM: usize = 20;
    pub(in super::super) const VALUE_SIZE: usize = 24;
    pub(in super::super) const KEYS: usize = 32;
}

/// `INTERNAL_NODE`.
pub(super) const INTERNAL: u32 = 1;
/// `LEAF_NODE`.
pub(super) const LEAF: u32 = 2;
/// The bytes of a key.
pub(super) const KEY: usize = 8;

/// Which nodes are below a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// Its values are the numbers of nodes.
    Internal,
    /// Its values are what the tree holds.
    Leaf,
}

/// A node that was checked.
pub(super) struct Node<'b> {
    block: &'b Block,
    pub(super) level: Level,
    /// The number of its entries.
    pub(super) entries: usize,
    /// Where its values begin, in bytes.
    values: usize,
    value_size: usize,
}

impl<'b> Node<'b> {
    /// Reads block `number` as a node of a tree whose values have `leaf_size` bytes.
    pub(super) fn of(block: &'b Block, number: u64, leaf_size: usize) -> Result<Self, Damage> {
        if !BlockKind::Node.is_whole(block) {
            return Err(Damage::Checksum);
        }
        let recorded = le64(block, at::BLOCK);
        if recorded != number {
            return Err(Damage::Misplaced { recorded });
        }
        let flags = le32(block, at::FLAGS);
        let (level, expected) = match flags {
            INTERNAL => (Level::Internal, size_of::<u64>()),
            LEAF => (Level::Leaf, leaf_size),
            _ => return Err(Damage::Kind { flags }),
        };
        let bytes = le32(block, at::VALUE_SIZE);
        let size = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        let value_size = size(bytes);
        if value_size != expected {
            return Err(Damage::ValueSize { bytes });
        }
        let (count, room) = (le32(block, at::ENTRIES), le32(block, at::ROOM));
        let fits = size(room) <= (BLOCK - at::KEYS) / (KEY + value_size);
        if !fits || count > room || (count == 0 && level == Level::Internal) {
            return Err(Damage::Entries { count });
        }
        Ok(Self { block, level, entries: size(count), values: at::KEYS + size(room) * KEY, value_size })
    }

    /// Returns key number `index`.
    pub(super) fn key(&self, index: usize) -> u64 {
        le64(self.block, at::KEYS + index * KEY)
    }

    /// Returns the bytes of value number `index`.
    pub(super) fn value(&self, index: usize) -> &'b [u8] {
        let begin = self.values + index * self.value_size;
        self.block.get(begin..begin + self.value_size).unwrap_or_default()
    }
}
