//! No two mappings have one name or one uuid, and none is to be kept and to go.

use std::collections::{BTreeMap, HashMap};

use super::super::diagnostic::{Diagnostic, Diagnostics};
use super::super::merge::Draft;
use super::super::model::Mapping;
use super::is_present;
use crate::identity::Key;

pub(super) fn check(mappings: &BTreeMap<Key, Draft>, diagnostics: &mut Diagnostics) {
    let mut names: HashMap<&str, &Mapping> = HashMap::with_capacity(mappings.len());
    let mut uuids: HashMap<&str, &Mapping> = HashMap::with_capacity(mappings.len());
    for mapping in mappings.values().map(|draft| &draft.mapping) {
        if mapping.protect && !is_present(mapping) {
            diagnostics.push(contradiction(mapping));
        }
        if let Some(first) = names.insert(mapping.name.kernel(), mapping) {
            let what = format!("name `{}`", mapping.name);
            diagnostics.push(clash(first, mapping, "name", &what));
        }
        if let Some(first) = uuids.insert(mapping.uuid.as_str(), mapping) {
            let what = format!("uuid `{}`", mapping.uuid);
            diagnostics.push(clash(first, mapping, "uuid", &what));
        }
    }
}

fn contradiction(mapping: &Mapping) -> Diagnostic {
    Diagnostic::error(format!("`{}` is protected, and is to be absent", mapping.key))
        .at(mapping.origin.field("protect"))
        .label("never removed")
        .related(mapping.origin.field("state"), "to be removed")
        .help("to remove it, take `protect` out of the map first")
}

fn clash(first: &Mapping, second: &Mapping, field: &str, what: &str) -> Diagnostic {
    // Where the field is left out, the key stands for it.
    Diagnostic::error(format!("`{}` and `{}` have the same {what}", first.key, second.key))
        .at(second.origin.field(field))
        .label("taken")
        .related(first.origin.field(field), "by this mapping")
        .help(format!("the kernel has each {field} once: give one of them another `{field}`"))
}
