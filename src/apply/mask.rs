//! Tables whose keys are masked: they compare as the tables do, and hold no key.

use std::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::kernel::DeviceState;
use crate::keys::{Key, KeySource};
use crate::secret::Secret;
use crate::table::RawRow;
use crate::targets::{self, Style};

/// Replaces each key by a digest of its length. Equal keys have equal digests under one mask.
pub(crate) struct Mask {
    /// What a digest begins with, so that none can be looked up. Where the system has no random bytes it is all zeros, and
    /// serves as well: it does not leave this process.
    salt: [u8; 32],
}

impl Default for Mask {
    fn default() -> Self {
        let mut salt = [0; 32];
        let _ = getrandom::fill(&mut salt);
        Self { salt }
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mask")
    }
}

impl Mask {
    /// Masks the keys of the table of a device.
    pub(crate) fn of(&self, mut state: DeviceState) -> DeviceState {
        state.table = state.table.iter().map(|row| self.row(row)).collect();
        state
    }

    fn row(&self, row: &RawRow) -> RawRow {
        let masked = |params| RawRow::new(row.start, row.length, &row.kind, params);
        let mut target = targets::parse(&row.kind, row.params()).ok();
        let mut changed = false;
        for slot in target.iter_mut().flat_map(|target| target.keys_mut()) {
            if let Some(key) = slot.key.material() {
                *slot.key = Key::from(KeySource::Hex(self.hex(key.reveal(), key.len())));
                changed = true;
            }
        }
        match target.filter(|_| changed) {
            Some(target) => masked(target.params(Style::Kernel)),
            None if row.redacted_params() == row.params() => row.clone(),
            // Where its keys are is not known, so all of it is masked.
            None => masked(self.hex(row.params(), row.params().len()).reveal().to_string()),
        }
    }

    /// Returns the digest of a text, in hex, `digits` long.
    fn hex(&self, text: &str, digits: usize) -> Secret {
        // The kernel may print a key in the other case.
        let text = Zeroizing::new(text.to_ascii_lowercase());
        let block = |at: usize| {
            let number = u64::try_from(at).unwrap_or_default().to_le_bytes();
            Sha256::new()
                .chain_update(self.salt)
                .chain_update(number)
                .chain_update(text.as_bytes())
                .finalize()
        };
        let bytes: Vec<u8> = (0..=digits / 64).flat_map(|at| block(at).to_vec()).collect();
        let hex = Secret::hex(&bytes);
        Secret::new(hex.reveal()[..digits].to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(mask: &Mask, row: &str) -> String {
        mask.row(&RawRow::parse(row).unwrap()).params().to_string()
    }

    #[test]
    fn keys_are_masked_and_compare_as_before() {
        let mask = Mask::default();
        let row = |key: &str| format!("0 8 crypt aes-xts-plain64 {key} 0 8:0 0");
        let (key, other) = ("5ec3e7a1b2c4d6e8f9011a2b3c4d5e6f".repeat(4), "aa".repeat(64));
        let one = masked(&mask, &row(&key));
        assert_eq!(one, masked(&mask, &row(&key.to_uppercase())));
        assert_eq!(one.len(), row(&key).len() - "0 8 crypt ".len());
        assert!(
            one.starts_with("aes-xts-plain64 ") && one.ends_with(" 0 8:0 0") && !one.contains(&key[..16])
        );
        assert_ne!(one, masked(&mask, &row(&other)));
        assert_ne!(one, masked(&Mask::default(), &row(&key)));
        let integrity = |key: &str| format!("0 8 integrity 8:0 0 32 J 1 internal_hash:hmac(sha256):{key}");
        let one = masked(&mask, &integrity(&key));
        assert!(!one.contains(&key[..16]) && one != masked(&mask, &integrity(&other)), "{one}");
    }

    #[test]
    fn what_is_not_understood_is_masked_whole() {
        let mask = Mask::default();
        for row in [
            "0 8 crypt aes-xts-plain64 5ec3e7a1b2c4d6e8f901 what 8:0",
            "0 8 strange key=5ec3e7a1b2c4d6e8f9011a2b3c4d5e6f",
        ] {
            let one = masked(&mask, row);
            assert!(!one.contains("5ec3e7a1"), "{one}");
            assert_eq!(one, masked(&mask, row));
            assert_ne!(one, masked(&mask, &row.replace("e7a1", "e7a2")));
        }
    }

    #[test]
    fn what_has_no_key_stays() {
        assert_eq!(masked(&Mask::default(), "0 8 linear 8:0 0"), "8:0 0");
    }
}
