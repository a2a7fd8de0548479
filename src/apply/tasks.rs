//! The tasks of a plan: what is done at one go, and what it waits for.
//!
//! A step is one task, but for two. A device is made in one and given its table in another, for only the first
//! must be done one at a time. And a changed table is loaded in a task of its own, as early as can be: most of
//! what the kernel may refuse it refuses there, when there is next to nothing to undo. The reloads of a stack
//! are then made live together, in one task.

use std::collections::HashSet;

use super::overlap::Lane;
use super::queue::Item;
use super::stacks::stacks;
use crate::identity::{DevNum, Key};
use crate::plan::{Action, Detail, Plan, Step};
use crate::table::Row;

/// What is done at one go; steps are told by their places in the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Loads a changed table into the inactive slot.
    Load(usize),
    /// Makes a device.
    Make(usize),
    /// Gives a device that was made its table.
    Serve(usize),
    /// Makes the changed tables of a stack live, lower devices first.
    Swap(Vec<usize>),
    /// Carries a step out as a whole.
    Step(usize),
}

impl Task {
    /// The step that is told of when the task fails as a whole.
    pub fn step(&self) -> usize {
        match self {
            Self::Load(step) | Self::Make(step) | Self::Serve(step) | Self::Step(step) => *step,
            Self::Swap(steps) => steps.first().copied().unwrap_or_default(),
        }
    }
}

/// When something is done: what disturbs nobody comes first, what destroys comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// The kernel checks changed tables.
    Check,
    /// New devices are made, and leftovers cleared.
    Stage,
    /// Changed tables become live.
    Swap,
    /// Names, messages.
    Settle,
    /// Devices are held back and removed.
    End,
}

/// The tasks of a plan in their order, and what each waits for.
#[derive(Debug, Default)]
pub struct Tasks {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// For each task, when it may begin.
    pub items: Vec<Item>,
}

impl Tasks {
    /// The tasks of `plan`.
    pub fn of(plan: &Plan) -> Self {
        Sorting::new(plan).all()
    }

    fn push(&mut self, task: Task, phase: Phase, lane: Lane, before: Vec<usize>) -> usize {
        let waited_for = before.iter().map(|before| self.items[*before].phase);
        let phase = waited_for.fold(phase as usize, usize::max);
        self.tasks.push(task);
        self.items.push(Item { phase, lane, before });
        self.tasks.len() - 1
    }
}

/// A plan that is taken apart.
struct Sorting<'p> {
    plan: &'p Plan,
    tasks: Tasks,
    /// For each step, the task that loads its table.
    loads: Vec<Option<usize>>,
    /// For each step, the task with which it ends, as soon as that is there.
    ends: Vec<Option<usize>>,
    unsettled: bool,
}

impl<'p> Sorting<'p> {
    fn new(plan: &'p Plan) -> Self {
        let count = plan.steps.len();
        Self {
            plan,
            tasks: Tasks::default(),
            loads: vec![None; count],
            ends: vec![None; count],
            unsettled: is_unsettled(plan),
        }
    }

    fn all(mut self) -> Tasks {
        self.loads_at_once();
        let mut reloads = Vec::new();
        for (place, step) in self.plan.steps.iter().enumerate() {
            if step.action == Action::Reload && unfinished(step).is_none() {
                reloads.push(place);
            } else {
                self.swaps(&reloads);
                reloads.clear();
                self.step(place, step);
            }
        }
        self.swaps(&reloads);
        self.tasks
    }

