//! The risk classes of steps, and which of them may pass.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What is at stake in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Rename, resume, clear an inactive table: no data path changes.
    Settle,
    /// A new device; nothing is written to the lower ones.
    Create,
    /// A brief suspend; the old sectors keep their place.
    Reload,
    /// An owned device, closed; nothing is lost that the file can't bring back.
    Remove,
    /// A sector is mapped to another place afterwards: a shrink, another device, offset, key or cipher, a recreate.
    Remap,
    /// The kernel writes fresh metadata.
    Format,
    /// Data that is not on its final disk yet would be lost.
    Loss,
}

impl Class {
    /// All classes, from harmless to dangerous.
    pub const ALL: [Self; 7] =
        [Self::Settle, Self::Create, Self::Reload, Self::Remove, Self::Remap, Self::Format, Self::Loss];

    /// Returns whether a step of this class passes without approval.
    pub fn allowed_unasked(self) -> bool {
        !matches!(self, Self::Remap | Self::Format | Self::Loss)
    }

    /// Returns the name, as in `--allow` and in the field `allow` of a map.
    pub fn name(self) -> &'static str {
        match self {
            Self::Settle => "settle",
            Self::Create => "create",
            Self::Reload => "reload",
            Self::Remove => "remove",
            Self::Remap => "remap",
            Self::Format => "format",
            Self::Loss => "loss",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name of a risk class that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{}` is not a risk class: use settle, create, reload, remove, remap, format or loss", .0.escape_debug())]
pub struct UnknownClass(pub String);

impl FromStr for Class {
    type Err = UnknownClass;

    fn from_str(text: &str) -> Result<Self, UnknownClass> {
        Self::ALL.into_iter().find(|class| class.name() == text).ok_or_else(|| UnknownClass(text.to_string()))
    }
}
