//! Which device of the kernel each mapping is.
//!
//! By uuid first, for that is the identity. Then, for a device that carries no uuid at all, by the name
//! that `renamed_from` gives or, with `adopt`, by the mapping's own. Never by name alone.

use std::collections::BTreeMap;

use super::Conflict;
use crate::config::{Map, Mapping, State};
use crate::identity::{Key, Name};
use crate::observed::{Observed, Seen};

/// The device of a mapping.
#[derive(Clone, Copy)]
pub struct Match<'a> {
    /// The device.
    pub seen: &'a Seen,
    /// Whether it has yet to be given the mapping's uuid.
    pub taken_over: bool,
}

/// The devices of all mappings that have one.
pub fn devices<'a>(
    map: &Map,
    observed: &'a Observed,
    conflicts: &mut Vec<Conflict>,
) -> BTreeMap<Key, Match<'a>> {
    let mut matches = BTreeMap::new();
    for mapping in map.mappings.values() {
        if let Some(found) = of(mapping, observed, conflicts) {
            matches.insert(mapping.key.clone(), found);
        }
    }
    matches
}

fn of<'a>(mapping: &Mapping, observed: &'a Observed, conflicts: &mut Vec<Conflict>) -> Option<Match<'a>> {
    if let Some(seen) = observed.by_uuid(&mapping.uuid) {
        return Some(Match { seen, taken_over: false });
    }
    if mapping.state == State::Absent {
        return None;
    }
    let adopted = mapping.adopt.then_some(&mapping.name);
    for name in mapping.renamed_from.iter().chain(adopted) {
        let Some(seen) = observed.by_name(name) else { continue };
        match &seen.listed.uuid {
            None => return Some(Match { seen, taken_over: true }),
            Some(uuid) if Some(name) == mapping.renamed_from.as_ref() => conflicts.push(Conflict {
                mapping: mapping.key.clone(),
                name: mapping.name.clone(),
                reason: format!(
                    "renamed_from names `{name}`, but that device has the uuid {uuid}, which can't be changed; \
                     write uuid = \"{uuid}\" to declare it as it is"
                ),
            }),
            // Its own name being taken by a stranger is found with every other taken name.
            Some(_) => {}
        }
    }
    None
}

/// What to say of a name that a stranger has.
pub fn taken(mapping: &Mapping, name: &Name, by: &Seen, of_owner: bool) -> Conflict {
    let reason = match &by.listed.uuid {
        None => format!(
            "the name `{name}` is taken by {}, a device without uuid; write adopt = true to take it over, or give \
             the mapping another name",
            by.listed.number
        ),
        Some(uuid) if of_owner => format!(
            "the name `{name}` is taken by {}, an owned device ({uuid}) that no mapping declares; remove it, or let \
             prune = true do so",
            by.listed.number
        ),
        Some(uuid) => {
            let who = uuid.subsystem().map_or_else(String::new, |who| format!(" of {who}"));
            format!(
                "the name `{name}` is taken by {}, a device{who} with the uuid {uuid}; give the mapping another name, \
                 or write uuid = \"{uuid}\" to declare that very device",
                by.listed.number
            )
        }
    };
    Conflict { mapping: mapping.key.clone(), name: mapping.name.clone(), reason }
}
