//! Finds the places in a map that a rule reports: a row, or the text in it that refers to another mapping.

use super::super::diagnostic::Spot;
use super::super::model::{Mapping, Origin};
use crate::identity::Key;

/// Returns the place in a mapping that refers to `key`, by either of its names.
pub(super) fn reference(mapping: &Mapping, row: Option<usize>, key: &Key, target: Option<&Mapping>) -> Spot {
    let mut texts = vec![format!("@{key}")];
    if let Some(target) = target {
        texts.push(format!("/dev/mapper/{}", target.name.kernel()));
        texts.push(format!("/dev/mapper/{}", target.name.plain()));
    }
    Spot::Text(row_origin(mapping, row), texts)
}

/// Returns the place of a row, or of its mapping where its index is not known.
pub(super) fn row_origin(mapping: &Mapping, row: Option<usize>) -> Origin {
    match row {
        Some(row) => mapping.origin().below("targets").below(row),
        None => mapping.origin(),
    }
}
