//! The tree of the volumes: their details by their ids (`struct disk_device_details` in `drivers/md/dm-thin-metadata.c`).

use std::collections::HashSet;

use super::block::{Block, le32, le64};
use super::content::ThinVolume;
use super::node::{Level, Node};
use super::superblock::Superblock;
use super::unreadable::{Damage, Unreadable};

/// The largest id of a volume (`MAX_DEV_ID` in `drivers/md/dm-thin.c`).
const MAX_ID: u64 = (1 << 24) - 1;
/// The most levels of a tree. Nodes are a third full at least, so that six levels hold all ids.
const MAX_DEPTH: usize = 16;
/// The bytes of the details of a volume.
pub(super) const DETAILS: usize = 24;

/// Reads the volumes, by id.
pub(super) fn read(
    superblock: &Superblock,
    read_block: &dyn Fn(u64) -> Result<Block, Unreadable>,
) -> Result<Vec<ThinVolume>, Unreadable> {
    let mut walk = Walk { superblock, read_block, seen: HashSet::new(), volumes: Vec::new() };
    walk.below(superblock.details_root, Range { from: 0, to: MAX_ID + 1 }, MAX_DEPTH)?;
    Ok(walk.volumes)
}

/// The keys that a node may have.
#[derive(Clone, Copy)]
struct Range {
    from: u64,
    to: u64,
}

struct Walk<'w> {
    superblock: &'w Superblock,
    read_block: &'w dyn Fn(u64) -> Result<Block, Unreadable>,
    /// The blocks of the tree that were read.
    seen: HashSet<u64>,
    volumes: Vec<ThinVolume>,
}

impl Walk<'_> {
    /// Reads the volumes of a node and of all below it.
    fn below(&mut self, number: u64, range: Range, depth: usize) -> Result<(), Unreadable> {
        let damaged = |damage| Unreadable::Damaged { block: number, damage };
        let depth = depth.checked_sub(1).ok_or(damaged(Damage::Depth))?;
        if !self.superblock.has(number) {
            return Err(damaged(Damage::Outside));
        }
        if !self.seen.insert(number) {
            return Err(damaged(Damage::Twice));
        }
        // On the heap: a tree may be as deep as the limit.
        let block = Box::new((self.read_block)(number)?);
        let node = Node::of(&block, number, DETAILS).map_err(damaged)?;
        let mut from = range.from;
        for index in 0..node.entries {
            let key = node.key(index);
            if key > MAX_ID {
                return Err(damaged(Damage::VolumeId { id: key }));
            }
            if key < from || key >= range.to {
                return Err(damaged(Damage::Order { key }));
            }
            from = key + 1;
            match node.level {
                Level::Leaf => self.volumes.extend(volume(key, node.value(index))),
                Level::Internal => {
                    let next = (index + 1 < node.entries).then(|| node.key(index + 1));
                    let to = next.unwrap_or(range.to).min(range.to);
                    self.below(le64(node.value(index), 0), Range { from: key, to }, depth)?;
                }
            }
        }
        Ok(())
    }
}

fn volume(key: u64, details: &[u8]) -> Option<ThinVolume> {
    Some(ThinVolume {
        id: u32::try_from(key).ok()?,
        mapped_blocks: le64(details, 0),
        transaction_id: le64(details, 8),
        creation_time: le32(details, 16),
        snapshotted_time: le32(details, 20),
    })
}
