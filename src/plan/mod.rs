//! The plan: the steps that make a kernel equal to a map, in the order in which they are carried out.
//!
//! Planning is pure. It is given a map and what was read of a kernel ([`crate::observed`]) and asks
//! neither of them anything more; the same input gives the same plan, ties broken by name.
//!
//! [`repair`] finds what a crash left, where there is no map.
//!
//! `matching` finds the device of each mapping, `compare` compares the two from the bottom of the stacks
//! up, `steps` says what must happen, `order` in which order, and `risk` what is at stake.

mod action;
mod change;
mod change_index;
mod changes;
mod claims;
mod compare;
mod conflict;
mod deactivation;
mod dependencies;
pub mod document;
mod handover;
mod mappings;
mod matching;
mod order;
mod overlap;
mod placement;
mod position;
mod preparation;
mod reason;
mod refusal;
mod remark;
pub mod repair;
mod resolve;
mod risk;
mod step;
mod step_ranges;
mod steps;
mod usage;

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Map;
use crate::kernel::{KernelError, ReadKernel};
use crate::observed::Observed;
use crate::policy::Class;
use crate::stack::{IndexVec, Positions, Stacks};

pub use action::Action;
pub use change::{Change, Drift};
pub use changes::Changes;
pub use compare::compare;
pub use conflict::{Claimant, Conflict, NameHolder, Obstacle};
pub use deactivation::{Deactivation, deactivate};
pub use position::{ChangeId, StepId};
pub use reason::{Cause, Consequence, Reason, Stake, Volume};
pub use refusal::Refusal;
pub use remark::{Ignored, Unjudged};
pub use step::{CANCEL_REMOVAL, Create, LiveTable, Message, Operation, Preparation, Reload, Removal, Step};
pub use usage::InUse;

/// A plan.
#[derive(Clone, Default)]
pub struct Plan {
    /// The steps, in an order in which they can be carried out one by one.
    pub steps: IndexVec<StepId, Step>,
    /// Below each step those before it that it waits for. Steps of which none waits for the other can be carried out side
    /// by side.
    pub dependencies: Stacks<StepId>,
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
    /// A plan of one step.
    #[must_use]
    pub fn of_step(step: Step) -> Self {
        let dependencies = Stacks::from_iter([Positions::new()]);
        Self { steps: vec![step].into(), dependencies, ..Self::default() }
    }

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
    let changes = compare(map, &observed);
    observed.read_users(kernel, changes.touched().chain(changes.index.entered.iter().copied()))?;
    Ok(make(&changes, &observed, allow))
}

/// Plans from what was read and compared: pure.
#[must_use]
pub fn make(changes: &Changes<'_>, observed: &Observed, allow: &BTreeSet<Class>) -> Plan {
    let allow = changes.map.policy.allow.union(allow).copied().collect();
    let (unsorted, mut conflicts) = steps::of(changes, observed);
    let (mut steps, dependencies) = order::sort(unsorted, changes, observed, &mut conflicts);
    conflicts.extend(changes.conflicts.iter().cloned());
    conflicts.extend(claims::conflicts(changes, observed));
    conflicts.extend(handover::conflicts(changes, observed));
    Conflict::sort(&mut conflicts);
    risk::judge(&mut steps, changes, observed, &allow);
    let unjudged = changes.unjudged();
    Plan { steps, dependencies, conflicts, unjudged, ignored: changes.ignored(), allow }
}
