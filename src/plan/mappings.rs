//! The mappings of a map by id: their positions in the order of the keys.
//!
//! A map may have a hundred thousand mappings, and each is looked up several times: by id that is an index
//! into a list, and a key is looked up only where one was written.

use std::collections::HashMap;

use super::position::MappingId;
use crate::config::{self, Map, Mapping, State};
use crate::device::Device;
use crate::identity::{DevNum, Key};
use crate::kernel::BlockDevice;
use crate::observed::{Observed, SeenId};
use crate::stack::{IndexVec, Position as _, Positions, Reach};

/// The mappings of a map.
pub(crate) struct Mappings<'a> {
    all: &'a config::Mappings,
    by_device: IndexVec<SeenId, Option<MappingId>>,
    /// For each device that is not one of a mapping and leads down to some, those mappings.
    through: HashMap<DevNum, Positions<MappingId>>,
}

impl<'a> Mappings<'a> {
    /// Takes the mappings of `map`. `by_device` holds the mapping of each device.
    pub(crate) fn new(
        map: &'a Map,
        by_device: IndexVec<SeenId, Option<MappingId>>,
        observed: &Observed,
    ) -> Self {
        let mut mappings = Self { all: &map.mappings, by_device, through: HashMap::new() };
        mappings.through = mappings.leading_down(observed);
        mappings
    }

    /// Finds the devices that are not of a mapping and lead down to some.
    fn leading_down(&self, observed: &Observed) -> HashMap<DevNum, Positions<MappingId>> {
        let direct = |block: &BlockDevice| -> Positions<MappingId> {
            block.lower.iter().filter_map(|lower| self.of_number(*lower, observed)).collect()
        };
        let is_foreign = |block: &&BlockDevice| {
            !block.lower.is_empty() && self.of_number(block.number, observed).is_none()
        };
        let crossings: HashMap<DevNum, Positions<MappingId>> = observed
            .blocks()
            .filter(is_foreign)
            .map(|block| (block.number, direct(block)))
            .filter(|(_, mappings)| !mappings.is_empty())
            .collect();
        if crossings.is_empty() {
            return crossings;
        }
        let reached = |block: &BlockDevice| {
            let mut reached = Positions::new();
            let mut reach = Reach::from_iter([block.number]);
            while let Some(number) = reach.next() {
                reached.extend(crossings.get(&number).into_iter().flatten().copied());
                let lowers = observed.below(number).iter().copied();
                reach.extend(lowers.filter(|lower| self.of_number(*lower, observed).is_none()));
            }
            (block.number, reached)
        };
        let all = observed.blocks().filter(is_foreign).map(reached);
        all.filter(|(_, mappings)| !mappings.is_empty()).collect()
    }

    /// Returns the number of mappings.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn get(&self, id: MappingId) -> &'a Mapping {
        &self.all[id.index()]
    }

    /// Returns the mapping of this key.
    pub(crate) fn of_key(&self, key: &Key) -> Option<MappingId> {
        self.all.get_index_of(key).map(MappingId::new)
    }

    /// Returns the mapping whose device has this number.
    pub(crate) fn of_number(&self, number: DevNum, observed: &Observed) -> Option<MappingId> {
        self.by_device[observed.place_of_number(number)?]
    }

    /// Returns the mapping that `device` is, however the map writes it.
    pub(crate) fn of_device(&self, device: &Device, observed: &Observed) -> Option<MappingId> {
        match device.key() {
            Some(key) => self.of_key(key),
            None => self.of_number(device.number.or_else(|| observed.number(device))?, observed),
        }
    }

    /// As [`of_device`](Self::of_device), for a lower device of the mapping `id`. The mappings of a stack mostly have
    /// names alike, so the one before and the one after are tried before the key is looked up.
    fn of_lower(&self, id: MappingId, device: &Device, observed: &Observed) -> Option<MappingId> {
        let beside = [id.index().wrapping_sub(1), id.index() + 1];
        let is_of =
            |key: &Key, index: usize| self.all.get_index(index).is_some_and(|(other, _)| other == key);
        let known = device.key().and_then(|key| beside.into_iter().find(|index| is_of(key, *index)));
        known.map(MappingId::new).or_else(|| match device.key() {
            Some(key) => self.of_key(key),
            None => self.of_number(observed.number_for(Some(self.get(id)), device)?, observed),
        })
    }

    /// Returns the mappings that a mapping should use, each once.
    pub(crate) fn below(&self, id: MappingId, observed: &Observed) -> Positions<MappingId> {
        let mapping = &self.all[id.index()];
        let mut below = Positions::new();
        if mapping.state != State::Absent {
            for row in &mapping.rows {
                let lowers = row.target.lower_devices(0);
                below.extend(lowers.iter().filter_map(|lower| self.of_lower(id, lower.device, observed)));
            }
        }
        below.sort_unstable();
        below.dedup();
        below
    }

    /// Returns the mappings that a mapping should use, each once: directly, and through devices that are not of a mapping.
    pub(crate) fn all_below(&self, id: MappingId, observed: &Observed) -> Positions<MappingId> {
        let mut below = self.below(id, observed);
        if self.through.is_empty() || self.all[id.index()].state == State::Absent {
            return below;
        }
        for number in self.foreign_below(id, observed) {
            below.extend(self.through(number).iter().copied());
        }
        below.sort_unstable();
        below.dedup();
        below
    }

    /// Lists the devices that a mapping should use directly and that are not of a mapping.
    pub(crate) fn foreign_below(&self, id: MappingId, observed: &Observed) -> Positions<DevNum> {
        let mapping = &self.all[id.index()];
        let mut below = Positions::new();
        for row in &mapping.rows {
            for lower in row.target.lower_devices(0) {
                let number = observed.number_for(Some(mapping), lower.device);
                below.extend(number.filter(|number| self.of_number(*number, observed).is_none()));
            }
        }
        below
    }

    /// Lists the mappings that a device, which is not of a mapping, leads down to.
    pub(crate) fn through(&self, number: DevNum) -> &[MappingId] {
        self.through.get(&number).map_or(&[], |mappings| mappings)
    }

    /// Whether a device that is not of a mapping leads down to one.
    pub(crate) fn has_foreign_between(&self) -> bool {
        !self.through.is_empty()
    }
}
