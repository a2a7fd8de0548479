//! Turns the steps of a plan into tasks.
//!
//! A step is one task, with two exceptions. A device is created in one task and given its table in another, because only
//! creations must be done one at a time. And a changed table is loaded in a task of its own, as early as possible: the
//! kernel refuses most faults there, when there is next to nothing to undo. The reloads of a stack are then made live
//! together, in one task.

use std::collections::HashSet;

use super::overlap::Lane;
use super::queue::{Item, PhaseId, TaskId};
use super::stacks::stacks;
use super::swapped::Swapped;
use crate::identity::{DevNum, Key};
use crate::plan::{Operation, Plan, Step, StepId};
use crate::stack::{IndexVec, Position as _};
use crate::table::{self, Row};

/// A unit of work. Steps are given by their places in the plan.
pub(crate) enum Task<'p> {
    /// Loads a changed table into the inactive slot.
    Load(Swapped<'p>),
    Make(StepId),
    /// Gives a created device its table.
    Serve(StepId),
    /// Loads the first table of a device, which is made live later, together with others.
    Stage(StepId),
    /// Makes the tables of snapshots live, while the devices through which their origin is written are suspended.
    Hold(Vec<StepId>),
    /// Makes the changed tables of a stack live, lower devices first.
    Swap(Vec<Swapped<'p>>),
    /// Carries out a whole step.
    Step(StepId),
}

impl Task<'_> {
    /// Returns the place of the step that is named when the whole task fails.
    pub(crate) fn step(&self) -> Option<StepId> {
        match self {
            Self::Load(swapped) => Some(swapped.place),
            Self::Make(step) | Self::Serve(step) | Self::Stage(step) | Self::Step(step) => Some(*step),
            Self::Hold(steps) => steps.first().copied(),
            Self::Swap(stack) => stack.first().map(|swapped| swapped.place),
        }
    }
}

/// The phase of a task: harmless changes come first, destructive ones last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// The kernel checks changed tables.
    Check,
    /// New devices are created, and inactive slots cleared.
    Stage,
    /// Changed tables become live.
    Swap,
    /// Devices are renamed, and messages sent.
    Settle,
    /// Devices are suspended and removed.
    End,
}

/// The tasks of a plan in their order, and when each may begin.
#[derive(Default)]
pub(crate) struct Tasks<'p> {
    pub tasks: IndexVec<TaskId, Task<'p>>,
    /// For each task, when it may begin.
    pub items: IndexVec<TaskId, Item>,
}

impl<'p> Tasks<'p> {
    /// Creates the tasks of `plan`.
    pub(crate) fn of(plan: &'p Plan) -> Self {
        Sorting::new(plan).all()
    }

    fn push(&mut self, task: Task<'p>, phase: Phase, lane: Lane, before: Vec<TaskId>) -> TaskId {
        let waited_for = before.iter().map(|before| self.items[*before].phase);
        let phase = waited_for.fold(PhaseId::new(phase as usize), PhaseId::max);
        self.items.push(Item { phase, lane, before });
        self.tasks.push(task)
    }
}

/// The state of turning a plan into tasks.
struct Sorting<'p> {
    plan: &'p Plan,
    tasks: Tasks<'p>,
    /// For each step, the task that loads its table.
    loads: IndexVec<StepId, Option<TaskId>>,
    /// For each step, its last task, once that exists.
    ends: IndexVec<StepId, Option<TaskId>>,
    load_time: LoadTime,
    /// Snapshots whose tables are loaded, and not live yet: those of one list are made live together.
    snapshots: Vec<Snapshots>,
}

/// Snapshots that are made while the same devices are suspended.
struct Snapshots {
    held: Vec<DevNum>,
    steps: Vec<StepId>,
    /// For each of them, the task that loads its table.
    loads: Vec<TaskId>,
}

impl<'p> Sorting<'p> {
    fn new(plan: &'p Plan) -> Self {
        let count = plan.steps.len();
        Self {
            plan,
            tasks: Tasks::default(),
            loads: IndexVec::filled(None, count),
            ends: IndexVec::filled(None, count),
            load_time: LoadTime::of(plan),
            snapshots: Vec::new(),
        }
    }

