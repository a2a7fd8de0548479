//! Checks that two mappings never share a name or a uuid, and that none is both protected and absent.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::super::diagnostic::{Diagnostic, Diagnostics};
use super::super::merge::Merged;
use super::super::model::{Mapping, Mappings};
use crate::identity::Uuid;

pub(super) fn check(merged: &Merged, diagnostics: &mut Diagnostics) {
    let mappings = &merged.mappings;
    for mapping in mappings.values().filter(|mapping| mapping.protect && !mapping.is_present()) {
        diagnostics.push(contradiction(mapping));
    }
    let named = |mapping: &Mapping| mapping.name.kernel() != mapping.key.as_str();
    clashes(mappings, "name", |mapping| &mapping.name, named, diagnostics);
    let marked = |mapping: &Mapping| !mapping.uuid.is_owned(&merged.owner, &mapping.key);
    clashes(mappings, "uuid", |mapping| &mapping.uuid, marked, diagnostics);
    former(mappings, diagnostics);
}

/// Reports an earlier key that another mapping has, now or formerly, and one of a mapping that writes its uuid.
fn former(mappings: &Mappings, diagnostics: &mut Diagnostics) {
    let with_former = || mappings.values().filter(|mapping| !mapping.formerly.is_empty());
    if with_former().next().is_none() {
        return;
    }
    let own: HashMap<&Uuid, &Mapping> = mappings.values().map(|mapping| (&mapping.uuid, mapping)).collect();
    let mut earlier: HashMap<&Uuid, &Mapping> = HashMap::new();
    for mapping in with_former() {
        for uuid in &mapping.formerly {
            let Some((_, key)) = uuid.parts() else { continue };
            let at = mapping.origin().field("formerly");
            if let Some(other) = own.get(uuid) {
                diagnostics.push(
                    Diagnostic::error(format!(
                        "`{key}` can't be an earlier key of `{}`: the map has it",
                        mapping.key
                    ))
                    .at(at)
                    .label("a mapping of this map")
                    .related(other.origin(), "this one")
                    .help("list only keys that the map does not have any more"),
                );
            } else if let Some(other) = earlier.insert(uuid, mapping) {
                diagnostics.push(
                    Diagnostic::error(format!(
                        "`{}` and `{}` were both formerly `{key}`",
                        other.key, mapping.key
                    ))
                    .at(at)
                    .label("taken")
                    .related(other.origin().field("formerly"), "by this mapping")
                    .help("a device is that of one mapping: leave the key out of one of them"),
                );
            }
        }
    }
}

/// Reports mappings that have the same `field`. A value that is made of the key differs as keys do: of two
/// equal values, at least one was written.
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
    // Where the field is left out, the place is that of the key.
    Diagnostic::error(format!("`{}` and `{}` have the same {field} `{what}`", first.key, second.key))
        .at(second.origin().field(field))
        .label("taken")
        .related(first.origin().field(field), "by this mapping")
        .help(format!("the kernel has each {field} once: give one of them another `{field}`"))
}
