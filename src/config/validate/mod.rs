//! Checks a map beyond its form: the rules that do not need a kernel.

mod devices;
mod identity;
mod origins;
mod places;
mod references;
mod rows;
mod sectors;

use super::diagnostic::Diagnostics;
use super::merge::Merged;

/// Checks the whole map, and fills in the derived values: where rows start, and which mappings are read-only.
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
    origins::check(merged, diagnostics);
}
