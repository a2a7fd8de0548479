//! The mappings of a map that a part of it leaves out.
//!
//! A part changes no device of the rest, whatever its state. It must know them all the same: a device that is in its way
//! may be one that the rest of the map moves or removes.

use super::model::{Mapping, Mappings};
use crate::identity::{Key, Name, Uuid};

/// The rest of a map of which only a part is planned.
#[derive(Clone, Default)]
pub struct Rest {
    /// The keys that the part was selected by; none where it was selected otherwise.
    pub selected: Vec<Key>,
    /// Whether the whole map removes owned devices that no mapping declares.
    pub prune: bool,
    /// The mappings that are left out.
    pub mappings: Mappings,
}

impl Rest {
    /// Returns the mapping that the device of this name and uuid is, or becomes when the mapping takes it over.
    pub fn declaring(&self, name: &Name, uuid: Option<&Uuid>) -> Option<&Mapping> {
        let is_of = |mapping: &&Mapping| match uuid {
            Some(uuid) => mapping.uuid == *uuid || mapping.formerly.contains(uuid),
            None => mapping.renamed_from.as_ref() == Some(name) || (mapping.adopt && mapping.name == *name),
        };
        self.mappings.values().find(is_of)
    }
}
