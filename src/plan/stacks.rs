//! Stacks from the bottom up: of the mappings of a map, and of the devices that there are.

use std::collections::{HashMap, HashSet};

use super::mappings::{Mappings, Neighbours};
use super::sorting::Sorting;
use crate::diff;
use crate::identity::DevNum;
use crate::observed::{Observed, Seen};
use crate::stack::{NamedStacks, Position, position};

position! {
    /// A device among those whose tables were read.
    struct Place;
}

/// A mapping and the mappings it should stand on, by id.
pub struct Placed {
    /// The mapping.
    pub id: usize,
    /// Those below it, each once.
    pub lowers: Neighbours,
    /// What is wrong, if it stands on itself or on one that does.
    pub circle: Option<String>,
}

/// The devices whose tables were read, lower ones first, by name where that leaves a choice. A device uses what its
/// inactive table does, too.
pub fn observed(observed: &Observed) -> Vec<&Seen> {
    let read = observed.devices.iter().filter_map(|seen| Some((seen, seen.mapped.as_ref()?)));
    let mut read: Vec<_> = read.collect();
    read.sort_by_key(|(seen, _)| &seen.listed.name);
    let uses = read.iter().map(|(seen, mapped)| {
        let lowers = &diff::lower_devices(&mapped.table) | &diff::lower_devices(&seen.waiting);
        (seen.listed.number, lowers)
    });
    let uses: NamedStacks<DevNum, Place> = uses.collect();
    uses.bottom_up().into_iter().map(|place| read[place.index()].0).collect()
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
