//! Key material: wiped when dropped, compared in constant time, and never printed.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// What every output shows in place of key material.
pub const REDACTED: &str = "<secret>";

/// Text that may hold key material.
#[derive(Clone, Default, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Takes hold of `text`; the caller's copy is gone with it.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The material itself. Only what hands it to the kernel, or to a person who asked for it with
    /// `--show-keys`, calls this.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// How many bytes of text this is.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Secret {
    /// In time that depends on the lengths alone.
    fn eq(&self, other: &Self) -> bool {
        let (one, two) = (self.0.as_bytes(), other.0.as_bytes());
        one.len() == two.len() && one.iter().zip(two).fold(0u8, |seen, (a, b)| seen | (a ^ b)) == 0
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
}
