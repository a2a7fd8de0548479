//! Plans the steps that make a kernel equal to a map, in the order in which they are carried out.
//!
//! Planning is pure. Its input is a map and the state that was read of a kernel (`crate::observed`); it reads neither
//! again. The same input gives the same plan, ties broken by name.
//!
//! `repair` plans without a map: it repairs the devices that a crash left in disorder.
//!
//! `matching` finds the device of each mapping, `compare` compares the two from the bottom of the stacks up, `steps`
//! creates the steps, `order` sorts them, and `risk` gives each its risk class.

mod action;
mod between;
mod block_size;
mod blocks_grow;
mod change;
mod change_index;
mod changes;
mod circles;
mod claims;
mod compare;
mod conflict;
mod copied_below;
mod copied_order;
mod deactivation;
mod dependencies;
pub mod document;
mod exchange;
mod ground;
mod handover;
mod held;
mod kept_volume;
mod keyrings;
pub(crate) mod leaving;
mod lower_devices;
mod mappings;
mod matching;
mod namesake;
mod needed_below;
mod needed_queue;
mod neighbour;
mod on_disk;
mod order;
mod orders;
mod origin;
mod origins;
mod other_stack;
mod outside;
mod overlap;
mod partitions;
mod placement;
mod position;
mod preparation;
mod priority;
mod reason;
mod refusal;
mod remark;
pub mod repair;
mod repairs;
mod resolve;
mod risk;
mod sharing;
mod staying;
mod step;
mod step_ranges;
mod steps;
mod stuck;
mod suspended_below;
mod takeovers;
mod transfer;
mod types;
mod unfinished;
mod unseen;
mod unseen_fact;
mod unwell;
mod usage;
mod volumes;
mod wrong_below;
mod wrong_queue;

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Map;
use crate::identity::{Key, Name};
use crate::kernel::{KernelError, ReadKernel};
use crate::observed::Observed;
use crate::policy::Class;
use crate::stack::{IndexVec, Positions, Stacks};

pub use action::Action;
pub use blocks_grow::BlocksGrow;
pub use change::{Change, Drift};
pub use changes::Changes;
pub use compare::compare;
pub use conflict::{Claimant, Conflict, Link, NameHolder, Obstacle};
pub use deactivation::{Deactivation, deactivate};
pub use held::Held;
pub use kept_volume::{KeptVolume, UntoldVolume};
pub use namesake::Namesake;
pub use neighbour::{
    DiskUser, Living, Origin, Other, Part, ReadElsewhere, SameDisk, SharedPlace, WrittenElsewhere,
};
pub use other_stack::{OtherStack, Pruning};
pub use position::{ChangeId, StepId};
pub(crate) use reason::suspended_meanwhile;
pub use reason::{Cause, Consequence, Reason, Stake, Volume};
pub use refusal::Refusal;
pub use remark::{Fact, Ignored, Unjudged, Warning};
pub(crate) use step::Through;
pub use step::{CANCEL_REMOVAL, Create, LiveTable, Message, Operation, Preparation, Reload, Remove, Step};
pub use suspended_below::{Call, SuspendedBelow};
use transfer::Transfer;
pub use unwell::Unwell;
pub use usage::{InUse, UseAbove};
pub use wrong_below::{FoundBelow, WrongBelow};
pub use wrong_queue::WrongQueue;

/// The steps that lead from an observed kernel to a map, with their order, and what keeps them from being carried out.
#[derive(Clone, Default)]
pub struct Plan {
    /// The steps, in an order in which they can be carried out one by one.
    pub steps: IndexVec<StepId, Step>,
    /// Below each step the earlier ones that it waits for. Steps that do not wait for each other can be carried out at the
    /// same time.
    pub dependencies: Stacks<StepId>,
    /// The steps whose tables can't be loaded before the steps that they wait for.
    pub held_loads: BTreeSet<StepId>,
    /// The conflicts of the map; with any, the plan can't be carried out.
    pub conflicts: Vec<Conflict>,
    /// The devices that can't be judged, and are left alone.
    pub unjudged: Vec<Unjudged>,
    /// The values that the kernel would accept and ignore.
    pub ignored: Vec<Ignored>,
    /// The facts that no step changes, and that the reader should know.
    pub warnings: Vec<Warning>,
    /// The devices that have the name of an absent mapping, and stay.
    pub namesakes: Vec<Namesake>,
    /// The devices that are not well; read only where there is nothing to do, by [`plan_to_show`].
    pub unwell: Vec<Unwell>,
    /// The classes that are allowed beyond those that always are.
    pub allow: BTreeSet<Class>,
}

