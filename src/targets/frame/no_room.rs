//! Why the lower devices of a target are too small for a row, as data.

use std::fmt;

use crate::device::Written;

/// Why a row gets no length from its lower devices. Sizes are in sectors of 512 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoRoom {
    /// The row would begin at the end of its device, or behind it.
    AfterStart {
        /// The device.
        device: Written,
        /// The size of the device.
        size: u64,
        /// The sector of the device where the row begins.
        start: u64,
    },
    /// The device is smaller than one block of the target.
    LessThanBlock {
        /// The device.
        device: Written,
        /// The size of the device.
        size: u64,
        /// The block.
        block: Block,
    },
    /// From the start of the row on, the device is smaller than one sector of the target.
    LessThanSector {
        /// The device.
        device: Written,
        /// The size of the device.
        size: u64,
        /// The sector of the device where the row begins.
        start: u64,
        /// The sector of the target, in bytes.
        sector_size: u64,
    },
    /// The device does not have a whole chunk of a stripe.
    LessThanChunk {
        /// The device.
        device: Written,
        /// The chunk.
        chunk: u64,
        /// The stripe, from 0.
        stripe: u32,
    },
    /// The smallest device of an array, of this size, is too small.
    SmallestDevice(u64),
    /// The length in blocks is more sectors than a device can have.
    TooManyBlocks(u64),
    /// All devices together are empty.
    Empty,
}

/// The size of a block, as far as its target tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// The target does not tell it.
    Untold,
    /// In sectors.
    Sectors(u64),
    /// In bytes.
    Bytes(u64),
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AfterStart { device, size, start } => {
                write!(f, "{device} has {size} sectors, nothing is left of it from sector {start} on")
            }
            Self::LessThanBlock { device, size, block } => {
                write!(f, "{device} has {size} sectors, less than one block{block}")
            }
            Self::LessThanSector { device, size, start, sector_size } => write!(
                f,
                "{device} has {size} sectors: from sector {start} on there is not one whole sector of {sector_size} \
                 bytes left"
            ),
            Self::LessThanChunk { device, chunk, stripe } => {
                write!(f, "{device} has no whole chunk of {chunk} sectors for stripe {stripe}")
            }
            Self::SmallestDevice(size) => {
                write!(f, "the smallest device has {size} sectors, no array fits on it")
            }
            Self::TooManyBlocks(blocks) => write!(f, "{blocks} blocks are more than a device can have"),
            Self::Empty => f.write_str("the devices have no sectors"),
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untold => Ok(()),
            Self::Sectors(sectors) => write!(f, " of {sectors}"),
            Self::Bytes(bytes) => write!(f, " of {bytes} bytes"),
        }
    }
}
