//! Sorts mappings and devices by their place in the stacks, lower ones first.

use std::collections::{BTreeSet, HashMap};

use super::conflict::{Link, Obstacle};
use super::mappings::Mappings;
use super::position::MappingId;
use crate::identity::DevNum;
use crate::observed::{Observed, Seen};
use crate::stack::{Circular, NamedStacks, Position as _, Positions, position};

/// A mapping and the mappings it should use.
pub(crate) struct Placement {
    pub id: MappingId,
    /// The mappings below, each once.
    pub lowers: Positions<MappingId>,
    /// Set when it is in a circle or above one.
    pub circle: Option<Obstacle>,
}

position! {
    /// A device whose table was read, in the order of the names.
    pub(crate) struct ReadId;
}

position! {
    /// A mapping in a circle or above one.
    struct LeftId;
}

/// The devices whose tables were read, lower devices first; by name where that leaves a choice.
pub(crate) fn devices(observed: &Observed) -> Vec<&Seen> {
    let mut read: Vec<&Seen> = observed.devices.iter().filter(|seen| seen.mapped.is_some()).collect();
    read.sort_by_key(|seen| &seen.listed.name);
    let stacks: NamedStacks<DevNum, ReadId> =
        read.iter().map(|seen| (seen.listed.number, lowers(seen))).collect();
    stacks.bottom_up().into_iter().map(|id| read[id.index()]).collect()
}

/// The devices below a device, by its live and by its inactive table.
fn lowers(seen: &Seen) -> BTreeSet<DevNum> {
    let waiting = seen.waiting.lower_devices().iter();
    waiting.chain(seen.mapped.iter().flat_map(|mapped| mapped.table.lower_devices())).copied().collect()
}

/// The mappings that are in a circle of mappings, and then those that are above one, lower ones first.
pub(crate) fn circular(
    mappings: &Mappings<'_>,
    left: Vec<(MappingId, Positions<MappingId>)>,
) -> Vec<Placement> {
    let mut lowers: HashMap<MappingId, Positions<MappingId>> = left.iter().cloned().collect();
    let stacks: NamedStacks<MappingId, LeftId> = left.into_iter().collect();
    let Circular { inside, above } = stacks.circular();
    let link = |id: &MappingId| Link::Mapping(mappings.get(*id).key.clone());
    let mut placements = Vec::with_capacity(inside.len() + above.len());
    for node in inside {
        let id = *stacks.name(node);
        let way = stacks.path(node, node).unwrap_or_default();
        let between = if way.len() > 2 { &way[1..way.len() - 1] } else { &way[..1] };
        let through = between.iter().map(|node| link(stacks.name(*node))).collect();
        let lowers = lowers.remove(&id).unwrap_or_default();
        placements.push(Placement { id, lowers, circle: Some(Obstacle::Circle { through }) });
    }
    for id in above.into_iter().map(|node| *stacks.name(node)) {
        let lowers = lowers.remove(&id).unwrap_or_default();
        let through = lowers.iter().filter(|lower| stacks.position(lower).is_some()).map(link).collect();
        placements.push(Placement { id, lowers, circle: Some(Obstacle::AboveCircle { through }) });
    }
    placements
}
