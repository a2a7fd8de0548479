//! Keys: where a map says they come from, how they are read, and how long they must be.
//!
//! A map names a key, it rarely holds one. [`KeySource`] is what the map says; a [`Key`] keeps that, for
//! people, and beside it the material once [`read_all`] has read it, for the kernel. Material is hex text
//! in a [`Secret`]: wiped when dropped, never printed. How many bytes a cipher takes is known to
//! [`KeySizes`], so that a wrong key file is found before the kernel is asked.

mod form;
mod read;
mod sizes;
mod source;

pub use read::{KeyError, Places, read_all, resolve};
pub(crate) use sizes::digest_size;
pub use sizes::{KeySizes, cipher_problem};
pub use source::{Encoding, KeySource, KeySyntax, Keyring, MAX_KEY};

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// A key of a target: what the map says of it, and what was read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key {
    /// Where it comes from.
    pub source: KeySource,
    /// What a file or a credential held, as lower-case hex; none before it was read.
    #[serde(skip)]
    read: Option<Secret>,
}

impl Key {
    /// Reads a key as a word of a table.
    pub fn parse(word: &str) -> Result<Self, KeySyntax> {
        KeySource::parse(word).map(Self::from)
    }

    /// Whether the target has no key at all.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.source == KeySource::None
    }

    /// The material as hex, where it is known: written in the map or the table, or read by now.
    #[must_use]
    pub fn material(&self) -> Option<&Secret> {
        match &self.source {
            KeySource::Hex(secret) => Some(secret),
            _ => self.read.as_ref(),
        }
    }

    /// How many bytes the key has, where that is known.
    #[must_use]
    pub fn bytes(&self) -> Option<usize> {
        match &self.source {
            KeySource::None => Some(0),
            KeySource::Keyring(keyring) => usize::try_from(keyring.bytes).ok(),
            _ => self.material().map(|hex| hex.len() / 2),
        }
    }
}

impl From<KeySource> for Key {
    fn from(source: KeySource) -> Self {
        Self { source, read: None }
    }
}

impl JsonSchema for Key {
    fn schema_name() -> Cow<'static, str> {
        "Key".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        KeySource::json_schema(generator)
    }
}

/// A key within the fields of a target, and what is expected of it.
pub struct KeySlot<'a> {
    /// The field, in the words of the map file.
    pub field: &'static str,
    /// The key.
    pub key: &'a mut Key,
    /// How long it may be.
    pub sizes: KeySizes,
}