    /// Loads of tables whose devices are all there already.
    fn loads_at_once(&mut self) {
        let steps = &self.plan.steps;
        let prepared: HashSet<&Key> = steps.iter().filter_map(prepared_mapping).collect();
        // A device that never had a table can't be opened yet.
        let shells: HashSet<DevNum> = steps.iter().filter_map(unfinished).collect();
        let there = |number: Option<DevNum>| number.is_some_and(|number| !shells.contains(&number));
        let known = |row: &Row| row.target.lower_devices(row.length).iter().all(|l| there(l.device.number));
        for (place, step) in steps.iter().enumerate() {
            let Detail::Reload { table, old, .. } = &step.detail else { continue };
            let waits = old.is_empty()
                || loads_late(table, self.unsettled)
                || step.mapping.as_ref().is_some_and(|key| prepared.contains(key));
            if !waits && table.iter().all(known) {
                self.loads[place] =
                    Some(self.tasks.push(Task::Load(place), Phase::Check, Lane::Load, Vec::new()));
            }
        }
    }

    /// Neighbouring reloads: those that are not loaded yet are, and then they are swapped, a stack at a time.
    fn swaps(&mut self, reloads: &[usize]) {
        for place in reloads {
            let Detail::Reload { table, .. } = &self.plan.steps[*place].detail else { continue };
            if self.loads[*place].is_none() && !loads_late(table, self.unsettled) {
                let before = self.before(*place);
                self.loads[*place] =
                    Some(self.tasks.push(Task::Load(*place), Phase::Stage, Lane::Load, before));
            }
        }
        let ends: Vec<(Vec<usize>, usize)> = stacks(self.plan, reloads)
            .into_iter()
            .map(|stack| {
                let mut before: Vec<usize> = stack.iter().filter_map(|place| self.loads[*place]).collect();
                before.extend(stack.iter().flat_map(|place| self.before(*place)));
                before.sort_unstable();
                before.dedup();
                (stack.clone(), self.tasks.push(Task::Swap(stack), Phase::Swap, Lane::Wait, before))
            })
            .collect();
        for (stack, task) in ends {
            for place in stack {
                self.ends[place] = Some(task);
            }
        }
    }

    fn step(&mut self, place: usize, step: &Step) {
        let before = self.before(place);
        let (phase, lane) = match step.action {
            Action::Create => {
                let made = self.tasks.push(Task::Make(place), Phase::Stage, Lane::Make, before);
                let serve = self.tasks.push(Task::Serve(place), Phase::Stage, Lane::Load, vec![made]);
                self.ends[place] = Some(serve);
                return;
            }
            Action::Reload => (Phase::Stage, Lane::Load),
            Action::Clear | Action::Resume => (Phase::Stage, Lane::Wait),
            Action::Message => (Phase::Settle, Lane::Message),
            Action::SetUuid | Action::Rename => (Phase::Settle, Lane::Wait),
            Action::Suspend | Action::Remove => (Phase::End, Lane::Wait),
        };
        self.ends[place] = Some(self.tasks.push(Task::Step(place), phase, lane, before));
    }

    /// The tasks that a step waits for, as far as they are there: those of the same stack are not.
    fn before(&self, place: usize) -> Vec<usize> {
        self.plan.waits[place].iter().filter_map(|before| self.ends[*before]).collect()
    }
}

/// Whether a device of the plan is suspended from the start. Then every table is loaded only once all below
/// it serve I/O again: a target may read its devices when it is loaded, and would wait for ever.
pub fn is_unsettled(plan: &Plan) -> bool {
    let begins_suspended =
        |step: &Step| matches!(step.detail, Detail::Reload { suspended: true, .. } | Detail::Resume { .. });
    plan.steps.iter().any(begins_suspended)
}

/// Whether a table is loaded only while its device is suspended.
pub fn loads_late(table: &[Row], unsettled: bool) -> bool {
    unsettled || table.iter().any(|row| row.target.traits().suspend_before_load)
}

/// The device that a step gives its first table.
fn unfinished(step: &Step) -> Option<DevNum> {
    let Detail::Reload { old, .. } = &step.detail else { return None };
    step.number.filter(|_| old.is_empty())
}

/// The mapping that a step makes a lower device ready for.
fn prepared_mapping(step: &Step) -> Option<&Key> {
    let prepares = matches!(step.detail, Detail::Message { prepares: Some(_), .. });
    step.mapping.as_ref().filter(|_| prepares)
}
