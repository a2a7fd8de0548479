//! How far a process of the kernel is.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far a process is, as the kernel counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// How much is done.
    pub done: u64,
    /// How much there is to do in all.
    pub total: u64,
    /// What is counted.
    pub unit: ProgressUnit,
}

/// What the kernel counts of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProgressUnit {
    /// Sectors of 512 bytes.
    Sectors,
    /// Blocks of the target.
    Blocks,
    /// Regions of the target.
    Regions,
}

impl ProgressUnit {
    /// Returns the word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sectors => "sectors",
            Self::Blocks => "blocks",
            Self::Regions => "regions",
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {}", self.done, self.total, self.unit.word())
    }
}
