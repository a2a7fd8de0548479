//! Finds circles that are closed by devices outside of the map: foreign mapped devices, loop devices, arrays, partitions.
//!
//! A circle of mappings alone shows in the map. One through other devices depends on the kernel, and on the mappings that
//! keep their devices: a foreign device uses a device by its number, so it does not lead to a mapping whose device is
//! replaced.
//!
//! Linux takes any such table, and the first read or write never ends. So no risk class allows it.

use std::collections::HashSet;

use super::change::Drift;
use super::changes::Changes;
use super::conflict::{Conflict, Link, Obstacle};
use super::position::{ChangeId, MappingId};
use crate::config::State;
use crate::identity::DevNum;
use crate::observed::Observed;
use crate::stack::{NamedStacks, Positions, Reach, position};

/// A node of the stacks that a plan would leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Device {
    /// The device of a mapping, with the table that the map gives it.
    Mapping(MappingId),
    /// Any other device, as it is.
    Other(DevNum),
}

position! {
    /// The position of a [`Device`].
    struct Node;
}

/// Blocks the mappings that would be in a circle through other devices, or above one. `suspects` are the mappings that may
/// be.
pub(crate) fn block(changes: &mut Changes<'_>, suspects: &[MappingId], observed: &Observed) {
    let stacks = stacks(changes, suspects, observed);
    let circular = stacks.circular();
    let inside: HashSet<Node> = circular.inside.iter().copied().collect();
    let in_or_above: HashSet<Node> = inside.iter().chain(&circular.above).copied().collect();
    let mut blocked = Vec::new();
    for node in circular.inside.iter().chain(&circular.above) {
        let Device::Mapping(id) = *stacks.name(*node) else { continue };
        let link = |node: &Node| link(*stacks.name(*node), changes, observed);
        let obstacle = if inside.contains(node) {
            let way = stacks.path(*node, *node).unwrap_or_default();
            let between = if way.len() > 2 { &way[1..way.len() - 1] } else { &way[..1] };
            Obstacle::Circle { through: between.iter().map(link).collect() }
        } else {
            let lowers = stacks.below(*node).iter().filter(|lower| in_or_above.contains(lower));
            Obstacle::AboveCircle { through: lowers.map(link).collect() }
        };
        blocked.push((id, obstacle));
    }
    for (id, obstacle) in blocked {
        if let Some(place) = changes.of_mapping(id) {
            changes.block(place, obstacle);
        }
    }
}

/// Completes the conflicts about circles with what the kernel shows, and adds the devices that are in one where requests
/// never end.
pub(crate) fn tell(conflicts: &mut Vec<Conflict>, changes: &Changes<'_>, observed: &Observed) {
    for conflict in &mut *conflicts {
        let number = changes.get(&conflict.mapping).and_then(super::Change::number);
        if let Obstacle::Circle { .. } = conflict.reason
            && let Some(circle) = number.and_then(|number| observed.circle(number))
        {
            conflict.reason = Obstacle::InCircle(circle.clone());
        }
    }
    let stuck = |place: &ChangeId| {
        let change = &changes.all[*place];
        let circle = observed.circle(change.number()?).filter(|circle| circle.in_flight)?;
        let told = conflicts.iter().any(|conflict| {
            conflict.mapping == change.mapping.key && matches!(conflict.reason, Obstacle::InCircle(_))
        });
        (!told).then(|| Conflict {
            mapping: change.mapping.key.clone(),
            name: change.mapping.name.clone(),
            reason: Obstacle::InCircle(circle.clone()),
        })
    };
    let more: Vec<Conflict> = changes.index.busy.iter().filter_map(stuck).collect();
    conflicts.extend(more);
}

fn link(device: Device, changes: &Changes<'_>, observed: &Observed) -> Link {
    match device {
        Device::Mapping(id) => Link::Mapping(changes.mappings.get(id).key.clone()),
        Device::Other(number) => Link::Device(observed.called(number)),
    }
}

/// Stacks the suspects, and all other devices below them, as the plan would leave them.
fn stacks(changes: &Changes<'_>, suspects: &[MappingId], observed: &Observed) -> NamedStacks<Device, Node> {
    let mappings = &changes.mappings;
    let lowers = |id: MappingId| -> (Positions<MappingId>, Positions<DevNum>) {
        if mappings.get(id).state == State::Absent {
            return Default::default();
        }
        (mappings.below(id, observed), mappings.foreign_below(id, observed))
    };
    let stays = |id: MappingId| {
        let change = changes.of_mapping(id).map(|place| &changes.all[place]);
        change.is_some_and(|change| change.lasting_number().is_some() && change.drift != Drift::Extra)
    };
    let of_other = |lower: DevNum| match mappings.of_number(lower, observed) {
        Some(id) => stays(id).then_some(Device::Mapping(id)),
        None => Some(Device::Other(lower)),
    };
    let mut nodes: Vec<(Device, Vec<Device>)> = Vec::new();
    let mut others: Reach<DevNum> = std::iter::empty().collect();
    for id in suspects {
        let (below, foreign) = lowers(*id);
        others.extend(foreign.iter().copied());
        let below = below.into_iter().map(Device::Mapping);
        nodes.push((Device::Mapping(*id), below.chain(foreign.into_iter().map(Device::Other)).collect()));
    }
    while let Some(number) = others.next() {
        let below: Vec<Device> = observed.below(number).iter().filter_map(|lower| of_other(*lower)).collect();
        others.extend(below.iter().filter_map(|device| match device {
            Device::Other(number) => Some(*number),
            Device::Mapping(_) => None,
        }));
        nodes.push((Device::Other(number), below));
    }
    nodes.into_iter().collect()
}