    fn all(mut self) -> Tasks<'p> {
        self.loads_at_once();
        let plan = self.plan;
        let mut reloads = Vec::new();
        for (place, step) in plan.steps.entries() {
            self.holds(|snapshot| plan.dependencies.below(place).contains(&snapshot));
            if let Some(swapped) = Swapped::of(place, step) {
                // Its table is loaded only once the swaps before have ended.
                if self.plan.held_loads.contains(&place) {
                    self.swaps(&reloads);
                    reloads.clear();
                }
                reloads.push(swapped);
            } else {
                self.swaps(&reloads);
                reloads.clear();
                self.step(place, step);
            }
        }
        self.swaps(&reloads);
        self.holds(|_| true);
        self.tasks
    }

    /// Adds the tasks that make snapshots live, of those lists of which `is_due` tells of a snapshot.
    fn holds(&mut self, is_due: impl Fn(StepId) -> bool) {
        for snapshots in std::mem::take(&mut self.snapshots) {
            if !snapshots.steps.iter().any(|step| is_due(*step)) {
                self.snapshots.push(snapshots);
                continue;
            }
            let Snapshots { steps, loads, .. } = snapshots;
            let hold = self.tasks.push(Task::Hold(steps.clone()), Phase::Stage, Lane::Wait, loads);
            for step in steps {
                self.ends[step] = Some(hold);
            }
        }
    }

    /// Adds the load of a snapshot, which is made live later.
    fn stage(&mut self, place: StepId, step: &Step, before: Vec<TaskId>) {
        let load = self.tasks.push(Task::Stage(place), Phase::Stage, Lane::Load, before);
        let held: Vec<DevNum> = step.held().iter().map(|held| held.number).collect();
        match self.snapshots.iter_mut().find(|snapshots| snapshots.held == held) {
            Some(snapshots) => {
                snapshots.steps.push(place);
                snapshots.loads.push(load);
            }
            None => self.snapshots.push(Snapshots { held, steps: vec![place], loads: vec![load] }),
        }
    }

    /// Adds loads of the tables whose lower devices all exist already.
    fn loads_at_once(&mut self) {
        let steps = &self.plan.steps;
        let prepared: HashSet<&Key> = steps.iter().filter_map(prepared_mapping).collect();
        // A device that is suspended for a snapshot is resumed again, which would make its new table live.
        let held: HashSet<DevNum> = steps.iter().flat_map(Step::held).map(|held| held.number).collect();
        // A device that never had a table can't be opened yet.
        let shells: HashSet<DevNum> = steps.iter().filter_map(unfinished).collect();
        let there = |number: Option<DevNum>| number.is_some_and(|number| !shells.contains(&number));
        let known = |row: &Row| row.lower_devices().iter().all(|l| there(l.device.number));
        for (place, step) in steps.entries() {
            let Some(swapped) = Swapped::of(place, step) else { continue };
            let table = &swapped.reload.table;
            let waits = self.load_time.is_late(table)
                || step.number.is_some_and(|number| held.contains(&number))
                || self.plan.held_loads.contains(&place)
                || step.mapping.as_ref().is_some_and(|key| prepared.contains(key));
            if !waits && table.iter().all(known) {
                self.loads[place] =
                    Some(self.tasks.push(Task::Load(swapped), Phase::Check, Lane::Load, Vec::new()));
            }
        }
    }

    /// Adds the tasks of neighbouring reloads: loads of the tables that are not loaded yet, and then a swap per stack.
    fn swaps(&mut self, reloads: &[Swapped<'p>]) {
        for swapped in reloads {
            let place = swapped.place;
            if self.loads[place].is_none() && !self.load_time.is_late(&swapped.reload.table) {
                let before = self.before(place);
                self.loads[place] =
                    Some(self.tasks.push(Task::Load(*swapped), Phase::Stage, Lane::Load, before));
            }
        }
        let mut ends: Vec<(StepId, TaskId)> = Vec::with_capacity(reloads.len());
        for stack in stacks(self.plan, reloads) {
            let places: Vec<StepId> = stack.iter().map(|swapped| swapped.place).collect();
            let mut before: Vec<TaskId> = places.iter().filter_map(|place| self.loads[*place]).collect();
            before.extend(places.iter().flat_map(|place| self.before(*place)));
            before.sort_unstable();
            before.dedup();
            let swap = self.tasks.push(Task::Swap(stack), Phase::Swap, Lane::Wait, before);
            ends.extend(places.into_iter().map(|place| (place, swap)));
        }
        for (place, swap) in ends {
            self.ends[place] = Some(swap);
        }
    }

    fn step(&mut self, place: StepId, step: &Step) {
        let before = self.before(place);
        let (phase, lane) = match &step.operation {
            Operation::Create(_) => {
                let made = self.tasks.push(Task::Make(place), Phase::Stage, Lane::Make, before);
                if !step.held().is_empty() {
                    return self.stage(place, step, vec![made]);
                }
                let serve = self.tasks.push(Task::Serve(place), Phase::Stage, Lane::Load, vec![made]);
                self.ends[place] = Some(serve);
                return;
            }
            Operation::Reload(_) if !step.held().is_empty() => return self.stage(place, step, before),
            Operation::Reload(_) => (Phase::Stage, Lane::Load),
            Operation::Clear | Operation::Resume { .. } => (Phase::Stage, Lane::Wait),
            Operation::Message(_) => (Phase::Settle, Lane::Message),
            Operation::SetUuid | Operation::Rename { .. } => (Phase::Settle, Lane::Wait),
            Operation::Suspend { .. } if step.holds_writes() => (Phase::Swap, Lane::Wait),
            Operation::Suspend { .. } | Operation::Remove(_) => (Phase::End, Lane::Wait),
        };
        self.ends[place] = Some(self.tasks.push(Task::Step(place), phase, lane, before));
    }

    /// Returns the tasks that a step waits for, as far as they exist: those of the same stack do not yet.
    fn before(&self, place: StepId) -> Vec<TaskId> {
        self.plan.dependencies.below(place).iter().filter_map(|before| self.ends[*before]).collect()
    }
}

