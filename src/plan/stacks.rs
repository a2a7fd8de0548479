//! In which order the mappings of a map are looked at: lower ones first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::config::{Map, Mapping, State};
use crate::device::Device;
use crate::identity::Key;

/// A mapping and the mappings it should stand on.
pub struct Placed<'a> {
    /// The mapping.
    pub mapping: &'a Mapping,
    /// Those below it, each once.
    pub lowers: Vec<&'a Key>,
    /// What is wrong, if it stands on itself or on one that does.
    pub circle: Option<String>,
}

/// The mappings of `map`, lower ones first. `key_of` tells which mapping a device is, if it is one. Those
/// that stand in a circle come last, and after them those that stand on them.
pub fn bottom_up<'a>(map: &'a Map, key_of: &dyn Fn(&Device) -> Option<&'a Key>) -> Vec<Placed<'a>> {
    let mut waiting: BTreeMap<&Key, Vec<&Key>> = BTreeMap::new();
    let mut uppers: HashMap<&Key, Vec<&Key>> = HashMap::new();
    for mapping in map.mappings.values() {
        let mut lowers = BTreeSet::new();
        if mapping.state != State::Absent {
            for row in &mapping.rows {
                lowers.extend(row.target.lowers(0).iter().filter_map(|lower| key_of(lower.device)));
            }
        }
        for lower in &lowers {
            uppers.entry(lower).or_default().push(&mapping.key);
        }
        waiting.insert(&mapping.key, lowers.into_iter().collect());
    }
    let sorted = layers(&mut waiting, &uppers);
    let mut placed: Vec<Placed<'a>> = sorted
        .into_iter()
        .map(|(key, lowers)| Placed { mapping: &map.mappings[key], lowers, circle: None })
        .collect();
    placed.extend(circles(map, &waiting));
    placed
}

/// Takes those that wait for nobody out of `waiting`, then those that waited for them only, and so on.
fn layers<'a>(
    waiting: &mut BTreeMap<&'a Key, Vec<&'a Key>>,
    next_to: &HashMap<&'a Key, Vec<&'a Key>>,
) -> Vec<(&'a Key, Vec<&'a Key>)> {
    let mut counts: HashMap<&Key, usize> = waiting.iter().map(|(key, all)| (*key, all.len())).collect();
    let mut ready: Vec<&'a Key> = waiting.keys().copied().filter(|key| counts[key] == 0).collect();
    let mut sorted = Vec::with_capacity(waiting.len());
    let mut next = 0;
    while let Some(key) = ready.get(next).copied() {
        next += 1;
        for after in next_to.get(key).into_iter().flatten() {
            if let Some(count) = counts.get_mut(after).filter(|count| **count > 0) {
                *count -= 1;
                if *count == 0 {
                    ready.push(after);
                }
            }
        }
        if let Some(before) = waiting.remove(key) {
            sorted.push((key, before));
        }
    }
    sorted
}

/// What is left is in a circle, or stands on one.
fn circles<'a>(map: &'a Map, left: &BTreeMap<&'a Key, Vec<&'a Key>>) -> Vec<Placed<'a>> {
    // Seen from the top, those that nobody in a circle stands on come out first.
    let below = |lowers: &[&'a Key]| -> Vec<&'a Key> {
        lowers.iter().copied().filter(|lower| left.contains_key(lower)).collect()
    };
    let down: HashMap<&Key, Vec<&Key>> = left.iter().map(|(key, lowers)| (*key, below(lowers))).collect();
    let mut up: BTreeMap<&Key, Vec<&Key>> = left.keys().map(|key| (*key, Vec::new())).collect();
    for (key, lowers) in &down {
        for lower in lowers {
            if let Some(uppers) = up.get_mut(lower) {
                uppers.push(key);
            }
        }
    }
    let above: Vec<&Key> = layers(&mut up, &down).into_iter().map(|(key, _)| key).collect();
    let place = |key: &'a Key, says: &str| {
        let through: Vec<String> = down[key].iter().map(|lower| format!("@{lower}")).collect();
        let lowers = left[key].clone();
        let circle = Some(format!("{says} {}", through.join(", ")));
        Placed { mapping: &map.mappings[key], lowers, circle }
    };
    let inside = up.keys().map(|key| place(key, "it stands on itself, through"));
    let outside = above.iter().rev().map(|key| place(key, "it stands on a circle of mappings, through"));
    inside.chain(outside).collect()
}
