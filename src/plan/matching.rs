//! Finds the device of each mapping.
//!
//! A device is found by uuid first: that is its identity. The uuid of an earlier key, which `formerly` lists, is as good. A device without a uuid is found by the name that
//! `renamed_from` gives or, with `adopt`, by the name of the mapping. A device with another uuid is not found by its name.

use super::conflict::{Conflict, Obstacle};
use super::position::MappingId;
use crate::config::{Map, Mapping, State};
use crate::identity::{Key, Name};
use crate::observed::{Observed, Seen, SeenId};
use crate::stack::{IndexVec, Position as _};

/// The device of a mapping.
#[derive(Clone, Copy)]
pub struct Match<'a> {
    pub seen: &'a Seen,
    /// Whether the device still has to be given the mapping's uuid.
    pub taken_over: bool,
}

/// The devices of all mappings.
pub(crate) struct Matches<'a> {
    /// For each mapping its device, if it has one.
    pub found: IndexVec<MappingId, Option<Match<'a>>>,
    /// For each mapping, whether a conflict prevents its match.
    pub in_conflict: IndexVec<MappingId, bool>,
    /// For each device its mapping, if the map declares it.
    pub by_device: IndexVec<SeenId, Option<MappingId>>,
}

/// Finds the devices of all mappings. A device belongs to one mapping only.
pub(crate) fn devices<'a>(
    map: &'a Map,
    observed: &'a Observed,
    conflicts: &mut Vec<Conflict>,
) -> Matches<'a> {
    let count = map.mappings.len();
    // On a host without devices, a search for each of a hundred thousand mappings is a waste.
    if observed.devices.is_empty() {
        return Matches {
            found: IndexVec::filled(None, count),
            in_conflict: IndexVec::filled(false, count),
            by_device: IndexVec::default(),
        };
    }
    let (mut found, mut in_conflict) = (IndexVec::with_capacity(count), IndexVec::with_capacity(count));
    let mut by_device: IndexVec<SeenId, Option<MappingId>> = IndexVec::filled(None, observed.devices.len());
    let mut likely = SeenId::new(0);
    for (id, mapping) in (0..count).map(MappingId::new).zip(map.mappings.values()) {
        let before = conflicts.len();
        let device = of(mapping, observed, &mut likely, conflicts).filter(|(place, device)| {
            let taken = by_device[*place];
            if let Some(other) = taken {
                let other = &map.mappings[other.index()].key;
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
        reason: Obstacle::ClaimedTwice {
            device: device.clone(),
            other: other.clone(),
            mapping: mapping.key.clone(),
        },
    }
}

/// Finds the device of one mapping, and its place in the list. `likely` is the place to try first, and is moved behind
/// the place that was found.
fn of<'a>(
    mapping: &Mapping,
    observed: &'a Observed,
    likely: &mut SeenId,
    conflicts: &mut Vec<Conflict>,
) -> Option<(SeenId, Match<'a>)> {
    if let Some(place) = observed.place_of(&mapping.uuid, *likely) {
        *likely = place.next();
        return Some((place, Match { seen: &observed.devices[place], taken_over: false }));
    }
    let mut former = mapping.formerly.iter();
    if let Some(place) = former.find_map(|uuid| observed.place_of(uuid, SeenId::new(0))) {
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
            // A foreign device with the mapping's own name is reported with all other taken names.
            Some(_) => {}
        }
    }
    None
}

/// Whether a device with a live table holds its I/O back.
pub(crate) fn is_suspended(seen: &Seen) -> bool {
    seen.mapped.as_ref().is_some_and(|device| device.info.suspended && device.info.live_table)
}