impl Plan {
    /// Creates a plan of one step.
    pub fn of_step(step: Step) -> Self {
        let dependencies = Stacks::from_iter([Positions::new()]);
        Self { steps: vec![step].into(), dependencies, ..Self::default() }
    }

    /// Returns the plan without the steps and conflicts of all devices but those of `keep`. What a step that stays waited
    /// for is gone with the step.
    pub(crate) fn only(&self, keep: impl Fn(Option<&Key>, &Name) -> bool) -> Self {
        let kept = |step: &Step| keep(step.mapping.as_ref(), &step.name);
        let mut places: IndexVec<StepId, Option<StepId>> = IndexVec::filled(None, self.steps.len());
        let mut only = Self { allow: self.allow.clone(), ..Self::default() };
        for (id, step) in self.steps.entries().filter(|(_, step)| kept(step)) {
            places[id] = Some(only.steps.push(step.clone()));
            only.dependencies
                .push(self.dependencies.below(id).iter().filter_map(|lower| places[*lower]).collect());
        }
        only.held_loads = self.held_loads.iter().filter_map(|step| places[*step]).collect();
        let conflicts =
            self.conflicts.iter().filter(|conflict| keep(Some(&conflict.mapping), &conflict.name));
        only.conflicts = conflicts.cloned().collect();
        only
    }

    /// Whether the plan has neither steps nor conflicts.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.conflicts.is_empty()
    }

    /// Returns the steps that may not be carried out.
    pub fn refused(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.refused.is_some())
    }

    /// Whether the plan can't be carried out only because programs have devices open, which may pass by itself.
    pub fn awaits_a_close(&self) -> bool {
        let mut refusals = self.refused().filter_map(|step| step.refused.as_ref()).peekable();
        self.conflicts.is_empty() && refusals.peek().is_some() && refusals.all(Refusal::is_passing)
    }

    /// Lists the volumes that the map would make and that their pools have already, with the mappings that have them.
    pub fn kept_volumes(&self) -> impl Iterator<Item = (&Key, &KeptVolume)> {
        let of_step = self.steps.iter().filter_map(|step| Some((step.mapping.as_ref()?, &step.reason.kept)));
        of_step.flat_map(|(key, kept)| kept.iter().map(move |volume| (key, volume)))
    }

    /// Counts the steps of each action.
    pub fn summary(&self) -> BTreeMap<Action, usize> {
        let mut summary = BTreeMap::new();
        for step in &self.steps {
            *summary.entry(step.action()).or_insert(0) += 1;
        }
        summary
    }
}

/// Reads the kernel and plans.
pub fn plan(kernel: &dyn ReadKernel, map: &Map, allow: &BTreeSet<Class>) -> Result<Plan, KernelError> {
    read_and_make(kernel, map, allow, |_| Ok(Vec::new()))
}

/// Plans as [`plan`] does, for a person: where there is nothing to do it also reads which devices are not well.
pub fn plan_to_show(
    kernel: &dyn ReadKernel,
    map: &Map,
    allow: &BTreeSet<Class>,
) -> Result<Plan, KernelError> {
    read_and_make(kernel, map, allow, |changes| unwell::read(kernel, changes))
}

