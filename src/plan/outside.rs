//! Describes the mapped devices that are not mappings of the map, and tells of those that have the name of one.

use std::collections::HashSet;

use super::changes::Changes;
use super::conflict::{Conflict, NameHolder, Obstacle};
use super::neighbour::{Living, Origin};
use super::other_stack::{OtherStack, Pruning};
use super::usage::InUse;
use crate::config::{Map, Mapping};
use crate::identity::{DevNum, Name};
use crate::observed::{Observed, Seen};

/// Describes a mapped device outside the map.
pub(crate) fn living(number: DevNum, changes: &Changes<'_>, observed: &Observed) -> Option<Living> {
    let seen = observed.by_number(number)?;
    Some(Living {
        name: seen.listed.name.clone(),
        number,
        origin: origin(seen, changes.map, observed),
        users: InUse::of(number, 0, &HashSet::new(), observed),
    })
}

fn origin(seen: &Seen, map: &Map, observed: &Observed) -> Origin {
    let rest = map.rest.as_ref();
    let leaves = seen.mapped.as_ref().is_some_and(|device| device.info.deferred_remove);
    let uuid = seen.listed.uuid.as_ref();
    if !leaves && let Some(other) = OtherStack::declaring(rest, seen, observed) {
        return Origin::OtherStack(other);
    }
    let Some(uuid) = uuid else { return Origin::WithoutUuid };
    match (uuid.is_of(&map.owner), uuid.parts(), uuid.subsystem()) {
        (true, ..) if leaves => Origin::Leaving,
        (true, ..) => Origin::Leftover(uuid.clone(), Pruning::of(rest)),
        (_, Some((other, _)), _) => Origin::Owner(other),
        (_, _, Some(subsystem)) => Origin::Subsystem(subsystem),
        _ => Origin::Unknown(uuid.clone()),
    }
}

/// Returns the conflict about a name that the device `by` keeps.
pub(crate) fn taken(
    mapping: &Mapping,
    name: &Name,
    by: &Seen,
    changes: &Changes<'_>,
    observed: &Observed,
) -> Conflict {
    let pending = || by.mapped.as_ref().is_some_and(|device| device.info.deferred_remove);
    let map = changes.map;
    let rest = map.rest.as_ref();
    let declared = changes.key_of(by.listed.number, observed);
    let other = OtherStack::declaring(rest, by, observed);
    let holder = match (&by.listed.uuid, declared, other) {
        (_, Some(key), _) => NameHolder::Mapping(key.clone()),
        _ if pending() => NameHolder::RemovalPending,
        (_, _, Some(other)) => NameHolder::OtherStack(other),
        (None, ..) if mapping.adopt => NameHolder::SecondWithoutUuid,
        (None, ..) => NameHolder::WithoutUuid,
        (Some(uuid), ..) if uuid.is_of(&map.owner) => NameHolder::Orphan(uuid.clone(), Pruning::of(rest)),
        (Some(uuid), ..) => NameHolder::Foreign(uuid.clone()),
    };
    Conflict {
        mapping: mapping.key.clone(),
        name: mapping.name.clone(),
        reason: Obstacle::NameTaken { name: name.clone(), number: by.listed.number, by: holder },
    }
}
