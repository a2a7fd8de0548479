//! What a live target has that the devices below do not have without it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Sectors;

/// What would be lost, or wrong, if the table were replaced now by one without the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// A count, and the size of all together.
    Counted {
        /// How many.
        count: u64,
        /// Of what.
        of: Unfinished,
        /// Their size together, in sectors.
        sectors: u64,
    },
    /// It can't be told how many.
    Untold(Unfinished),
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unfinished {
    /// Blocks that the fast device has, and not the origin.
    DirtyBlocks,
    /// Regions of a clone that the destination does not have.
    UnhydratedRegions,
    /// Sectors of a snapshot that the origin does not have.
    UnmergedSectors,
    /// Regions of a mirror that are not the same on all legs.
    UnsyncedRegions,
    /// Sectors of an array that are not the same on all legs, or without their parity.
    UnsyncedSectors,
}

impl Unfinished {
    /// Returns the noun, for one of it or for many.
    const fn noun(self, is_one: bool) -> &'static str {
        match (self, is_one) {
            (Self::DirtyBlocks, true) => "dirty block",
            (Self::DirtyBlocks, false) => "dirty blocks",
            (Self::UnhydratedRegions | Self::UnsyncedRegions, true) => "region",
            (Self::UnhydratedRegions | Self::UnsyncedRegions, false) => "regions",
            (Self::UnmergedSectors | Self::UnsyncedSectors, true) => "sector",
            (Self::UnmergedSectors | Self::UnsyncedSectors, false) => "sectors",
        }
    }

    /// Returns the rest of the clause about one of it, or about many.
    const fn predicate(self, is_one: bool) -> &'static str {
        match (self, is_one) {
            (Self::DirtyBlocks, true) => "is on the cache alone",
            (Self::DirtyBlocks, false) => "are on the cache alone",
            (Self::UnhydratedRegions, true) => "is not hydrated",
            (Self::UnhydratedRegions, false) => "are not hydrated",
            (Self::UnmergedSectors, true) => "is not merged into the origin",
            (Self::UnmergedSectors, false) => "are not merged into the origin",
            (Self::UnsyncedRegions | Self::UnsyncedSectors, true) => "is not in sync",
            (Self::UnsyncedRegions | Self::UnsyncedSectors, false) => "are not in sync",
        }
    }

    /// Returns the moment at which nothing is left, as it follows `wait`.
    pub(crate) const fn end(self) -> &'static str {
        match self {
            Self::DirtyBlocks => "until they are written back",
            Self::UnhydratedRegions => "until they are hydrated",
            Self::UnmergedSectors => "until they are merged",
            Self::UnsyncedRegions | Self::UnsyncedSectors => "until they are in sync",
        }
    }
}

impl Left {
    /// Counts what is left: `None` when that is nothing. `each` is the size of one, in sectors.
    pub(crate) fn counted(count: u64, of: Unfinished, each: u64) -> Option<Self> {
        (count > 0).then_some(Self::Counted { count, of, sectors: count.saturating_mul(each) })
    }
}

impl Left {
    /// Returns what is counted.
    pub const fn of(self) -> Unfinished {
        match self {
            Self::Counted { of, .. } | Self::Untold(of) => of,
        }
    }

    /// Writes how many there are, and their size.
    fn amount(self) -> String {
        match self {
            Self::Counted { count, of, sectors } => {
                format!("{count} {} ({})", of.noun(count == 1), Sectors(sectors).human())
            }
            Self::Untold(of) => format!("an unknown count of {}", of.noun(false)),
        }
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_one = matches!(self, Self::Counted { count: 1, .. });
        write!(f, "{} {}", self.amount(), self.of().predicate(is_one))
    }
}
