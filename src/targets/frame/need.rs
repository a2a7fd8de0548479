//! The least size of a lower device: how much of it a target has in use already.
//!
//! A table tells which sectors of a lower device its rows are on. What a target keeps beside that, as cached blocks, the
//! changes of a snapshot or its own metadata, the kernel looks at late or not at all: a device that has become shorter is
//! found out by the I/O that fails. So a plan holds the size against what the metadata on disk and the state tell.

use std::fmt;

use super::state::Left;
use crate::device::{Device, Written};
use crate::identity::Key;

/// What a target has on a lower device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need<'a> {
    /// The device.
    pub device: &'a Device,
    /// The least size, in sectors.
    pub least: u64,
    /// The noun for what is there, as in `the log of the mirror`.
    pub of: &'static str,
    /// What has no other copy, where that may be behind a smaller size.
    pub left: Option<Left>,
    /// The way out.
    pub remedy: &'static str,
}

/// A lower device that is shorter than what a target has on it. Its `Display` is a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    device: Written,
    least: u64,
    size: u64,
    /// The mapping below it that has this size, where it is not the device itself.
    below: Option<Key>,
    of: &'static str,
    left: Option<Left>,
    remedy: &'static str,
}

impl Need<'_> {
    /// The way out that is always there.
    pub(crate) const SIZE_BACK: &'static str = "give it its size back";

    /// Returns the shortage, if a device of `size` sectors is too small.
    pub fn shortage(&self, size: u64) -> Option<Shortage> {
        let Self { device, least, of, left, remedy } = *self;
        (size < least).then(|| Shortage { device: device.into(), least, size, below: None, of, left, remedy })
    }

    /// Returns the shortage, if the device is over the mapping `below`, and that one has only `size` sectors.
    pub fn shortage_below(&self, below: Key, size: u64) -> Option<Shortage> {
        self.shortage(size).map(|shortage| Shortage { below: Some(below), ..shortage })
    }

    /// Returns what the metadata in `head` needs of the device that it is on: its space map, which begins at byte `at`, counts
    /// blocks of 4 KiB (`struct disk_sm_root` in `drivers/md/persistent-data/dm-space-map-common.h`). The kernel would take
    /// one that is not there.
    pub(crate) fn of_space_map<'a>(
        device: &'a Device,
        head: &[u8],
        at: usize,
        of: &'static str,
    ) -> Option<Need<'a>> {
        const BLOCK: u64 = 8;
        let blocks = super::le64(head, at).filter(|blocks| *blocks > 0)?;
        let least = blocks.checked_mul(BLOCK)?;
        Some(Need { device, least, of, left: None, remedy: Need::SIZE_BACK })
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, least, size, below, of, left, remedy } = self;
        let device = device.described();
        match below {
            Some(below) => write!(
                f,
                "{device} is on `{below}`, which is too small: {of} takes {least} sectors, `{below}` has {size}"
            )?,
            None => write!(f, "{device} is too small: {of} takes {least} sectors of it, it has {size}")?,
        }
        if let Some(left) = left {
            write!(f, ", and {left}")?;
        }
        write!(f, "; {remedy}")
    }
}
