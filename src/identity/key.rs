//! Who a mapping is within its map, and whose map that is.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;
use smol_str::SmolStr;

use super::IdentityError;

/// The owner of a map that names none.
pub const DEFAULT_OWNER: &str = "dmctl";

/// The identity of a mapping inside its map: `[mappings.KEY]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Key(SmolStr);

impl Key {
    /// Checks the alphabet: 1 to 64 of `A-Z a-z 0-9 _ . -`.
    pub fn new(text: &str) -> Result<Self, IdentityError> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        if text.is_empty() || text.len() > 64 || !text.bytes().all(legal) {
            return Err(IdentityError::Key(text.to_string()));
        }
        Ok(Self(text.into()))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key as text, to keep.
    #[must_use]
    pub fn text(&self) -> &SmolStr {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whose devices a map describes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Owner(SmolStr);

impl Owner {
    /// Checks the alphabet: 1 to 32 of `a-z 0-9 _`. A hyphen ends the owner inside a uuid.
    pub fn new(text: &str) -> Result<Self, IdentityError> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if text.is_empty() || text.len() > 32 || !text.bytes().all(legal) {
            return Err(IdentityError::Owner(text.to_string()));
        }
        Ok(Self(text.into()))
    }

    /// The owner as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Owner {
    fn default() -> Self {
        Self(DEFAULT_OWNER.into())
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
