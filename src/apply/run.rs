//! Carries out the tasks of one apply: which thread does what, what a stack waits for, and what is reported.

mod step;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{MutexGuard, OnceLock};

use super::cause::Cause;
use super::error::{Failure, Part};
use super::gate::Gate;
use super::journal::{UndoEntry, UndoLog};
use super::notices::{Notices, SwapEnd};
use super::queue::{Queue, TaskId};
use super::rows::Made;
use super::swap::{self, Member, MemberId, Members};
use super::swapped::Swapped;
use super::tasks::{LoadTime, Task, Tasks};
use super::workers::{self, Executor};
use super::{Options, Progress, hold, rows, verify};
use crate::identity::DevNum;
use crate::kernel::{ChangeKernel, KernelError, MemoryLock};
use crate::keys;
use crate::plan::{Action, Held, Plan, Step, StepId};
use crate::stack::{IndexVec, Position as _};
use crate::sync::Mutex;
use crate::table::Row;

/// The state of one apply.
pub(crate) struct Run<'k, 'p> {
    kernel: &'k dyn ChangeKernel,
    options: Options<'k>,
    plan: &'p Plan,
    tasks: IndexVec<TaskId, Task<'p>>,
    /// The changes so far.
    journal: UndoLog,
    made: Mutex<Made>,
    notices: Notices,
    load_time: LoadTime,
    /// The devices that are suspended until their swaps.
    held: HashSet<Option<DevNum>>,
    /// Set once a task has failed: the other tasks stop waiting for devices to be closed.
    failed: AtomicBool,
    /// The number of threads beyond the first that all swaps together may use.
    helpers: AtomicUsize,
    /// Held from the first swap of a stack on.
    memory: OnceLock<Option<MemoryLock>>,
}

fn refused(step: &Step) -> impl Fn(KernelError) -> Failure {
    |error| Failure::new(step, error)
}

impl<'k, 'p> Run<'k, 'p> {
    /// Carries out `plan`, and verifies that each step had its effect. Returns the journal, on a failure together with
    /// that.
    pub(crate) fn carry_out(
        kernel: &'k dyn ChangeKernel,
        plan: &'p Plan,
        options: Options<'k>,
        progress: &mut dyn Progress,
    ) -> Result<UndoLog, (UndoLog, Failure)> {
        let Tasks { tasks, items } = Tasks::of(plan);
        let run = Self {
            kernel,
            options,
            plan,
            tasks,
            journal: UndoLog::default(),
            made: Mutex::default(),
            notices: Notices::default(),
            load_time: LoadTime::of(plan),
            held: plan.steps.iter().filter(|step| step.holds_writes()).map(|step| step.number).collect(),
            failed: AtomicBool::new(false),
            helpers: AtomicUsize::new(options.jobs.saturating_sub(1)),
            memory: OnceLock::new(),
        };
        let look = &mut || run.notices.tell(plan, progress);
        let failed = workers::carry_out(Queue::new(&items, options.jobs.max(1)), &run, look);
        let outcome = first(failed).map_or_else(|| run.end(), Err);
        match outcome {
            Ok(()) => Ok(run.journal),
            Err(failure) => Err((run.journal, failure)),
        }
    }

    /// Verifies the plan once all tasks have ended.
    fn end(&self) -> Result<(), Failure> {
        verify::all(self.kernel, self.plan, &self.made()).map_err(|(step, cause)| Failure::new(step, cause))
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock()
    }

    /// Completes a table of a step with the numbers and lengths known by now, and draws its random keys.
    fn complete(&self, step: &Step, table: &[Row]) -> Result<Vec<Row>, Failure> {
        let mut table = self.made().complete(table, step.mapping.as_ref());
        table
            .iter_mut()
            .try_for_each(|row| keys::draw(row.target.keys_mut()))
            .map_err(|error| Failure::new(step, Cause::Random(error)))?;
        Ok(table)
    }

