//! The plan: the steps that make a kernel equal to a map, in the order in which they are carried out.
//!
//! Planning is pure. It is given a map and what was read of a kernel ([`crate::observed`]) and asks
//! neither of them anything more; the same input gives the same plan, ties broken by name.
//!
//! [`repair`] finds what a crash left, where there is no map.
//!
//! `matching` finds the device of each mapping, `changes` compares the two from the bottom of the stacks
//! up, `steps` says what must happen, `order` in which order, and `risk` what is at stake.

mod action;
mod actions;
mod changes;
mod claims;
mod deactivation;
pub mod document;
mod handover;
mod mappings;
mod matching;
mod noted;
mod order;
mod overlap;
mod own;
mod preparation;
mod reason;
mod refusal;
pub mod repair;
mod resolve;
mod risk;
mod sorting;
mod stacks;
mod step;
mod steps;
mod usage;
mod waits;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::config::Map;
use crate::identity::{Key, Name};
use crate::kernel::{KernelError, ReadKernel};
use crate::observed::Observed;
use crate::policy::Class;

pub use action::Action;
pub use changes::{Change, Changes, Standing};
pub use deactivation::{Deactivation, deactivate};
pub use reason::{Cause, Consequence, Reason, Stake, Volume};
pub use refusal::Refusal;
pub use step::{CANCEL_REMOVAL, Create, LiveTable, Message, Operation, Preparation, Reload, Removal, Step};
pub use usage::InUse;

/// Something that stands in the way of the map as a whole: nothing is applied while it does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Conflict {
    /// The mapping that can't be had.
    pub mapping: Key,
    /// Its name.
    pub name: Name,
    /// What stands in the way, and the way out.
    pub reason: String,
}

/// A device that can't be judged, and is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unjudged {
    /// The mapping.
    pub mapping: Key,
    /// Its name.
    pub name: Name,
    /// Why not.
    pub reason: String,
}

/// A value that the kernel would take and ignore, so that no plan can bring it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// The mapping.
    pub mapping: Key,
    /// Its name.
    pub name: Name,
    /// Which value, and what would bring it.
    pub reason: String,
}

/// A plan.
#[derive(Clone, Default)]
pub struct Plan {
    /// The steps, in an order in which they can be carried out one by one.
    pub steps: Vec<Step>,
    /// For each step, by their places, those before it that it waits for. What does not wait for each other can
    /// be carried out side by side.
    pub waits: Vec<Vec<usize>>,
    /// What stands in the way.
    pub conflicts: Vec<Conflict>,
    /// Devices that are left alone.
    pub unjudged: Vec<Unjudged>,
    /// What is asked for and stays as it is.
    pub ignored: Vec<Ignored>,
    /// The classes that are allowed beyond those that always are.
    pub allow: BTreeSet<Class>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.conflicts.is_empty()
    }

    /// The steps that may not be carried out.
    pub fn refused(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.refused.is_some())
    }

    /// Whether all that keeps it from being carried out may pass by itself: programs that have a device open.
    #[must_use]
    pub fn awaits_a_close(&self) -> bool {
        let mut refusals = self.refused().filter_map(|step| step.refused.as_ref()).peekable();
        self.conflicts.is_empty() && refusals.peek().is_some() && refusals.all(Refusal::is_passing)
    }

    /// How many steps of each action there are.
    #[must_use]
    pub fn summary(&self) -> BTreeMap<Action, usize> {
        let mut summary = BTreeMap::new();
        for step in &self.steps {
            *summary.entry(step.action()).or_insert(0) += 1;
        }
        summary
    }
}

/// Plans with a kernel that can only be read: what `plan`, `status` and the start of `apply` do.
pub fn plan(kernel: &dyn ReadKernel, map: &Map, allow: &BTreeSet<Class>) -> Result<Plan, KernelError> {
    let observed = Observed::read(kernel, map)?;
    let changes = Changes::find(map, &observed);
    observed.read_users(kernel, changes.touched().chain(changes.noted.entered.iter().copied()))?;
    Ok(make(&changes, &observed, allow))
}

/// Plans from what was read and compared: pure.
#[must_use]
pub fn make(changes: &Changes<'_>, observed: &Observed, allow: &BTreeSet<Class>) -> Plan {
    let allow = changes.map.policy.allow.union(allow).copied().collect();
    let (unsorted, mut conflicts) = steps::of(changes, observed);
    let removes = unsorted.actions.any(&[Action::Remove]);
    let (mut steps, waits) = order::sort(unsorted, changes, observed, &mut conflicts);
    conflicts.extend(changes.conflicts.iter().cloned());
    conflicts.extend(claims::conflicts(changes, observed));
    conflicts.extend(handover::conflicts(changes, observed));
    conflicts.sort();
    conflicts.dedup();
    risk::judge(&mut steps, removes, changes, observed, &allow);
    let unjudged = changes.unjudged();
    Plan { steps, waits, conflicts, unjudged, ignored: changes.ignored(), allow }
}
