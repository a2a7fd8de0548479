//! Looks for a key as dm-crypt does when it loads a table.

use std::ffi::CString;

use nix::errno::Errno;

use super::raw;
use crate::keys::Keyring;

/// Tells whether a keyring of this process holds the key. `None` where that is not known: without keyrings, or where a
/// security module forbids the search.
pub(super) fn has_key(key: &Keyring) -> Option<bool> {
    let kind = CString::new(key.kind.as_str()).ok()?;
    let description = CString::new(key.description.as_str()).ok()?;
    match raw::find_key(&kind, &description) {
        Ok(()) => Some(true),
        // What the kernel answers to dm-crypt as well.
        Err(Errno::ENOKEY | Errno::EKEYEXPIRED | Errno::EKEYREVOKED | Errno::EKEYREJECTED) => Some(false),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_does_not_exist_is_not_found() {
        let key = Keyring::new("user:dmctl-no-such-key", 32).unwrap();
        assert_ne!(has_key(&key), Some(true));
    }
}
