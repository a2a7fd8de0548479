//! The mappings outside of a planned part, as a saved plan keeps them.
//!
//! The plan is made again when it is applied. A conflict that it finds then, be it an old or a new one, names a mapping of
//! another stack by the uuid of its device, so that much of the rest of the map is kept, and nothing of its tables.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{SavedError, map};
use crate::config::{Map, Mappings, Policy, Rest, Rows, State};
use crate::identity::Key;

/// The rest of a map, as far as conflicts of a part can name it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RestRecord {
    selected: Vec<String>,
    prune: bool,
    /// The mappings, without rows.
    mappings: Json,
}

impl RestRecord {
    /// Records the rest of `map`, where that is a part of one.
    pub(super) fn new(map: &Map) -> Option<Self> {
        let rest = map.rest.as_ref()?;
        let mut mappings: Mappings = rest.mappings.clone();
        for mapping in mappings.values_mut() {
            (mapping.state, mapping.rows) = (State::Absent, Rows::new());
        }
        let kept = Map { owner: map.owner.clone(), policy: Policy::default(), mappings, ..Map::default() };
        Some(Self {
            selected: rest.selected.iter().map(ToString::to_string).collect(),
            prune: rest.prune,
            mappings: map::canonical(&kept),
        })
    }

    /// Reads the record again.
    pub(super) fn read(&self) -> Result<Rest, SavedError> {
        let key = |text: &String| Key::new(text).map_err(|error| SavedError::Map(error.to_string()));
        Ok(Rest {
            selected: self.selected.iter().map(key).collect::<Result<_, _>>()?,
            prune: self.prune,
            mappings: map::read(&self.mappings, None)?.mappings,
        })
    }
}
