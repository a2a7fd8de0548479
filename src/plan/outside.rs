//! Describes the mapped devices that are not mappings of the map.

use std::collections::HashSet;

use super::changes::Changes;
use super::neighbour::{Living, Origin};
use super::other_stack::{OtherStack, Pruning};
use super::usage::InUse;
use crate::config::Map;
use crate::identity::DevNum;
use crate::observed::{Observed, Seen};

/// Describes a mapped device outside the map.
pub(crate) fn living(number: DevNum, changes: &Changes<'_>, observed: &Observed) -> Option<Living> {
    let seen = observed.by_number(number)?;
    Some(Living {
        name: seen.listed.name.clone(),
        number,
        origin: origin(seen, changes.map),
        users: InUse::of(number, 0, &HashSet::new(), observed),
    })
}

fn origin(seen: &Seen, map: &Map) -> Origin {
    let rest = map.rest.as_ref();
    let leaves = seen.mapped.as_ref().is_some_and(|device| device.info.deferred_remove);
    let uuid = seen.listed.uuid.as_ref();
    if !leaves && let Some(other) = OtherStack::declaring(rest, &seen.listed.name, uuid) {
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
