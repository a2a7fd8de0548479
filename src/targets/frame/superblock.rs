//! What tells the metadata of a target from a blank device and from anything else.
//!
//! thin-pool, cache, era and clone keep their metadata through the kernel's persistent-data library and
//! begin it alike: checksum and flags of 4 bytes each, the block number in 8, a uuid of 16, and then, at
//! byte 32, the magic in 8, all little-endian (`struct thin_disk_superblock` in
//! `drivers/md/dm-thin-metadata.c`, and its like in `dm-cache-metadata.c`, `dm-era-target.c` and
//! `dm-clone-metadata.c`). All four format the device when this first block is nothing but zeros, and
//! refuse it when the block is something else.

use super::Found;

/// The bytes of the first block of such metadata.
pub const BLOCK: usize = 4096;

/// Judges the first block of persistent-data metadata.
#[must_use]
pub fn persistent_data(bytes: &[u8], magic: u64) -> Found {
    if bytes.iter().all(|byte| *byte == 0) {
        Found::Blank
    } else if bytes.get(32..40).is_some_and(|found| found == magic.to_le_bytes()) {
        Found::Right
    } else {
        Found::Other
    }
}

/// Whether the bytes begin with this magic of 4 bytes, little-endian.
#[must_use]
pub fn begins_with(bytes: &[u8], magic: u32) -> bool {
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
