//! The crypto API of the simulated kernel: it has every cipher that Linux has, and not one more.

use nix::errno::Errno;

use super::refusal::Refusal;
use crate::keys;
use crate::table::RawRow;

/// Refuses a `crypt` row whose cipher no Linux has (`crypt_alloc_tfms` in `drivers/md/dm-crypt.c`).
pub(super) fn load(row: &RawRow) -> Result<(), Refusal> {
    let cipher = row.params().split_whitespace().next().filter(|_| row.kind == "crypt");
    match cipher.and_then(keys::unknown_name) {
        Some(_) => Err(Refusal::new(Errno::ENOENT, "crypt: Error allocating crypto tfm")),
        None => Ok(()),
    }
}
