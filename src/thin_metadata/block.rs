//! A block, and the numbers in it, which are little-endian.

/// The bytes of a block of metadata (`THIN_METADATA_BLOCK_SIZE`).
pub(crate) const BLOCK: usize = 4096;

/// A block of metadata.
pub(super) type Block = [u8; BLOCK];

/// Returns the number at byte `at`; 0 behind the end, where nothing is.
pub(super) fn le32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

/// Returns the number at byte `at`; 0 behind the end, where nothing is.
pub(super) fn le64(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| u64::from_le_bytes(*chunk))
}
