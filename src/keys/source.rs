//! What a map, or a table, says about a key.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::secret::{REDACTED, Secret};

/// The longest key that is read, in bytes. The longest a cipher takes is far below.
pub const MAX_KEY: usize = 4096;

/// Where a key comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum KeySource {
    /// No key at all (`-` in a table): what `cipher_null` takes.
    #[default]
    None,
    /// The key itself, as hex.
    Hex(Secret),
    /// A key in a keyring of the kernel, which never leaves it.
    Keyring(Keyring),
    /// A file that holds the key, and nothing else.
    File {
        /// An absolute path.
        path: String,
        /// What is in it.
        encoding: Encoding,
    },
    /// A credential that systemd hands to the service.
    Credential {
        /// Its name.
        name: String,
    },
    /// A key that was left out of what an export or a saved state shows. It can't be loaded, and compares
    /// as unknown.
    Withheld,
}

/// A key in a keyring of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyring {
    /// The type of the key, one of [`Keyring::KINDS`].
    pub kind: String,
    /// Its description; it may hold colons.
    pub description: String,
    /// How long the key is.
    pub bytes: u32,
}

/// What a key file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// The bytes of the key, all of them.
    #[default]
    Raw,
    /// Text of hex digits; a newline at the end is fine.
    Hex,
}

/// Text that is no key. It never carries the text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeySyntax {
    /// An odd number of digits, or none.
    #[error("a key in hex has two digits a byte, this one has {0} digits")]
    Count(usize),
    /// A character that is no hex digit.
    #[error("character {0} of the key is no hex digit")]
    Digit(usize),
    /// More than [`MAX_KEY`] bytes.
    #[error("the key is longer than {MAX_KEY} bytes, the longest there is")]
    Long,
    /// Something that starts like a key of a keyring.
    #[error(
        "a key of a keyring is `:bytes:type:description`, with the type logon, user, encrypted or trusted, and neither blanks nor backslashes in the description"
    )]
    Keyring,
}

impl Keyring {
    /// The types of keys that dm-crypt looks for.
    pub const KINDS: [&str; 4] = ["logon", "user", "encrypted", "trusted"];

    /// From `type:description` and the length.
    pub fn new(name: &str, bytes: u32) -> Result<Self, KeySyntax> {
        let (kind, description) = name.split_once(':').ok_or(KeySyntax::Keyring)?;
        let printable = |c: char| !(c.is_whitespace() || c.is_control() || c == '\\');
        if !Self::KINDS.contains(&kind) || description.is_empty() || !description.chars().all(printable) {
            return Err(KeySyntax::Keyring);
        }
        if bytes == 0 || bytes as usize > MAX_KEY {
            return Err(KeySyntax::Long);
        }
        Ok(Self { kind: kind.to_string(), description: description.to_string(), bytes })
    }

    /// Reads the word of a table.
    fn parse(word: &str) -> Result<Self, KeySyntax> {
        let (bytes, name) = word
            .strip_prefix(':')
            .and_then(|rest| rest.split_once(':'))
            .filter(|(bytes, _)| !bytes.is_empty() && bytes.bytes().all(|b| b.is_ascii_digit()))
            .ok_or(KeySyntax::Keyring)?;
        Self::new(name, bytes.parse().map_err(|_| KeySyntax::Keyring)?)
    }
}

impl fmt::Display for Keyring {
    /// As a table carries it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ":{}:{}:{}", self.bytes, self.kind, self.description)
    }
}

impl KeySource {
    /// Reads a word of a table. Hex keeps its case.
    pub fn parse(word: &str) -> Result<Self, KeySyntax> {
        match word {
            "-" => Ok(Self::None),
            REDACTED => Ok(Self::Withheld),
            _ if word.starts_with(':') => Keyring::parse(word).map(Self::Keyring),
            _ => {
                check_hex(word.as_bytes())?;
                Ok(Self::Hex(Secret::new(word.to_string())))
            }
        }
    }
}

/// Whether `digits` are the hex of a key.
pub(super) fn check_hex(digits: &[u8]) -> Result<(), KeySyntax> {
    if let Some(place) = digits.iter().position(|digit| !digit.is_ascii_hexdigit()) {
        return Err(KeySyntax::Digit(place + 1));
    }
    if digits.len() > 2 * MAX_KEY {
        return Err(KeySyntax::Long);
    }
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        Err(KeySyntax::Count(digits.len()))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_table() {
        assert_eq!(KeySource::parse("-"), Ok(KeySource::None));
        assert_eq!(KeySource::parse(REDACTED), Ok(KeySource::Withheld));
        assert!(matches!(KeySource::parse(":32:logon:foo:bar"), Ok(KeySource::Keyring(_))));
        assert_eq!(KeySource::parse("0"), Err(KeySyntax::Count(1)));
        assert_eq!(KeySource::parse("00g0"), Err(KeySyntax::Digit(3)));
        assert_eq!(KeySource::parse(&"00".repeat(MAX_KEY + 1)), Err(KeySyntax::Long));
        for bad in
            [":", ":32", ":32:logon", ":32:logon:", ":x:logon:d", ":32:session:d", ":-1:user:d", "::user:d"]
        {
            assert_eq!(KeySource::parse(bad), Err(KeySyntax::Keyring), "{bad}");
        }
    }
}