    fn load(&self, Swapped { step, reload, .. }: &Swapped<'p>) -> Result<(), Failure> {
        let id = step.id();
        let complete = self.complete(step, &reload.table)?;
        self.look(step, &complete)?;
        let table = rows::to_load(&complete);
        self.kernel
            .load(&id, &table, reload.access)
            .map_err(|error| Failure::new(step, rows::blame(self.kernel, &table, error)))?;
        self.journal.push(UndoEntry::Loaded { id, name: step.name.clone() });
        Ok(())
    }

    /// Makes the loaded tables of a stack live.
    fn swap(&self, stack: &[Swapped<'p>]) -> Result<(), Failure> {
        if self.load_time.is_early() {
            stack.iter().try_for_each(|swapped| self.check_metadata(swapped))?;
        }
        let places = stack.iter().enumerate().map(|(at, swapped)| (swapped.place, MemberId::new(at)));
        let places: HashMap<StepId, MemberId> = places.collect();
        let members: Members =
            stack.iter().map(|swapped| self.member(swapped, &places)).collect::<Result<_, _>>()?;
        if !swap::is_alone(&members) {
            self.memory.get_or_init(|| self.kernel.lock_memory());
        }
        let helpers = self.borrow_helpers(members.len().saturating_sub(1));
        let outcome = self.swap_members(stack, &members, helpers + 1);
        self.helpers.fetch_add(helpers, Ordering::Relaxed);
        self.journal.push(UndoEntry::Swapped { members });
        outcome
    }

    /// Makes the loaded tables of a stack live, while the devices are suspended through which the origins of its new
    /// snapshots are written.
    fn swap_members(&self, stack: &[Swapped<'p>], members: &Members, jobs: usize) -> Result<(), Failure> {
        let swap = || {
            let outcome = swap::swap(self.kernel, members, jobs);
            outcome.map_err(|(member, cause)| Failure::new(stack[member.index()].step, cause))
        };
        let Some(first) = stack.iter().find(|swapped| !swapped.reload.held.is_empty()) else { return swap() };
        let is_member = |held: &&Held| stack.iter().any(|swapped| swapped.step.number == Some(held.number));
        let held: Vec<Held> = first.reload.held.iter().filter(|held| !is_member(held)).cloned().collect();
        self.memory.get_or_init(|| self.kernel.lock_memory());
        hold::around(self.kernel, &self.journal, &held, first.step, swap)
    }

    /// Makes the loaded tables of snapshots live, while the devices through which their origin is written are suspended.
    fn hold(&self, steps: &[StepId]) -> Result<(), Failure> {
        let Some(first) = steps.first().map(|step| &self.plan.steps[*step]) else { return Ok(()) };
        self.memory.get_or_init(|| self.kernel.lock_memory());
        let resume = || {
            steps
                .iter()
                .map(|step| &self.plan.steps[*step])
                .try_for_each(|step| self.kernel.resume(&step.id()).map_err(refused(step)))
        };
        hold::around(self.kernel, &self.journal, first.held(), first, resume)
    }

    /// Checks that a target that reads its metadata only while its device is suspended can read it. Otherwise no table
    /// could be loaded, and a target that begins with a write there, as era does, could not be resumed on the old one
    /// either.
    fn check_metadata(&self, Swapped { step, reload, .. }: &Swapped<'p>) -> Result<(), Failure> {
        let table = self.complete(step, &reload.table)?;
        let late = table.iter().filter(|row| row.target.traits().suspend_before_load);
        let mut metadata = late.flat_map(|row| row.target.metadata());
        let silent = metadata.find(|found| found.device.number.is_some_and(|n| !self.kernel.answers(n)));
        silent.map_or(Ok(()), |found| {
            Err(Failure::new(step, Cause::SilentMetadata(Box::new(found.device.clone()))))
        })
    }

    /// Counts the devices of a stack that an earlier step has suspended.
    fn held_before(&self, stack: &[Swapped<'p>]) -> usize {
        stack.iter().filter(|swapped| self.held.contains(&swapped.step.number)).count()
    }

    /// Takes as many helper threads as are left, at most `most`. The caller returns them.
    fn borrow_helpers(&self, most: usize) -> usize {
        let take = |left: usize| Some(left - left.min(most));
        let before = self.helpers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        before.map_or(0, |left| left.min(most))
    }

    /// Describes the swap of one device of a stack, whose steps are `places`.
    fn member(
        &self,
        Swapped { step, reload, place }: &Swapped<'p>,
        places: &HashMap<StepId, MemberId>,
    ) -> Result<Member, Failure> {
        let waits = self.plan.dependencies.below(*place).iter();
        Ok(Member {
            waits: waits.filter_map(|before| places.get(before)).copied().collect(),
            id: step.id(),
            name: step.name.clone(),
            number: step.number,
            old: reload.old.clone(),
            new: Some(rows::to_load(&self.complete(step, &reload.table)?)),
            access: reload.access,
            suspend: reload.suspend,
            suspended: reload.suspended,
            through: reload.through.clone(),
            load_late: self.load_time.is_late(&reload.table),
            gate: Gate::of(step, reload),
        })
    }

    /// Names the step that is reported when the whole task fails.
    fn told_of(&self, task: TaskId) -> Part {
        self.tasks[task].step().map_or(Part::Verify, |step| Part::of(&self.plan.steps[step]))
    }

    fn is_stopped(&self) -> bool {
        self.options.stop.load(Ordering::Relaxed)
    }

    fn ends_early(&self) -> bool {
        self.is_stopped() || self.failed.load(Ordering::Relaxed)
    }
}

impl Executor for Run<'_, '_> {
    type Error = Failure;

    /// Fails when the apply was told to stop: no device of this task is suspended yet.
    fn begin(&self, task: TaskId) -> Result<(), Failure> {
        if self.is_stopped() {
            return Err(Failure { step: self.told_of(task), cause: Cause::Stopped });
        }
        match &self.tasks[task] {
            Task::Load(_) | Task::Serve(_) => {}
            // A device that is created has begun already.
            Task::Stage(step) if self.plan.steps[*step].action() == Action::Create => {}
            Task::Make(step) | Task::Stage(step) | Task::Step(step) => self.notices.begun(*step),
            Task::Hold(_) => self.notices.hold_begun(),
            Task::Swap(stack) => self.notices.swap_begun(stack),
        }
        Ok(())
    }

    fn perform(&self, task: TaskId) -> Result<(), Failure> {
        let step = |place: &StepId| &self.plan.steps[*place];
        let outcome = match &self.tasks[task] {
            Task::Load(swapped) => self.load(swapped),
            Task::Make(place) => self.make(step(place)),
            Task::Stage(place) => self.stage(step(place)),
            Task::Hold(steps) => {
                let outcome = self.hold(steps);
                self.notices.hold_ended(if outcome.is_ok() { steps } else { &[] });
                outcome
            }
            Task::Serve(place) | Task::Step(place) => {
                let outcome = self.one(step(place));
                if outcome.is_ok() {
                    self.notices.done(*place);
                }
                outcome
            }
            Task::Swap(stack) => {
                let outcome = self.swap(stack);
                self.notices.resumed_by_swap(self.held_before(stack));
                let end = if outcome.is_ok() { SwapEnd::CarriedOut } else { SwapEnd::Failed };
                self.notices.swap_ended(stack, end);
                outcome
            }
        };
        self.failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
        // A wait for I/O in flight was cut short.
        let stopped = |failure: Failure| {
            if self.kernel.gave_up() { Failure { cause: Cause::Stopped, ..failure } } else { failure }
        };
        outcome.map_err(stopped)
    }

    fn panicked(&self, task: TaskId) -> Failure {
        Failure { step: self.told_of(task), cause: Cause::Panicked }
    }
}

/// Selects the failure to report: one that the kernel caused rather than a wait that was cut short for it, then the first
/// in the order of the plan.
fn first(failed: Vec<(TaskId, Failure)>) -> Option<Failure> {
    let rank = |failure: &Failure| match failure.cause {
        Cause::InUse { .. } => 1,
        Cause::Stopped => 2,
        _ => 0,
    };
    failed.into_iter().map(|(_, failure)| failure).min_by_key(rank)
}
