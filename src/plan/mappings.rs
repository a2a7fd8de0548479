//! The mappings of a map by id: their places in the order of the keys, from 0.
//!
//! A map may have a hundred thousand mappings, and each is looked up several times: by id that is an index
//! into a list, and a key is looked up only where one was written.

use smallvec::SmallVec;

use crate::config::{self, Map, Mapping, State};
use crate::device::Device;
use crate::identity::{DevNum, Key};
use crate::observed::Observed;

/// Some of them: what one mapping stands on, or what stands on it.
pub type Neighbours = SmallVec<[usize; 2]>;

/// How many mappings to either side of one are looked at before all are searched.
const BESIDE: usize = 3;

/// All of them.
pub struct Mappings<'a> {
    all: &'a config::Mappings,
    by_device: Vec<Option<usize>>,
}

impl<'a> Mappings<'a> {
    /// Those of `map`; `by_device` tells which of them each device is.
    pub fn new(map: &'a Map, by_device: Vec<Option<usize>>) -> Self {
        Self { all: &map.mappings, by_device }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// A mapping.
    pub fn get(&self, id: usize) -> &'a Mapping {
        &self.all[id]
    }

    /// The mapping of this key.
    pub fn of_key(&self, key: &Key) -> Option<usize> {
        self.all.get_index_of(key)
    }

    /// The mapping whose device has this number.
    pub fn of_number(&self, number: DevNum, observed: &Observed) -> Option<usize> {
        self.by_device[observed.place_of_number(number)?]
    }

    /// The mapping that `device` is, however that is written.
    pub fn of_device(&self, device: &Device, observed: &Observed) -> Option<usize> {
        match device.key() {
            Some(key) => self.of_key(key),
            None => self.of_number(device.number.or_else(|| observed.number(device))?, observed),
        }
    }

    /// As [`of_device`](Self::of_device), for a lower device of a mapping: what stands on one another mostly has names
    /// alike, and so stands side by side.
    fn of_lower(&self, id: usize, device: &Device, observed: &Observed) -> Option<usize> {
        let mut beside = id.saturating_sub(BESIDE)..self.len().min(id + BESIDE + 1);
        let known = device.key().and_then(|key| beside.find(|id| self.all[*id].key == *key));
        known.or_else(|| self.of_device(device, observed))
    }

    /// The mappings that a mapping should stand on, each once.
    pub fn below(&self, id: usize, observed: &Observed) -> Neighbours {
        let mapping = &self.all[id];
        let mut below = Neighbours::new();
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
