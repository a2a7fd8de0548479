//! Stacks from the bottom up: of the mappings of a map, and of the devices that there are.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::mappings::{Mappings, Neighbours};
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

/// All mappings, lower ones first. Those that stand in a circle come last, and after them those that stand on
/// them.
pub fn bottom_up(mappings: &Mappings<'_>, observed: &Observed) -> impl Iterator<Item = Placed> + use<> {
    let mut lowers: Vec<Neighbours> = (0..mappings.len()).map(|id| mappings.below(id, observed)).collect();
    let (sorted, left) = sorted(&lowers);
    let circles = circles(mappings, &lowers, left);
    let take = move |id: usize| Placed { id, lowers: std::mem::take(&mut lowers[id]), circle: None };
    sorted.into_iter().map(take).chain(circles)
}

/// The devices whose tables were read, a device after all that it stands on; by name where that leaves a choice.
pub fn observed(observed: &Observed) -> Vec<&Seen> {
    let mut left: BTreeMap<&Name, (&Seen, BTreeSet<DevNum>)> = BTreeMap::new();
    for seen in &observed.devices {
        if let Some(mapped) = &seen.mapped {
            let lowers = &diff::lowers(&mapped.table) | &diff::lowers(&seen.waiting);
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

/// The same edges, seen from the other end.
fn turned(edges: &[Neighbours]) -> Vec<Neighbours> {
    let mut turned = vec![Neighbours::new(); edges.len()];
    for (from, ends) in edges.iter().enumerate() {
        for to in ends {
            turned[*to].push(from);
        }
    }
    turned
}

/// How far the search has come with one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Search {
    /// Not there yet.
    Ahead,
    /// Somewhere among what it waits for.
    Inside,
    /// Through with it.
    Done,
    /// Through with it: it waits in a circle, or for one that does.
    Circle,
}

/// All in order, but each after all that it waits for; and for each whether it is left out, because it waits in a
/// circle or for one that does.
fn sorted(waits: &[Neighbours]) -> (Vec<usize>, Vec<bool>) {
    let mut search = vec![Search::Ahead; waits.len()];
    let mut sorted = Vec::with_capacity(waits.len());
    let mut path = Vec::new();
    for first in 0..waits.len() {
        path.push(first);
        while let Some(id) = path.last().copied() {
            match search[id] {
                Search::Ahead => {
                    search[id] = Search::Inside;
                    path.extend(waits[id].iter().rev().filter(|other| search[**other] == Search::Ahead));
                    continue;
                }
                Search::Inside => {
                    let circles = |other: &usize| matches!(search[*other], Search::Inside | Search::Circle);
                    let circle = waits[id].iter().any(circles);
                    search[id] = if circle { Search::Circle } else { Search::Done };
                    sorted.extend((!circle).then_some(id));
                }
                Search::Done | Search::Circle => {}
            }
            path.pop();
        }
    }
    let left = search.iter().map(|search| *search == Search::Circle).collect();
    (sorted, left)
}

/// What is left is in a circle, or stands on one.
fn circles(mappings: &Mappings<'_>, lowers: &[Neighbours], mut left: Vec<bool>) -> Vec<Placed> {
    if !left.contains(&true) {
        return Vec::new();
    }
    // Seen from the top, those that nobody in a circle stands on come out first.
    let (mut above, _) = sorted(&turned(lowers));
    above.retain(|id| left[*id]);
    let place = |id: usize, left: &[bool], says: &str| {
        let through = lowers[id].iter().filter(|lower| left[**lower]);
        let through: Vec<String> = through.map(|lower| format!("@{}", mappings.get(*lower).key)).collect();
        Placed { id, lowers: lowers[id].clone(), circle: Some(format!("{says} {}", through.join(", "))) }
    };
    let outside: Vec<Placed> = above
        .iter()
        .rev()
        .map(|id| place(*id, &left, "it stands on a circle of mappings, through"))
        .collect();
    for id in above {
        left[id] = false;
    }
    let inside = (0..left.len()).filter(|id| left[*id]);
    inside.map(|id| place(id, &left, "it stands on itself, through")).chain(outside).collect()
}
