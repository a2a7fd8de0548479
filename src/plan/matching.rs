//! Which device of the kernel each mapping is.
//!
//! By uuid first, for that is the identity. Then, for a device that carries no uuid at all, by the name
//! that `renamed_from` gives or, with `adopt`, by the mapping's own. Never by name alone.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::Conflict;
use crate::config::{Map, Mapping, State};
use crate::identity::{DevNum, Key, Name, Owner};
use crate::observed::{Observed, Seen};

/// The device of a mapping.
#[derive(Clone, Copy)]
pub struct Match<'a> {
    /// The device.
    pub seen: &'a Seen,
    /// Whether it has yet to be given the mapping's uuid.
    pub taken_over: bool,
}

/// The devices of all mappings that have one. A device is one mapping only.
pub fn devices<'a>(
    map: &'a Map,
    observed: &'a Observed,
    conflicts: &mut Vec<Conflict>,
) -> HashMap<&'a Key, Match<'a>> {
    let mut matches = HashMap::with_capacity(map.mappings.len());
    let mut owners: HashMap<DevNum, &Mapping> = HashMap::with_capacity(map.mappings.len());
    for mapping in map.mappings.values() {
        let Some(found) = of(mapping, observed, conflicts) else { continue };
        match owners.entry(found.seen.listed.number) {
            Entry::Vacant(free) => {
                free.insert(mapping);
                matches.insert(&mapping.key, found);
            }
            Entry::Occupied(taken) => conflicts.push(Conflict {
                mapping: mapping.key.clone(),
                name: mapping.name.clone(),
                reason: format!(
                    "the device `{}` can't be both `{}` and `{}`",
                    found.seen.listed.name,
                    taken.get().key,
                    mapping.key
                ),
            }),
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

/// What to say of a name that a device has which goes on having it. `declared` is the mapping it is, if the
/// map declares it.
pub fn taken(mapping: &Mapping, name: &Name, by: &Seen, declared: Option<&Key>, owner: &Owner) -> Conflict {
    let number = by.listed.number;
    let taken = format!("the name `{name}` is taken by {number}");
    let reason = match (&by.listed.uuid, declared) {
        (_, Some(key)) => {
            format!("{taken}, the device of the mapping `{key}`, which this plan does not rename or remove")
        }
        (None, _) if mapping.adopt => {
            format!(
                "{taken}, a device without uuid, and the mapping has a device already; remove one of the two"
            )
        }
        (None, _) => format!(
            "{taken}, a device without uuid; write adopt = true to take it over, or give the mapping another name"
        ),
        (Some(uuid), _) if uuid.is_of(owner) => format!(
            "{taken}, an owned device ({uuid}) that no mapping declares; remove it, or let prune = true do so"
        ),
        (Some(uuid), _) => {
            let other = uuid.parts().map(|(owner, _)| format!("the dmctl owner {owner}"));
            let who = other.or_else(|| uuid.subsystem().map(ToString::to_string));
            let who = who.map_or_else(String::new, |who| format!(" of {who}"));
            format!(
                "{taken}, a device{who} with the uuid {uuid}; give the mapping another name, or write uuid = \"{uuid}\" \
                 to declare that very device"
            )
        }
    };
    Conflict { mapping: mapping.key.clone(), name: mapping.name.clone(), reason }
}
