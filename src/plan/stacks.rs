//! Stacks from the bottom up: of the mappings of a map, and of the devices that there are.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::mappings::{Mappings, Neighbours};
use super::sorting::Sorting;
use crate::diff;
use crate::identity::{DevNum, Name};
use crate::observed::{Observed, Seen};

/// A mapping and the mappings it should stand on, by id.
pub struct Placed {
    /// The mapping.
    pub id: usize,
    /// Those below it, each once.
    pub lowers: Neighbours,
    /// What is wrong, if it stands on itself or on one that does.
    pub circle: Option<String>,
}

/// The devices whose tables were read, a device after all that it stands on; by name where that leaves a choice.
pub fn observed(observed: &Observed) -> Vec<&Seen> {
    let mut left: BTreeMap<&Name, (&Seen, BTreeSet<DevNum>)> = BTreeMap::new();
    for seen in &observed.devices {
        if let Some(mapped) = &seen.mapped {
            let lowers = &diff::lower_devices(&mapped.table) | &diff::lower_devices(&seen.waiting);
            left.insert(&seen.listed.name, (seen, lowers));
        }
    }
    let mut sorted = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waiting: HashSet<DevNum> = left.values().map(|(seen, _)| seen.listed.number).collect();
        let mut layer: Vec<&Name> = left
            .iter()
            .filter(|(_, (_, lowers))| lowers.iter().all(|lower| !waiting.contains(lower)))
            .map(|(name, _)| *name)
            .collect();
        if layer.is_empty() {
            // A circle has no bottom: begin anywhere.
            layer = left.keys().copied().collect();
        }
        sorted.extend(layer.into_iter().filter_map(|name| left.remove(name)).map(|(seen, _)| seen));
    }
    sorted
}

/// The mappings that no stack has room for, with those they should stand on: those that stand on themselves, and then
/// those that stand on one that does.
pub fn circles(mappings: &Mappings<'_>, left: &[(usize, Neighbours)]) -> Vec<Placed> {
    let places: HashMap<usize, usize> = left.iter().map(|(id, _)| *id).zip(0..).collect();
    let mut uppers = vec![Neighbours::new(); left.len()];
    for (upper, (_, lowers)) in left.iter().enumerate() {
        for lower in lowers.iter().filter_map(|lower| places.get(lower)) {
            uppers[*lower].push(upper);
        }
    }
    // Seen from the top, those that nobody in a circle stands on come out first.
    let mut above = Vec::new();
    let mut sorting = Sorting::of(left.len());
    while let Some((upper, _)) = sorting.next(|place| uppers[place].clone()) {
        above.push(upper);
    }
    let inside: HashSet<usize> = sorting.left().into_iter().map(|(place, _)| place).collect();
    let tell = |place: usize, says: &str, leads: &dyn Fn(usize) -> bool| {
        let (id, lowers) = &left[place];
        let through = lowers.iter().filter(|lower| places.get(*lower).is_some_and(|place| leads(*place)));
        let through: Vec<String> = through.map(|lower| format!("@{}", mappings.get(*lower).key)).collect();
        let circle = Some(format!("{says} {}", through.join(", ")));
        Placed { id: *id, lowers: lowers.clone(), circle }
    };
    let circles = (0..left.len())
        .filter(|place| inside.contains(place))
        .map(|place| tell(place, "it stands on itself, through", &|lower| inside.contains(&lower)));
    let outside =
        above.iter().rev().map(|place| tell(*place, "it stands on a circle of mappings, through", &|_| true));
    circles.chain(outside).collect()
}
