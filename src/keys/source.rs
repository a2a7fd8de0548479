//! The source of a key, as a map or a table names it.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::secret::{REDACTED, Secret};

/// The longest key that is read, in bytes. No cipher takes one that is nearly as long.
pub const MAX_KEY: usize = 4096;

/// The source of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum KeySource {
    /// No key (`-` in a table), as `cipher_null` takes it.
    #[default]
    None,
    /// The key itself, as hex.
    Hex(Secret),
    /// A key in a keyring of the kernel. dmctl never reads it.
    Keyring(Keyring),
    /// A file that holds the key and nothing else.
    File {
        /// The absolute path of the file.
        path: String,
        /// The form of the content.
        encoding: Encoding,
    },
    /// A credential of the service (`LoadCredential=`, see systemd.exec(5)).
    Credential {
        /// The name of the credential, which is the name of a file.
        name: String,
    },
    /// Bytes from the kernel's random source, drawn whenever the device is made. They are never kept.
    Random {
        /// The length of the key, in bytes.
        bytes: u32,
    },
    /// The placeholder of a key that an export or a saved state left out. It cannot be loaded, and compares as
    /// unknown.
    Withheld,
}

/// A key in a keyring of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Keyring {
    /// The type of the key, one of [`Keyring::KINDS`].
    pub kind: String,
    /// The description of the key; it may hold colons.
    pub description: String,
    /// The length of the key, in bytes.
    pub bytes: u32,
}

/// The form of the content of a key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// The bytes of the key, each of the file.
    #[default]
    Raw,
    /// Hex digits; white space is ignored.
    Hex,
}

/// Why a text is not a key. It never carries the text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeySyntax {
    /// The number of hex digits is odd or zero.
    #[error("a key in hex has two digits a byte, this one has {0} digits")]
    Count(usize),
    /// A character is not a hex digit; counted from 1.
    #[error("character {0} of the key is not a hex digit")]
    Digit(usize),
    /// The key has more than [`MAX_KEY`] bytes, or a keyring key has none.
    #[error("the key is longer than {MAX_KEY} bytes, the longest there is")]
    Long,
    /// The text starts like a key of a keyring and is not one.
    #[error(
        "a key of a keyring is `:bytes:type:description`, with the type logon, user, encrypted or trusted, and neither blanks nor backslashes in the description"
    )]
    Keyring,
}

impl Keyring {
    /// The types of keys that dm-crypt looks up (`set_key_keyring` in `drivers/md/dm-crypt.c`).
    pub const KINDS: [&str; 4] = ["logon", "user", "encrypted", "trusted"];

    /// Reads `type:description`; `bytes` is the length of the key.
    ///
    /// # Errors
    ///
    /// [`KeySyntax::Keyring`] for another type or a description that a table cannot carry, [`KeySyntax::Long`] for
    /// a length that is not from 1 to [`MAX_KEY`].
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

    /// Reads `:bytes:type:description`, a word of a table.
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
    /// Writes the word of a table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ":{}:{}:{}", self.bytes, self.kind, self.description)
    }
}

impl KeySource {
    /// Reads a word of a table. Hex keeps its case.
    ///
    /// # Errors
    ///
    /// A [`KeySyntax`], which never carries the word.
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

/// Checks that `digits` are the hex of a key.
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
