//! Finds tables whose key is in no keyring: the kernel refuses them when they are loaded.

use super::changes::Changes;
use super::conflict::{Conflict, Obstacle};
use crate::keys::MissingKey;
use crate::observed::Observed;

/// Returns a conflict for each key that a new table takes from a keyring, and that no keyring of this process holds.
pub(crate) fn conflicts(changes: &Changes<'_>, observed: &Observed) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    for change in changes.demanding() {
        let keys = change.new_rows().iter().flat_map(|row| row.target.keyring_keys());
        conflicts.extend(keys.filter(|key| observed.lacks_key(key)).map(|key| Conflict {
            mapping: change.mapping.key.clone(),
            name: change.mapping.name.clone(),
            reason: Obstacle::KeyMissing(MissingKey(key.clone())),
        }));
    }
    conflicts
}
