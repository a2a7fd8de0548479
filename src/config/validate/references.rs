//! Checks that `@key` names a mapping of the map, and that references never form a circle.

use super::super::diagnostic::{Diagnostic, Diagnostics};
use super::super::merge::Merged;
use super::super::model::Mappings;
use super::devices::Use;
use super::places::reference;
use crate::identity::Key;
use crate::nearest::nearest;
use crate::stack::{Edge, IndexVec, NamedStacks, Positions, position};

position! {
    /// The position of a mapping: first those that use another, then the others that are used.
    struct Place;
}

/// The most suggestions that are looked for; each is compared with every key of the map.
const MAX_SUGGESTIONS: usize = 20;
/// The most mappings of a long cycle that are named.
const MAX_NAMED: usize = 12;

pub(super) fn check(merged: &Merged, uses: &[Use], diagnostics: &mut Diagnostics) {
    let mappings = &merged.mappings;
    let mut suggestions = MAX_SUGGESTIONS;
    let mut inside = Vec::with_capacity(uses.len());
    for edge in uses {
        let Some(upper) = mappings.get(&edge.upper) else { continue };
        if !upper.is_present() {
            continue;
        }
        if edge.upper != edge.lower {
            inside.push(edge);
        }
        let lower = mappings.get(&edge.lower);
        let diagnostic = match lower {
            None if !merged.complete => continue,
            None => {
                let meant = if suggestions > 0 { nearest_key(mappings, edge) } else { None };
                suggestions = suggestions.saturating_sub(1);
                unknown(&edge.lower, meant)
            }
            Some(lower) if !lower.is_present() => Diagnostic::error(format!(
                "`{}` depends on `{}`, which is to be absent",
                edge.upper, edge.lower
            ))
            .related(lower.origin().field("state"), "declared absent here"),
            Some(_) if edge.upper == edge.lower => {
                Diagnostic::error(format!("`{}` depends on itself", edge.upper))
                    .label("a device can't be its own lower device")
            }
            Some(_) => continue,
        };
        diagnostics.push(diagnostic.at(reference(upper, edge.row, &edge.lower, lower)));
    }
    for cycle in cycles(&inside) {
        diagnostics.push(describe_cycle(&cycle, mappings));
    }
}

fn nearest_key<'m>(mappings: &'m Mappings, edge: &Use) -> Option<&'m str> {
    nearest(edge.lower.as_str(), mappings.keys().filter(|key| **key != edge.upper).map(Key::as_str))
}

fn unknown(key: &Key, meant: Option<&str>) -> Diagnostic {
    let diagnostic = Diagnostic::error(format!("no mapping of this map has the key `{key}`"));
    match meant {
        Some(meant) => diagnostic.help(format!("did you mean `@{meant}`?")),
        None => diagnostic.help("`@key` is another mapping of this map; a device of another name is a path"),
    }
}

/// Finds the uses that close a circle, each circle once. `uses` are sorted by the upper mapping.
fn cycles<'u>(uses: &[&'u Use]) -> Vec<Vec<&'u Use>> {
    let by_upper: IndexVec<Place, &[&Use]> = uses.chunk_by(|one, two| one.upper == two.upper).collect();
    let below = |edges: &'_ [&'u Use]| edges.iter().map(|edge| &edge.lower).collect::<Positions<_>>();
    let nodes = by_upper.iter().map(|edges| (&edges[0].upper, below(edges)));
    // With all lower ones the nth use of a mapping is the nth of its edges.
    let others = uses.iter().map(|edge| (&edge.lower, below(&[])));
    let stacks: NamedStacks<&Key, Place> = nodes.chain(others).collect();
    let uses_of =
        |circle: Vec<Edge<Place>>| circle.iter().map(|edge| by_upper[edge.upper][edge.nth]).collect();
    stacks.circles().map(uses_of).collect()
}

fn describe_cycle(cycle: &[&Use], mappings: &Mappings) -> Diagnostic {
    let mut path: Vec<String> = cycle.iter().take(MAX_NAMED).map(|edge| edge.upper.to_string()).collect();
    if cycle.len() > MAX_NAMED {
        path.push(format!("({} more)", cycle.len() - MAX_NAMED));
    }
    path.extend(cycle.first().map(|edge| edge.upper.to_string()));
    let mut diagnostic =
        Diagnostic::error(format!("these mappings depend on each other: {}", path.join(" -> "))).help(
            "a device is made before the devices that depend on it: one of these must be on another device",
        );
    let place = |edge: &Use| {
        let upper = mappings.get(&edge.upper)?;
        let lower = mappings.get(&edge.lower);
        Some(reference(upper, edge.row, &edge.lower, lower))
    };
    let mut places = cycle.iter().filter_map(|edge| Some((place(edge)?, edge)));
    if let Some((spot, edge)) = places.next() {
        diagnostic = diagnostic.at(spot).label(format!("`{}` depends on `{}`", edge.upper, edge.lower));
    }
    for (spot, edge) in places.take(MAX_NAMED) {
        diagnostic = diagnostic.related(spot, format!("`{}` depends on `{}`", edge.upper, edge.lower));
    }
    diagnostic
}
