//! Which device of the kernel each mapping is.
//!
//! By uuid first, for that is the identity. Then, for a device that carries no uuid at all, by the name
//! that `renamed_from` gives or, with `adopt`, by the mapping's own. Never by name alone.

use super::conflict::{Conflict, NameHolder, Obstacle};
use super::position::MappingId;
use crate::config::{Map, Mapping, State};
use crate::identity::{Key, Name, Owner};
use crate::observed::{Observed, Seen};
use crate::stack::{IndexVec, Position as _};

/// The device of a mapping.
#[derive(Clone, Copy)]
pub struct Match<'a> {
    /// The device.
    pub seen: &'a Seen,
    /// Whether it has yet to be given the mapping's uuid.
    pub taken_over: bool,
}

/// Which devices the mappings have.
pub struct Matches<'a> {
    /// For each mapping its device, if it has one.
    pub found: IndexVec<MappingId, Option<Match<'a>>>,
    /// For each mapping whether it can't be told which device it has.
    pub in_conflict: IndexVec<MappingId, bool>,
    /// For each device, by its place in the list, its mapping.
    pub by_device: Vec<Option<MappingId>>,
}

/// Finds the devices of all mappings. A device is one mapping only.
pub fn devices<'a>(map: &'a Map, observed: &'a Observed, conflicts: &mut Vec<Conflict>) -> Matches<'a> {
    let count = map.mappings.len();
    // A host that has nothing yet need not be searched for a hundred thousand.
    if observed.devices.is_empty() {
        return Matches {
            found: IndexVec::filled(None, count),
            in_conflict: IndexVec::filled(false, count),
            by_device: Vec::new(),
        };
    }
    let (mut found, mut in_conflict) = (IndexVec::with_capacity(count), IndexVec::with_capacity(count));
    let mut by_device: Vec<Option<MappingId>> = vec![None; observed.devices.len()];
    let mut likely = 0;
    for (id, mapping) in map.mappings.values().enumerate() {
        let before = conflicts.len();
        let device = of(mapping, observed, &mut likely, conflicts).filter(|(place, device)| {
            let taken = by_device[*place];
            if let Some(other) = taken {
                let other = &map.mappings[other.index()].key;
                conflicts.push(claimed_twice(mapping, &device.seen.listed.name, other));
            } else {
                by_device[*place] = Some(MappingId::new(id));
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
        reason: Obstacle::ClaimedTwice {
            device: device.clone(),
            other: other.clone(),
            mapping: mapping.key.clone(),
        },
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
                reason: Obstacle::RenamedFromUuid { name: name.clone(), uuid: uuid.clone() },
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
    let pending = || by.mapped.as_ref().is_some_and(|device| device.info.deferred_remove);
    let holder = match (&by.listed.uuid, declared) {
        (_, Some(key)) => NameHolder::Mapping(key.clone()),
        _ if pending() => NameHolder::RemovalPending,
        (None, _) if mapping.adopt => NameHolder::SecondWithoutUuid,
        (None, _) => NameHolder::WithoutUuid,
        (Some(uuid), _) if uuid.is_of(owner) => NameHolder::Orphan(uuid.clone()),
        (Some(uuid), _) => NameHolder::Foreign(uuid.clone()),
    };
    Conflict {
        mapping: mapping.key.clone(),
        name: mapping.name.clone(),
        reason: Obstacle::NameTaken { name: name.clone(), number: by.listed.number, by: holder },
    }
}
