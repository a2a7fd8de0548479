//! The mappings of a map by id: their positions in the order of the keys.
//!
//! A map may have a hundred thousand mappings, and each is looked up several times: by id that is an index
//! into a list, and a key is looked up only where one was written.

use super::position::MappingId;
use crate::config::{self, Map, Mapping, State};
use crate::device::Device;
use crate::identity::{DevNum, Key};
use crate::observed::{Observed, SeenId};
use crate::stack::{IndexVec, Position as _, Positions};

/// The mappings of a map.
pub(crate) struct Mappings<'a> {
    all: &'a config::Mappings,
    by_device: IndexVec<SeenId, Option<MappingId>>,
}

impl<'a> Mappings<'a> {
    /// Takes the mappings of `map`. `by_device` holds the mapping of each device.
    pub(crate) fn new(map: &'a Map, by_device: IndexVec<SeenId, Option<MappingId>>) -> Self {
        Self { all: &map.mappings, by_device }
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
        known.map(MappingId::new).or_else(|| self.of_device(device, observed))
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
}
