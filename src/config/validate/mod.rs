//! What a map must hold to beyond its form: the rules that need no kernel.

mod devices;
mod identity;
mod references;
mod rows;
mod sectors;

use super::diagnostic::{Diagnostics, Spot};
use super::merge::Merged;
use super::model::{Mapping, Origin, State};
use crate::identity::Key;

/// Checks all of it, and fills in what follows from it: where rows start, and what is read-only.
pub(super) fn check(merged: &mut Merged, diagnostics: &mut Diagnostics) {
    identity::check(merged, diagnostics);
    for mapping in merged.mappings.values_mut() {
        if !merged.in_part.contains(&mapping.key) {
            rows::check(mapping, merged.readonly.get(&mapping.key).copied(), diagnostics);
        }
    }
    let uses = devices::check(merged, diagnostics);
    references::check(merged, &uses, diagnostics);
    sectors::check(merged, diagnostics);
}

/// The place in a mapping that refers to `key`, by either of its names.
fn reference(mapping: &Mapping, row: Option<usize>, key: &Key, target: Option<&Mapping>) -> Spot {
    let mut texts = vec![format!("@{key}")];
    if let Some(target) = target {
        texts.push(format!("/dev/mapper/{}", target.name.kernel()));
        texts.push(format!("/dev/mapper/{}", target.name.plain()));
    }
    Spot::Text(row_origin(mapping, row), texts)
}

/// The place of a row, or of its mapping where its number is not known.
fn row_origin(mapping: &Mapping, row: Option<usize>) -> Origin {
    match row {
        Some(row) => mapping.origin().below("targets").below(row),
        None => mapping.origin(),
    }
}

/// Whether a mapping will be there once the map is applied.
fn is_present(mapping: &Mapping) -> bool {
    mapping.state != State::Absent
}
