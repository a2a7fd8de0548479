//! The field `sector_size` of targets that encrypt: how much is encrypted as one, in bytes.

use super::Problems;
use crate::units::{Bytes, SECTOR};

/// The largest `sector_size`, in bytes (`crypt_ctr_optional` in `drivers/md/dm-crypt.c`).
const MAX_SECTOR_SIZE: u64 = 4096;

/// The `sector_size` that the kernel takes when it is left out.
pub(crate) fn default() -> Bytes {
    Bytes(SECTOR)
}

/// Whether a map may leave this size out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
pub(crate) fn is_default(size: &Bytes) -> bool {
    *size == default()
}

/// How many sectors of 512 bytes are encrypted as one.
pub(crate) fn sectors(size: Bytes) -> u64 {
    (size.0 / SECTOR).max(1)
}

/// Wants a power of two from 512 to 4096.
pub(crate) fn check(size: Bytes, problems: &mut Problems) {
    problems.power_of_two("sector_size", size.0, SECTOR, MAX_SECTOR_SIZE);
}
