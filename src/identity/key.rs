//! The key of a mapping within its map, and the owner of the map.

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
    /// The longest key, in bytes.
    pub const MAX_LENGTH: usize = 64;

    /// Checks the alphabet: 1 to 64 of `A-Z a-z 0-9 _ . -`.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Key`] with the text.
    pub fn new(text: &str) -> Result<Self, IdentityError> {
        if Self::is_valid(text) { Ok(Self(text.into())) } else { Err(IdentityError::Key(text.to_string())) }
    }

    /// Whether a text is 1 to 64 of `A-Z a-z 0-9 _ . -`.
    pub(crate) fn is_valid(text: &str) -> bool {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        !text.is_empty() && text.len() <= Self::MAX_LENGTH && text.bytes().all(legal)
    }

    /// Returns the key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the key as text that is cheap to clone.
    pub fn text(&self) -> &SmolStr {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The owner of the devices that a map describes. It is a part of their uuids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Owner(SmolStr);

impl Owner {
    /// The longest owner, in bytes.
    pub const MAX_LENGTH: usize = 32;

    /// Checks the alphabet: 1 to 32 of `a-z 0-9 _`. A hyphen ends the owner inside a uuid.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Owner`] with the text.
    pub fn new(text: &str) -> Result<Self, IdentityError> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if text.is_empty() || text.len() > Self::MAX_LENGTH || !text.bytes().all(legal) {
            return Err(IdentityError::Owner(text.to_string()));
        }
        Ok(Self(text.into()))
    }

    /// Returns the owner as text.
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
