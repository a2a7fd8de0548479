//! No two mappings have one name or one uuid, and none is to be kept and to go.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::super::diagnostic::{Diagnostic, Diagnostics};
use super::super::merge::Merged;
use super::super::model::{Mapping, Mappings};

pub(super) fn check(merged: &Merged, diagnostics: &mut Diagnostics) {
    let mappings = &merged.mappings;
    for mapping in mappings.values().filter(|mapping| mapping.protect && !mapping.is_present()) {
        diagnostics.push(contradiction(mapping));
    }
    let named = |mapping: &Mapping| mapping.name.kernel() != mapping.key.as_str();
    clashes(mappings, "name", |mapping| &mapping.name, named, diagnostics);
    let marked = |mapping: &Mapping| !mapping.uuid.is_owned(&merged.owner, &mapping.key);
    clashes(mappings, "uuid", |mapping| &mapping.uuid, marked, diagnostics);
}

/// Mappings of which two have the same `field`. What is made of keys differs as they do: of two that clash, one
/// was written.
fn clashes<V: Eq + Hash>(
    mappings: &Mappings,
    field: &str,
    value: fn(&Mapping) -> &V,
    is_written: impl Fn(&Mapping) -> bool,
    diagnostics: &mut Diagnostics,
) {
    let written: HashSet<&V> = mappings.values().filter(|mapping| is_written(mapping)).map(value).collect();
    if written.is_empty() {
        return;
    }
    let mut taken: HashMap<&V, &Mapping> = HashMap::with_capacity(written.len());
    for mapping in mappings.values().filter(|mapping| written.contains(value(mapping))) {
        if let Some(first) = taken.insert(value(mapping), mapping) {
            diagnostics.push(clash(first, mapping, field));
        }
    }
}

fn contradiction(mapping: &Mapping) -> Diagnostic {
    Diagnostic::error(format!("`{}` is protected, and is to be absent", mapping.key))
        .at(mapping.origin().field("protect"))
        .label("never removed")
        .related(mapping.origin().field("state"), "to be removed")
        .help("to remove it, take `protect` out of the map first")
}

fn clash(first: &Mapping, second: &Mapping, field: &str) -> Diagnostic {
    let what = if field == "name" { second.name.to_string() } else { second.uuid.to_string() };
    // Where the field is left out, the key stands for it.
    Diagnostic::error(format!("`{}` and `{}` have the same {field} `{what}`", first.key, second.key))
        .at(second.origin().field(field))
        .label("taken")
        .related(first.origin().field(field), "by this mapping")
        .help(format!("the kernel has each {field} once: give one of them another `{field}`"))
}
