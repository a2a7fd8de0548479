//! Metadata in memory, for tests and for fuzzing: any bytes as blocks, sealed so that what is behind the checksums is reached.

use super::block::{BLOCK, Block, le64};
use super::checksum::BlockKind;
use super::content::PoolContent;
use super::node;
use super::read::read;
use super::superblock::{self, MAGIC};
use super::unreadable::Unreadable;

/// Metadata as blocks.
#[derive(Clone)]
pub(crate) struct Written {
    pub(crate) blocks: Vec<Block>,
}

impl Written {
    /// Takes bytes as blocks, of which the last is filled with zeros.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let block = |piece: &[u8]| {
            let mut block = [0; BLOCK];
            block[..piece.len()].copy_from_slice(piece);
            block
        };
        Self { blocks: bytes.chunks(BLOCK).map(block).collect() }
    }

    /// Gives the first block the marks of a superblock, and each its number and its checksum.
    pub(crate) fn sealed(mut self) -> Self {
        let total = u64::try_from(self.blocks.len()).unwrap_or(u64::MAX);
        for (number, block) in (0..).zip(&mut self.blocks) {
            if number == 0 {
                put(block, superblock::at::MAGIC, &MAGIC.to_le_bytes());
                put(block, superblock::at::VERSION, &2u32.to_le_bytes());
                put(block, superblock::at::METADATA_BLOCKS, &total.to_le_bytes());
                put(block, superblock::at::FLAGS, &0u32.to_le_bytes());
                put(block, superblock::at::INCOMPATIBLE, &0u32.to_le_bytes());
                put(block, superblock::at::BLOCK, &0u64.to_le_bytes());
                // Any root, as long as it may be one.
                let root = le64(block, superblock::at::DETAILS_ROOT) % total.max(1);
                put(block, superblock::at::DETAILS_ROOT, &root.to_le_bytes());
            } else {
                put(block, node::at::BLOCK, &u64::to_le_bytes(number));
            }
            seal(block, if number == 0 { BlockKind::Superblock } else { BlockKind::Node });
        }
        self
    }

    /// Reads it.
    pub(crate) fn read(&self) -> Result<PoolContent, Unreadable> {
        read(&|number| self.block(number))
    }

    /// Returns the bytes of a block.
    pub(crate) fn block(&self, number: u64) -> Option<Vec<u8>> {
        self.blocks.get(usize::try_from(number).ok()?).map(|block| block.to_vec())
    }
}

/// Writes bytes into a block.
pub(super) fn put(block: &mut Block, at: usize, bytes: &[u8]) {
    block[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Gives a block its checksum.
pub(super) fn seal(block: &mut Block, kind: BlockKind) {
    let checksum = kind.checksum(block);
    put(block, 0, &checksum.to_le_bytes());
}
