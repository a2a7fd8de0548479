//! Words that targets with metadata of the same library end with: `rw` or `ro`, and whether a check is needed.

use serde::Serialize;

use crate::targets::frame::{ParamsError, Words};

/// Whether the metadata of a target can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MetadataMode {
    Rw,
    Ro,
}

impl MetadataMode {
    /// Takes the next word.
    pub(crate) fn take(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        match words.next("the mode of the metadata")? {
            "rw" => Ok(Self::Rw),
            "ro" => Ok(Self::Ro),
            _ => Err(words.wrong("the mode of the metadata is rw or ro")),
        }
    }
}

/// Whether the metadata must be checked before it can be loaded again.
pub(crate) struct NeedsCheck;

impl NeedsCheck {
    /// Takes the next word: `needs_check` or `-`. Kernels before 4.0 end the line before it.
    pub(crate) fn take(words: &mut Words<'_>) -> Result<bool, ParamsError> {
        match words.peek() {
            None => Ok(false),
            Some(_) => match words.next("whether a check is needed")? {
                "needs_check" => Ok(true),
                "-" => Ok(false),
                _ => Err(words.wrong("here only `needs_check` or `-` stands")),
            },
        }
    }
}
