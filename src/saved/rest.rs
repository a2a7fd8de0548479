//! The mappings outside of a planned part that its conflicts name, as a saved plan keeps them.
//!
//! The plan is made again when it is applied, and must find the same conflicts. A conflict names a mapping of another
//! stack by the uuid of its device, so that much of the rest of the map is kept, and nothing of its tables.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{SavedError, map};
use crate::config::{Map, Mappings, Policy, Rest, Rows, State};
use crate::identity::Key;
use crate::plan::Plan;

/// The rest of a map, as far as the conflicts of a part name it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RestRecord {
    selected: Vec<String>,
    prune: bool,
    /// The mappings that conflicts name, without rows.
    mappings: Json,
}

impl RestRecord {
    /// Records what the conflicts of `plan` name of the rest of `map`.
    pub(super) fn new(map: &Map, plan: &Plan) -> Option<Self> {
        let rest = map.rest.as_ref().filter(|_| !plan.conflicts.is_empty())?;
        let named = |key: &Key| {
            let others = plan.conflicts.iter().filter_map(|conflict| conflict.reason.other_stack());
            others.into_iter().any(|other| other.key == *key)
        };
        let mut mappings: Mappings =
            rest.mappings.iter().filter(|(key, _)| named(key)).map(|(k, m)| (k.clone(), m.clone())).collect();
        for mapping in mappings.values_mut() {
            (mapping.state, mapping.rows) = (State::Absent, Rows::new());
        }
        let named = Map { owner: map.owner.clone(), policy: Policy::default(), mappings, ..Map::default() };
        Some(Self {
            selected: rest.selected.iter().map(ToString::to_string).collect(),
            prune: rest.prune,
            mappings: map::canonical(&named),
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
