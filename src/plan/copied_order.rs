//! When devices are suspended that write what a layer copies: before the layer is live, upper ones first. A call that would wait
//! for one of them comes after it is resumed (`stuck`).

use super::action::Action;
use super::changes::Changes;
use super::copied_below::{self, Passing};
use super::dependencies::{Dependencies, Dependency};
use super::position::{ChangeId, UnsortedId};
use crate::observed::Observed;

/// Suspends the writers, upper ones first, before the layers are made live.
pub(crate) fn add(
    dependencies: &mut Dependencies,
    passing: &[Passing],
    changes: &Changes<'_>,
    observed: &Observed,
) {
    let mut suspends: Vec<(ChangeId, UnsortedId)> = Vec::new();
    for Passing { writer, layer } in passing {
        let held = dependencies.ranges.of(*writer).find(|id| dependencies.steps[*id].holds_writes());
        let Some(held) = held else { continue };
        let serves = |id: &UnsortedId| {
            matches!(dependencies.action(*id), Action::Create | Action::Reload | Action::Resume)
        };
        let live: Vec<UnsortedId> = dependencies.ranges.of(*layer).filter(serves).collect();
        for id in live {
            dependencies.add(held, id, Dependency::Origin);
        }
        suspends.push((*writer, held));
    }
    suspends.sort_unstable();
    suspends.dedup();
    for (upper, first) in &suspends {
        for (lower, then) in &suspends {
            if upper != lower && copied_below::is_above_now(*upper, *lower, changes, observed) {
                dependencies.add(*first, *then, Dependency::UsesLower);
            }
        }
    }
}
