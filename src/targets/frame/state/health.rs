//! How a row, a device or a stack fares, in a word.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How it fares. The later is the worse, and the worst counts.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Serves I/O as it should.
    #[default]
    Ok,
    /// The same, while a process runs: a sync, a rebuild, hydration, a merge, writing back, recalculation.
    Busy,
    /// Serves I/O, and needs attention.
    Degraded,
    /// Can't be told.
    Unknown,
    /// I/O fails, or data is gone.
    Failed,
}

impl Health {
    /// Every word, from the best to the worst.
    pub const ALL: [Self; 5] = [Self::Ok, Self::Busy, Self::Degraded, Self::Unknown, Self::Failed];

    /// Returns the word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Busy => "busy",
            Self::Degraded => "degraded",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
        }
    }

    /// Whether it serves I/O as it should, with or without a process that runs.
    pub const fn is_well(self) -> bool {
        matches!(self, Self::Ok | Self::Busy)
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
