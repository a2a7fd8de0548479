//! Key material: wiped when dropped, compared in constant time, and never printed.

use std::fmt;

use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The text that every output shows in place of key material.
pub const REDACTED: &str = "<secret>";

/// Text that may hold key material.
#[derive(Clone, Default, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Takes ownership of `text`, which is wiped when dropped.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Writes `bytes` as lower-case hex, the form in which a table carries a key.
    pub fn hex(bytes: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        // The full capacity at once: a string that grows leaves copies of itself behind.
        let mut text = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        Self(text)
    }

    /// Makes the letters lower case, in place.
    #[must_use]
    pub fn lower_case(mut self) -> Self {
        self.0.make_ascii_lowercase();
        self
    }

    /// Whether both are the same hex, in either case, compared in time that depends on the lengths alone.
    pub fn same_hex(&self, other: &Self) -> bool {
        // Bit 5 is all that tells the cases of a letter apart, and is set in every digit.
        let pairs = self.0.bytes().zip(other.0.bytes());
        let same = pairs.fold(Choice::from(1), |same, (a, b)| same & (a | 0x20).ct_eq(&(b | 0x20)));
        self.0.len() == other.0.len() && same.into()
    }

    /// Returns the material itself. Call this only to send it to the kernel, or to print it for `--show-keys`.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns the length of the text, in bytes: twice that of the key.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Secret {
    /// Compares in time that depends on the lengths alone.
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        let secret = Secret::new("00112233".to_string());
        assert_eq!(format!("{secret:?}"), REDACTED);
        assert_eq!(secret, Secret::new("00112233".to_string()));
        assert_ne!(secret, Secret::new("00112234".to_string()));
        assert_ne!(secret, Secret::new("001122".to_string()));
    }

    #[test]
    fn hex_is_compared_without_its_case() {
        let lower = Secret::hex(&[0x00, 0xab, 0xff]);
        assert_eq!(lower.reveal(), "00abff");
        let upper = Secret::new("00ABFF".to_string());
        assert!(lower.same_hex(&upper) && upper.same_hex(&lower));
        assert_ne!(lower, upper);
        assert_eq!(lower, upper.lower_case());
        assert!(!lower.same_hex(&Secret::new("00abf".to_string())));
        assert!(!lower.same_hex(&Secret::new("00abfe".to_string())));
    }
}
