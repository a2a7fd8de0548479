//! Why the volumes of a pool can't be told.

use std::fmt;

use thiserror::Error;

/// Why the volumes of a pool can't be told.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// A block can't be read: an error of the device, or a device below that is suspended.
    #[error("block {block} of the metadata can't be read")]
    Unread {
        /// The number of the block.
        block: u64,
    },
    /// The superblock is zeros: the kernel formats it when the pool is loaded.
    #[error("the metadata is blank: it was never formatted")]
    Blank,
    /// The superblock is something else.
    #[error("the metadata device does not hold the metadata of a thin pool")]
    Foreign,
    /// A format that is not known.
    #[error("the metadata has version {0}; the known ones are 1 and 2")]
    Version(u32),
    /// Features of a newer kernel, without which the metadata can't be read.
    #[error("the metadata has features that are not known ({0:#x})")]
    Features(u32),
    /// The kernel marked the metadata after an error.
    #[error("the metadata needs a check")]
    NeedsCheck,
    /// A block is not as it should be.
    #[error("block {block} of the metadata is damaged: {damage}")]
    Damaged {
        /// The number of the block.
        block: u64,
        /// What is wrong with it.
        damage: Damage,
    },
    /// A commit of the pool came between any two looks.
    #[error("the metadata changes too fast to be read")]
    Changing,
}

/// What is wrong with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Its checksum is not that of its bytes.
    Checksum,
    /// It was written to be another block.
    Misplaced {
        /// The number that it has in itself.
        recorded: u64,
    },
    /// The metadata has no such block.
    Outside,
    /// The tree has it twice.
    Twice,
    /// The tree has more levels than any pool.
    Depth,
    /// It is neither a leaf nor a node above others.
    Kind {
        /// The flags that tell it.
        flags: u32,
    },
    /// It has more entries than it has room for, or none where it must have some.
    Entries {
        /// The entries that it claims.
        count: u32,
    },
    /// Its entries have another size.
    ValueSize {
        /// That size, in bytes.
        bytes: u32,
    },
    /// Its keys do not rise, or are not between those of the node above.
    Order {
        /// The first such key.
        key: u64,
    },
    /// No volume can have such an id.
    VolumeId {
        /// The id.
        id: u64,
    },
}

impl Unreadable {
    /// Whether `thin_check` and `thin_repair` are the way out.
    pub fn needs_repair(&self) -> bool {
        matches!(self, Self::NeedsCheck | Self::Damaged { .. })
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checksum => f.write_str("its checksum is wrong"),
            Self::Misplaced { recorded } => write!(f, "it was written as block {recorded}"),
            Self::Outside => f.write_str("it lies behind the end of the metadata"),
            Self::Twice => f.write_str("the tree of the volumes has it twice"),
            Self::Depth => f.write_str("the tree of the volumes is deeper than any pool has it"),
            Self::Kind { flags } => write!(f, "it is not a node of a tree (flags {flags:#x})"),
            Self::Entries { count } => write!(f, "it can't have {count} entries"),
            Self::ValueSize { bytes } => write!(f, "it has entries of {bytes} bytes"),
            Self::Order { key } => write!(f, "its key {key} is out of order"),
            Self::VolumeId { id } => write!(f, "a volume can't have the id {id}"),
        }
    }
}
