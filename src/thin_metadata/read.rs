//! Reads a pool until two looks in a row are equal.

use super::block::{BLOCK, Block};
use super::content::PoolContent;
use super::details;
use super::superblock::Superblock;
use super::unreadable::Unreadable;
use crate::identity::DevNum;
use crate::units::SECTOR;

/// How often the metadata is looked at before two looks must have been equal.
pub(super) const LOOKS: usize = 40;

/// Reads bytes of a device: its number, the first byte, how many.
type Peek<'p> = &'p dyn Fn(DevNum, u64, usize) -> Option<Vec<u8>>;

/// Reads what a pool holds whose metadata begins at sector `sector` of a device. `peek` reads past every cache.
pub(crate) fn read_from(device: DevNum, sector: u64, peek: Peek<'_>) -> Result<PoolContent, Unreadable> {
    read(&|block| {
        let offset =
            sector.checked_mul(SECTOR)?.checked_add(block.checked_mul(u64::try_from(BLOCK).ok()?)?)?;
        peek(device, offset, BLOCK)
    })
}

/// Reads what a pool holds. `read_block` reads a block of the metadata by its number, past every cache.
pub(super) fn read(read_block: &dyn Fn(u64) -> Option<Vec<u8>>) -> Result<PoolContent, Unreadable> {
    let mut last = look(read_block);
    for _ in 1..LOOKS {
        let next = look(read_block);
        if next == last {
            return next.1;
        }
        last = next;
    }
    Err(Unreadable::Changing)
}

/// Looks once: at the superblock, and at what it leads to.
fn look(read_block: &dyn Fn(u64) -> Option<Vec<u8>>) -> (Option<Block>, Result<PoolContent, Unreadable>) {
    let read = |number: u64| {
        let block = read_block(number).and_then(|bytes| Block::try_from(bytes).ok());
        block.ok_or(Unreadable::Unread { block: number })
    };
    let block = match read(0) {
        Ok(block) => block,
        Err(why) => return (None, Err(why)),
    };
    let content = Superblock::of(&block).and_then(|superblock| {
        let volumes = details::read(&superblock, &read)?;
        Ok(superblock.content(volumes))
    });
    (Some(block), content)
}
