//! The logical block sizes of mappings that a file holds.
//!
//! A mapping is given its size when its table is made live, so the size follows from the tables below as they were then.
//! The file tells it where it does not follow from the tables of now.

use std::collections::HashMap;

use super::check;
use super::mapping::Mapping;
use super::model::Model;
use super::state::State;
use crate::identity::DevNum;
use crate::stack::{IndexVec, LowerFirst, Positions, position};
use crate::units::SECTOR;

position! {
    /// A mapping, in no order.
    struct MappingId;
}

impl Model {
    /// Gives each mapping its logical blocks, lower ones first: those that `state` tells, or those of its table. The
    /// mappings in a circle keep blocks of a sector.
    pub(super) fn set_blocks(&mut self, state: &State) {
        let told = |(number, bytes): (DevNum, Option<u32>)| Some((number, u64::from(bytes?) / SECTOR));
        let sizes = state.mappings.iter().map(|mapping| (mapping.number, mapping.logical_block_size));
        let told: HashMap<DevNum, u64> = sizes.filter_map(told).collect();
        let numbers: IndexVec<MappingId, DevNum> =
            self.mappings().map(|mapping| mapping.number).collect::<Vec<_>>().into();
        let places: HashMap<DevNum, MappingId> =
            numbers.entries().map(|(id, number)| (*number, id)).collect();
        let mut walk = LowerFirst::new(numbers.len());
        let below = |model: &Self, id: MappingId| {
            let live = model.mapping(numbers[id]).and_then(|mapping| mapping.live.as_ref());
            let lowers = live.into_iter().flat_map(|live| &live.devices);
            lowers.filter_map(|number| places.get(number).copied()).collect::<Positions<_>>()
        };
        while let Some((id, _)) = walk.next(|id| below(self, id)) {
            let number = numbers[id];
            let block =
                told.get(&number).copied().or_else(|| self.mapping(number).map(|m| self.table_block(m)));
            if let Some(mapping) = self.mapping_mut(number) {
                mapping.block = block.unwrap_or(1).max(1);
            }
        }
    }

    /// Returns the logical blocks that follow from the live table of a mapping, in sectors.
    fn table_block(&self, mapping: &Mapping) -> u64 {
        mapping.live.as_ref().map_or(1, |live| check::block(self, live))
    }

    /// Returns the logical block size of a mapping, in bytes, where it is not the one that follows from its table.
    pub(super) fn kept_block_size(&self, mapping: &Mapping) -> Option<u32> {
        (mapping.block != self.table_block(mapping)).then(|| in_bytes(mapping.block))
    }
}

/// Returns a number of sectors in bytes.
pub(super) fn in_bytes(sectors: u64) -> u32 {
    u32::try_from(sectors.saturating_mul(SECTOR)).unwrap_or(u32::MAX)
}
