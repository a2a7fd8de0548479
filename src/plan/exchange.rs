//! Mappings that exchange sectors: each waits for another one to let go. Their tables are swapped together, while all of
//! them are suspended, so that at no moment two of them write to the same sectors.

use super::dependencies::{Dependencies, Places};
use super::position::{StepId, UnsortedId};
use super::step::Operation;
use crate::stack::{IndexVec, Position as _};

/// Whether all steps of a circle give live devices other tables, which can be loaded before any of them is live.
pub(crate) fn is_possible(dependencies: &Dependencies, circle: &[UnsortedId]) -> bool {
    circle.iter().all(|step| swaps(dependencies, *step) && !dependencies.held_loads().contains(step))
}

/// Whether the steps of an exchange are carried out together: no other kind of step is between them.
pub(crate) fn is_together(
    dependencies: &Dependencies,
    sorted: &IndexVec<StepId, UnsortedId>,
    places: &Places,
    exchange: &[UnsortedId],
) -> bool {
    let own = exchange.iter().map(|step| places[*step].index());
    let (first, last) = (own.clone().min().unwrap_or_default(), own.max().unwrap_or_default());
    (first..=last).map(StepId::new).all(|place| swaps(dependencies, sorted[place]))
}

/// Whether a step gives a live device another table.
fn swaps(dependencies: &Dependencies, step: UnsortedId) -> bool {
    let operation = &dependencies.steps[step].operation;
    matches!(operation, Operation::Reload(reload) if !reload.is_first_table())
}