fn read_and_make(
    kernel: &dyn ReadKernel,
    map: &Map,
    allow: &BTreeSet<Class>,
    unwell: impl FnOnce(&Changes<'_>) -> Result<Vec<Unwell>, KernelError>,
) -> Result<Plan, KernelError> {
    let observed = Observed::read(kernel, map)?;
    let changes = compare(map, &observed);
    observed.read_circles(kernel, changes.touched())?;
    let index = &changes.index;
    let origins = || index.origins.iter().copied();
    let touched = changes.touched().chain(index.entered.iter().copied()).chain(origins());
    if index.grounds.is_empty() {
        observed.read_users(kernel, touched)?;
    } else {
        let takes = |id: ChangeId| changes.all[id].takes_sectors();
        let is_listed = |number| changes.id_of_number(number, &observed).is_some_and(takes);
        observed.read_neighbours(kernel, &index.grounds, touched, &is_listed)?;
    }
    observed.read_types(kernel, types::wanted(&changes))?;
    if needed_below::needs_tags(&changes) {
        observed.read_tags(kernel)?;
    }
    observed.read_queues(kernel, needed_queue::asked(&changes, &observed));
    observed.read_pools(kernel, map, preparation::pools(&changes))?;
    observed.read_around(kernel, origins())?;
    observed.read_blocks(kernel, block_size::candidates(&changes))?;
    observed.read_suspended(kernel, stuck::roots(&changes, &observed))?;
    let mut plan = make(&changes, &observed, allow);
    if plan.is_empty() {
        plan.unwell = unwell(&changes)?;
    }
    Ok(plan)
}

/// Returns the conflicts that the comparison found, with what the kernel shows of circles.
pub(crate) fn told_conflicts(changes: &Changes<'_>, observed: &Observed) -> Vec<Conflict> {
    let mut conflicts = changes.conflicts.clone();
    circles::tell(&mut conflicts, changes, observed);
    conflicts
}

/// Plans from a comparison. Pure.
pub fn make(changes: &Changes<'_>, observed: &Observed, allow: &BTreeSet<Class>) -> Plan {
    let allow = changes.map.policy.allow.union(allow).copied().collect();
    let (unsorted, mut conflicts) = steps::of(changes, observed);
    let actions = unsorted.actions;
    let mut sharing = sharing::of(changes, observed);
    partitions::compare(changes, observed, &mut sharing.conflicts, &mut sharing.transfers);
    Transfer::sort(&mut sharing.transfers);
    let order::Sorted { mut steps, dependencies, held_loads } =
        order::sort(unsorted, changes, observed, &sharing.transfers, &mut conflicts);
    conflicts.extend(changes.conflicts.iter().cloned());
    conflicts.append(&mut sharing.conflicts);
    conflicts.extend(claims::conflicts(changes, observed));
    conflicts.extend(handover::conflicts(changes, observed));
    conflicts.extend(block_size::conflicts(changes, observed));
    circles::tell(&mut conflicts, changes, observed);
    conflicts.extend(origins::conflicts(changes, observed));
    conflicts.extend(keyrings::conflicts(changes, observed));
    conflicts.extend(needed_below::conflicts(changes, observed));
    conflicts.extend(needed_queue::conflicts(changes, observed));
    conflicts.extend(stuck::conflicts(changes, observed));
    conflicts.extend(volumes::conflicts(changes, observed));
    conflicts.extend(preparation::conflicts(changes, observed));
    conflicts.extend(repairs::conflicts(changes, observed));
    conflicts.extend(unseen::conflicts(changes, observed));
    let (mut unlisted, mut untyped) = types::judge(changes, observed);
    conflicts.append(&mut untyped);
    Conflict::sort(&mut conflicts);
    risk::judge(&mut steps, actions, changes, observed, &allow);
    let unjudged = changes.unjudged();
    let (ignored, mut warnings) = (changes.ignored(), changes.warnings());
    warnings.append(&mut sharing.warnings);
    warnings.extend(changes.shared.iter().cloned());
    warnings.append(&mut unlisted);
    warnings.extend(steps.iter().filter_map(Warning::of_access));
    Warning::sort(&mut warnings);
    let namesakes = Namesake::all(changes, observed);
    let unwell = Vec::new();
    Plan { steps, dependencies, held_loads, conflicts, unjudged, ignored, warnings, namesakes, unwell, allow }
}
