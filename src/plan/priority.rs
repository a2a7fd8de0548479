//! Which step goes first of those that wait for no other: harmless ones before destructive ones, then by depth where that
//! counts, then by name.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::action::{Action, ActionSet};
use super::changes::Changes;
use super::placement;
use super::position::{ChangeId, UnsortedId};
use super::step::Step;
use super::steps::Unsorted;
use crate::identity::{DevNum, Name};
use crate::observed::Observed;
use crate::stack::{IndexVec, Position as _, position};

position! {
    /// The place of a device in the stacks as they are, lower ones first.
    struct DeviceRank;
}

position! {
    /// The place of a step among all, sorted by name.
    struct NameRank;
}

/// The priority of a step: by kind, by depth where that counts, by name, and by id at last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Priority {
    kind: u8,
    depth: Depth,
    name: NameRank,
    pub step: UnsortedId,
}

/// The depth of a step in the stacks. Steps of one kind all have the same variant.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    /// The depth does not count.
    Any,
    /// In the stacks as they are, lower devices first: to clear a table or to let I/O through may itself do I/O to the
    /// devices below.
    Device(DeviceRank),
    /// In the stacks as they will be, upper mappings first.
    Upper(Reverse<ChangeId>),
}

/// The rank of each step by its name.
fn name_ranks(Unsorted { steps, are_by_name, .. }: &Unsorted) -> IndexVec<UnsortedId, NameRank> {
    let ranks = (0..steps.len()).map(NameRank::new);
    if *are_by_name {
        return ranks.collect();
    }
    // A copy of a name costs nothing, and spares many looks at steps.
    let mut sorted: Vec<(Name, UnsortedId)> =
        steps.entries().map(|(id, step)| (step.name.clone(), id)).collect();
    sorted.sort_unstable();
    let mut by_step = IndexVec::filled(NameRank::new(0), steps.len());
    for ((_, step), rank) in sorted.into_iter().zip(ranks) {
        by_step[step] = rank;
    }
    by_step
}

/// What the priorities of steps follow from, beside the steps themselves.
pub(crate) struct Ranks {
    devices: HashMap<DevNum, DeviceRank>,
    names: IndexVec<UnsortedId, NameRank>,
}

impl Ranks {
    pub(crate) fn of(unsorted: &Unsorted, observed: &Observed) -> Self {
        Self { devices: device_ranks(unsorted.actions, observed), names: name_ranks(unsorted) }
    }

    /// Adds a step behind all others, with the name of this one.
    pub(crate) fn add_namesake(&mut self, step: UnsortedId) {
        self.names.push(self.names[step]);
    }

    /// The priority of a step. `is_late` tells that it can't be staged.
    pub(crate) fn priority(
        &self,
        id: UnsortedId,
        step: &Step,
        is_late: bool,
        changes: &Changes<'_>,
    ) -> Priority {
        let action = step.action();
        let kind = match action {
            Action::Clear | Action::Resume => 0,
            Action::Create if !is_late => 1,
            Action::Reload => 2,
            Action::Create => 3,
            Action::Message => 4,
            Action::SetUuid => 5,
            Action::Rename => 6,
            Action::Suspend => 7,
            Action::Remove => 8,
        };
        let depth = match action {
            Action::Clear | Action::Resume => {
                let rank = step.number.and_then(|number| self.devices.get(&number));
                Depth::Device(rank.copied().unwrap_or(DeviceRank::new(0)))
            }
            Action::Suspend => {
                let change = step.mapping.as_ref().and_then(|key| changes.id_of(key));
                Depth::Upper(Reverse(change.unwrap_or(ChangeId::new(0))))
            }
            _ => Depth::Any,
        };
        Priority { kind, depth, name: self.names[id], step: id }
    }
}

/// The rank of each device, if a step is taken in that order.
fn device_ranks(actions: ActionSet, observed: &Observed) -> HashMap<DevNum, DeviceRank> {
    let settles = actions.contains(Action::Clear) || actions.contains(Action::Resume);
    let devices = if settles { placement::devices(observed) } else { Vec::new() };
    let ranks = (0..devices.len()).map(DeviceRank::new);
    devices.iter().map(|seen| seen.listed.number).zip(ranks).collect()
}
