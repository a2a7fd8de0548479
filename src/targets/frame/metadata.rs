//! Metadata on a lower device, and how to tell it from a blank device and from anything else.
//!
//! thin-pool, cache, era and clone keep their metadata through the kernel's persistent-data library and
//! begin it alike: checksum and flags of 4 bytes each, the block number in 8, a uuid of 16, and then, at
//! byte 32, the magic in 8, all little-endian (`struct thin_disk_superblock` in
//! `drivers/md/dm-thin-metadata.c`, and its like in `dm-cache-metadata.c`, `dm-era-target.c` and
//! `dm-clone-metadata.c`). All four format the device when this first block is nothing but zeros, and
//! refuse it when the block is something else.

use crate::device::Device;

/// Metadata on a lower device, and how to tell whether it is there.
pub struct Metadata<'a> {
    /// The device that holds it.
    pub device: &'a Device,
    /// The first byte to look at.
    pub offset: u64,
    /// How many bytes to look at; 0 where the kernel writes whatever is there.
    pub length: usize,
    /// Compares these bytes with the magic.
    pub look: fn(&[u8]) -> Found,
    /// Whether other devices of the target have the same metadata: where one of them has it, one that can't be read does
    /// not make the kernel format it again.
    pub is_copy: bool,
    /// The effect of a load where the metadata is missing, as a sentence for the user.
    pub otherwise: &'static str,
}

/// The state of the place where metadata should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The metadata of the target: nothing will be formatted.
    Right,
    /// Zeros: the kernel will write fresh metadata.
    Blank,
    /// Something else: the kernel will refuse it.
    Other,
    /// Something else, over which the kernel crashes: it must not be asked.
    Fatal,
}

impl<'a> Metadata<'a> {
    /// Describes metadata of the persistent-data library: the first block of `device`, with this magic.
    pub fn persistent_data<const MAGIC: u64>(device: &'a Device, otherwise: &'static str) -> Self {
        Self {
            device,
            offset: 0,
            length: BLOCK,
            look: |bytes| persistent_data(bytes, MAGIC),
            is_copy: false,
            otherwise,
        }
    }

    /// Whether both are at the same place of the same device.
    pub fn is_at(&self, other: &Metadata<'_>) -> bool {
        self.device.number.is_some()
            && self.device.number == other.device.number
            && self.offset == other.offset
    }

    /// Describes a device that the kernel writes to whatever it holds.
    pub fn overwritten(device: &'a Device, otherwise: &'static str) -> Self {
        Self { device, offset: 0, length: 0, look: |_| Found::Blank, is_copy: false, otherwise }
    }
}

/// The bytes of the first block of such metadata.
const BLOCK: usize = 4096;

/// Judges the first block of persistent-data metadata.
fn persistent_data(bytes: &[u8], magic: u64) -> Found {
    if bytes.iter().all(|byte| *byte == 0) {
        Found::Blank
    } else if bytes.get(32..40).is_some_and(|found| found == magic.to_le_bytes()) {
        Found::Right
    } else {
        Found::Other
    }
}

/// Whether the bytes begin with this magic of 4 bytes, little-endian.
pub(crate) fn begins_with(bytes: &[u8], magic: u32) -> bool {
    bytes.starts_with(&magic.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_blank_right_or_other() {
        let mut block = vec![0; BLOCK];
        assert_eq!(persistent_data(&block, 27_022_010), Found::Blank);
        block[32..40].copy_from_slice(&27_022_010u64.to_le_bytes());
        assert_eq!(persistent_data(&block, 27_022_010), Found::Right);
        assert_eq!(persistent_data(&block, 1), Found::Other);
        assert_eq!(persistent_data(&[1], 1), Found::Other);
    }
}