/// When the tables of a plan are loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoadTime {
    /// Whether each table is loaded only once all devices below it serve I/O again: one of the devices is suspended from
    /// the start, and a target may read its devices when it is loaded, and would wait for ever.
    all_late: bool,
    /// The devices that get another size.
    resized: HashSet<DevNum>,
}

impl LoadTime {
    /// Returns when the tables of `plan` are loaded.
    pub(crate) fn of(plan: &Plan) -> Self {
        let all_late = plan.steps.iter().any(|step| match &step.operation {
            Operation::Reload(reload) => reload.suspended,
            Operation::Resume { .. } => true,
            _ => false,
        });
        let resized = |step: &Step| match &step.operation {
            Operation::Reload(reload) => {
                let size = reload.table.last().map_or(0, Row::end);
                step.number.filter(|_| size != table::sectors(&reload.old.rows))
            }
            _ => None,
        };
        Self { all_late, resized: plan.steps.iter().filter_map(resized).collect() }
    }

    /// Whether tables are loaded before the swap, unless a target wants it otherwise.
    pub(crate) fn is_early(&self) -> bool {
        !self.all_late
    }

    /// Whether a table is loaded only while its device is suspended, and the devices below it serve I/O again: because of
    /// its target, or because the target takes the size of a device that gets another one.
    pub(crate) fn is_late(&self, table: &[Row]) -> bool {
        let takes_size = |row: &Row| {
            let lowers = row.lower_devices();
            let changes =
                |number: Option<DevNum>| number.is_some_and(|number| self.resized.contains(&number));
            lowers.iter().any(|lower| lower.size.is_at_load() && changes(lower.device.number))
        };
        self.all_late
            || table.iter().any(|row| {
                row.target.traits().suspend_before_load || (!self.resized.is_empty() && takes_size(row))
            })
    }
}

/// Returns the device that a step gives its first table.
fn unfinished(step: &Step) -> Option<DevNum> {
    match &step.operation {
        Operation::Reload(reload) if reload.is_first_table() => step.number,
        _ => None,
    }
}

/// Returns the mapping for which a step prepares a lower device.
fn prepared_mapping(step: &Step) -> Option<&Key> {
    match &step.operation {
        Operation::Message(message) if message.prepares.is_some() => step.mapping.as_ref(),
        _ => None,
    }
}
