//! Reads the keys that a map names, once it is understood and before anything is compared.
//!
//! This is the one step on the way from a map to a plan that looks outside the map's own files. Checking a
//! map does without it, so it can be checked where its keys are not.

use super::Loaded;
use super::diagnostic::Diagnostic;
use super::model::{Origin, State};
use crate::keys::{self, Places};

impl Loaded {
    /// Reads every key that a mapping of the map needs, from the file or the credential that the map names. A
    /// key that can't be read, that others can read, or whose length its cipher doesn't take is an error like
    /// any other, with its place in the map; then a map does not come out.
    pub fn read_keys(&mut self, places: &Places) {
        let Some(map) = &mut self.map else { return };
        let mut troubles = Vec::new();
        for mapping in map.mappings.values_mut().filter(|mapping| mapping.state != State::Absent) {
            // A map that others could have written may name any file of root's as a key.
            let lax = self.sources.get(mapping.file).filter(|_| places.user == 0);
            let lax = lax.and_then(|source| source.writers(places.user).next());
            for (index, row) in mapping.rows.iter_mut().enumerate() {
                let errors = match &lax {
                    None => keys::read_all(row.target.keys_mut(), places),
                    Some(lax) => keys::refuse_all(row.target.keys_mut(), lax),
                };
                for (field, error) in errors {
                    let place = Origin::mapping(mapping.file, mapping.key.as_str())
                        .below("targets")
                        .below(index)
                        .field(field);
                    troubles.push(Diagnostic::error(error.to_string()).at(place).label("this key"));
                }
            }
        }
        if troubles.is_empty() {
            return;
        }
        self.map = None;
        for trouble in troubles {
            self.diagnostics.push(trouble);
        }
        self.diagnostics.settle(&self.sources);
    }
}
