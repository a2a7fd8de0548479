//! The metadata of a thin pool, as it is on disk: which volumes the pool holds. It is read, and never written.
//!
//! Everything is in blocks of 4 KiB with a checksum each. Block 0 is the superblock. It names the root of a B-tree that has
//! the details of each volume by its id. Kernel source: `drivers/md/dm-thin-metadata.c` and `drivers/md/persistent-data/`.
//!
//! A live pool changes its metadata while it is read. The kernel writes changed blocks to places that the committed tree
//! does not use, and then the superblock, so that a tree is whole for as long as its superblock is there. Two commits later
//! the old places may be in use again, under a superblock of the same bytes. So the whole is read until two looks in a row
//! are equal, and what is damaged is told only when it is so twice.
//!
//! Nothing on disk is believed before it is checked: a block has its checksum and its own number, a tree has bounds, a
//! depth, and each block once. Memory grows with the number of blocks in the tree, which is that of the device at most.

mod block;
mod checksum;
mod content;
mod details;
mod node;
mod read;
mod superblock;
mod unreadable;
#[cfg(any(test, fuzzing))]
pub(crate) mod written;

#[cfg(test)]
mod tests;

#[cfg(any(test, fuzzing))]
pub(crate) use block::BLOCK;
pub use content::{PoolContent, ThinVolume, Usage};
pub(crate) use read::read_from;
pub(crate) use superblock::{MAGIC, NEEDS_CHECK, at};
pub use unreadable::{Damage, Unreadable};
