//! Which device of the kernel each mapping is.
//!
//! By uuid first, for that is the identity. Then, for a device that carries no uuid at all, by the name
//! that `renamed_from` gives or, with `adopt`, by the mapping's own. Never by name alone.

use super::Conflict;
use crate::config::{Map, Mapping, State};
use crate::identity::{Key, Name, Owner};
use crate::observed::{Observed, Seen};

/// The device of a mapping.
#[derive(Clone, Copy)]
pub struct Match<'a> {
    /// The device.
    pub seen: &'a Seen,
    /// Whether it has yet to be given the mapping's uuid.
    pub taken_over: bool,
}

/// Which devices the mappings have. Mappings are told apart by their place among the keys.
pub struct Matches<'a> {
    /// For each mapping its device, if it has one.
    pub found: Vec<Option<Match<'a>>>,
    /// For each mapping whether it can't be told which device it has.
    pub in_conflict: Vec<bool>,
    /// For each device, by its place in the list, its mapping.
    pub by_device: Vec<Option<usize>>,
}

/// Finds the devices of all mappings. A device is one mapping only.
pub fn devices<'a>(map: &'a Map, observed: &'a Observed, conflicts: &mut Vec<Conflict>) -> Matches<'a> {
    let count = map.mappings.len();
    // A host that has nothing yet need not be searched for a hundred thousand.
    if observed.devices.is_empty() {
        return Matches { found: vec![None; count], in_conflict: vec![false; count], by_device: Vec::new() };
    }
    let (mut found, mut in_conflict) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut by_device: Vec<Option<usize>> = vec![None; observed.devices.len()];
    let mut likely = 0;
    for (id, mapping) in map.mappings.values().enumerate() {
        let before = conflicts.len();
        let device = of(mapping, observed, &mut likely, conflicts).filter(|(place, device)| {
            let taken = by_device[*place];
            if let Some(other) = taken {
                let other = &map.mappings[other].key;
                conflicts.push(claimed_twice(mapping, &device.seen.listed.name, other));
            } else {
                by_device[*place] = Some(id);
            }
            taken.is_none()
        });
        found.push(device.map(|(_, device)| device));
        in_conflict.push(conflicts.len() > before);
    }
    Matches { found, in_conflict, by_device }
}

fn claimed_twice(mapping: &Mapping, device: &Name, other: &Key) -> Conflict {
    Conflict {
        mapping: mapping.key.clone(),
        name: mapping.name.clone(),
        reason: format!("the device `{device}` can't be both `{other}` and `{}`", mapping.key),
    }
}

/// `likely` is the place of a device that it may be, and afterwards the place behind that which it is.
fn of<'a>(
    mapping: &Mapping,
    observed: &'a Observed,
    likely: &mut usize,
    conflicts: &mut Vec<Conflict>,
) -> Option<(usize, Match<'a>)> {
    if let Some(place) = observed.place_of(&mapping.uuid, *likely) {
        *likely = place + 1;
        return Some((place, Match { seen: &observed.devices[place], taken_over: false }));
    }
    if mapping.state == State::Absent {
        return None;
    }
    let adopted = mapping.adopt.then_some(&mapping.name);
    for name in mapping.renamed_from.iter().chain(adopted) {
        let Some(place) = observed.place_of_name(name) else { continue };
        let seen = &observed.devices[place];
        match &seen.listed.uuid {
            None => return Some((place, Match { seen, taken_over: true })),
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
        _ if by.mapped.as_ref().is_some_and(|device| device.info.deferred_remove) => {
            format!("{taken}, a device that goes away as soon as it is closed; then apply again")
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
