//! The effect of a step on the sectors of its device.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sector_map::SectorMap;

/// What becomes of the sectors of a device. Each range is a pair: its first sector, and the one after its
/// last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sectors {
    /// These lead where they led before.
    pub keeps: Vec<(u64, u64)>,
    /// These are mapped to another place, or read differently.
    pub moves: Vec<(u64, u64)>,
    /// These are new.
    pub appears: Vec<(u64, u64)>,
    /// These are gone.
    pub vanishes: Vec<(u64, u64)>,
}

impl Sectors {
    pub(super) fn of(map: &SectorMap) -> Self {
        let pairs = |ranges: &[Range<u64>]| ranges.iter().map(|range| (range.start, range.end)).collect();
        Self {
            keeps: pairs(&map.keeps),
            moves: pairs(&map.moves),
            appears: pairs(&map.appears),
            vanishes: pairs(&map.vanishes),
        }
    }
}
