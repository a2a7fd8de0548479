//! Keys: their sources in a map, how they are read, and the lengths a cipher takes.
//!
//! A map names a key, it rarely holds one. [`KeySource`] is the source in the map; a [`Key`] keeps the source, to
//! be shown, and beside it the material once [`read_all`] has read it, for the kernel. Material is hex text in a
//! [`Secret`]: wiped when dropped, never printed. [`KeySizes`] knows the key lengths of ciphers, so that a wrong key
//! file is found before the table is sent to the kernel.

mod aead;
mod cipher;
mod digest;
mod error;
mod form;
mod missing;
mod random;
mod read;
mod schema;
mod sizes;
mod source;

pub(crate) use aead::{TagSizes, drawn_iv};
pub use cipher::cipher_problem;
pub(crate) use cipher::{UnknownName, iv_mode, unknown_name};
pub(crate) use digest::digest_size;
pub use error::{KeyError, SizeHint};
pub use missing::MissingKey;
pub(crate) use random::draw;
pub use read::{Places, read_all, resolve};
pub(crate) use read::{judge_file, refuse_all};
pub use sizes::KeySizes;
pub use source::{Encoding, KeySource, KeySyntax, Keyring, MAX_KEY};

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// A key of a target: its source in the map, and the material once it was read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key {
    /// The source of the key.
    pub source: KeySource,
    /// The content of the file or credential, as lower-case hex; `None` before it was read.
    #[serde(skip)]
    read: Option<Secret>,
}

impl Key {
    /// Reads a key as a word of a table: hex digits, `:bytes:type:description`, or `-`.
    ///
    /// # Errors
    ///
    /// A [`KeySyntax`], which never carries the word.
    pub fn parse(word: &str) -> Result<Self, KeySyntax> {
        KeySource::parse(word).map(Self::from)
    }

    /// Whether the target has no key (`-` in a table).
    pub fn is_none(&self) -> bool {
        self.source == KeySource::None
    }

    /// Whether the key is drawn whenever the device is made.
    pub fn is_random(&self) -> bool {
        matches!(self.source, KeySource::Random { .. })
    }

    /// Returns the material as hex, where it is known: written in the map or the table, or already read.
    pub fn material(&self) -> Option<&Secret> {
        match &self.source {
            KeySource::Hex(secret) => Some(secret),
            _ => self.read.as_ref(),
        }
    }

    /// Returns the key in a keyring that this is, if it is one.
    pub fn keyring(&self) -> Option<&Keyring> {
        match &self.source {
            KeySource::Keyring(keyring) => Some(keyring),
            _ => None,
        }
    }

    /// Returns the length of the key in bytes, where it is known.
    pub fn bytes(&self) -> Option<usize> {
        match &self.source {
            KeySource::None => Some(0),
            KeySource::Keyring(keyring) => usize::try_from(keyring.bytes).ok(),
            KeySource::Random { bytes } => usize::try_from(*bytes).ok(),
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

/// A key within the fields of a target, and the lengths it may have.
pub struct KeySlot<'a> {
    /// The path of the field in the map file, such as `key` or `journal_mac.key`.
    pub field: &'static str,
    /// The key, which may not be read yet.
    pub key: &'a mut Key,
    /// The lengths that the target takes.
    pub sizes: KeySizes,
    /// How the field may name its key.
    pub form: SlotForm,
}

/// How a field may name its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotForm {
    /// By any [`KeySource`].
    Source,
    /// As hex digits within a word of a row: the row of a type that dmctl does not know.
    Word,
}
