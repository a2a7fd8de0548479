//! Carries a plan out, or leaves everything as it was.
//!
//! First everything that disturbs nobody is *staged*: new devices are made from the bottom up and changed
//! tables are loaded into inactive slots, where the kernel checks them. Then the tables are *swapped*, a
//! stack at a time. Then names, messages and removals *settle*, and at last everything is read again and
//! *verified*. Each change is noted in a journal; when something fails the journal is undone backwards.

mod journal;
mod swap;
mod verify;

use std::collections::{BTreeMap, HashSet};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use thiserror::Error;

use crate::identity::{DevNum, Key};
use crate::kernel::{ChangeKernel, Id, KernelError};
use crate::plan::{Action, Conflict, Detail, Plan, Refusal, Step};
use crate::sector_map::TypedRow;
use crate::table::{Table, Target};
use crate::targets::Style;

use journal::{Done, Journal};
use swap::Member;

/// How long a device that is held for a moment (by udev, by a scan) is waited for, and how often it is tried.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// How a plan is carried out.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How long a removal waits for a device that is open.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { patience: Duration::from_secs(5) }
    }
}

/// Why a plan was not carried out.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// Something stands in the way of the map. Nothing was changed.
    #[error("{}", list("conflicts stand in the way, so nothing was changed", .0.iter().map(|c| format!("{}: {}", c.name, c.reason))))]
    Conflicts(Vec<Conflict>),
    /// A step may not be carried out. Nothing was changed.
    #[error("{}", list("refused, so nothing was changed", .0.iter().cloned()))]
    Refused(Vec<String>),
    /// A device that should be removed is in use. Nothing is changed any more.
    #[error("{name} can't be removed: in use: {by}; everything else was put back")]
    InUse {
        /// The device.
        name: String,
        /// Who uses it.
        by: String,
    },
    /// The kernel could not be read. Nothing was changed.
    #[error(transparent)]
    Read(#[from] KernelError),
    /// The kernel refused a step, and everything was put back.
    #[error("{step}: {cause}; everything was put back")]
    PutBack {
        /// The step.
        step: String,
        /// The kernel's answer.
        cause: String,
    },
    /// Something failed, and so did putting it back.
    #[error("{}", list(&format!("{step}: {cause}; putting everything back failed too"), left.iter().cloned()))]
    Left {
        /// The step.
        step: String,
        /// What failed.
        cause: String,
        /// What is left as it should not be, and what to do.
        left: Vec<String>,
    },
}

fn list(title: &str, items: impl Iterator<Item = String>) -> String {
    items.fold(format!("{title}:"), |text, item| format!("{text}\n  {item}"))
}

/// What an apply tells while it goes on. Nothing is told while a device is suspended.
pub trait Progress {
    /// A step was carried out.
    fn done(&mut self, step: &Step);
}

/// Tells nobody.
pub struct Silent;

impl Progress for Silent {
    fn done(&mut self, _: &Step) {}
}

/// Says whether a plan may be carried out at all: conflicts first, then refusals.
pub fn permit(plan: &Plan) -> Result<(), ApplyError> {
    if !plan.conflicts.is_empty() {
        return Err(ApplyError::Conflicts(plan.conflicts.clone()));
    }
    let refused: Vec<String> =
        plan.refused().filter_map(|step| step.refused.as_ref().map(|why| refusal(step, why))).collect();
    if refused.is_empty() { Ok(()) } else { Err(ApplyError::Refused(refused)) }
}

fn refusal(step: &Step, why: &Refusal) -> String {
    let way_out = match why {
        Refusal::Policy(class) => format!("allow it with --allow {class}"),
        Refusal::Protected => "its mapping says protect = true, which no flag overrides".to_string(),
        Refusal::InUse(by) => format!("it is in use: {by}"),
    };
    format!("{} {} [{}]: {}; {way_out}", step.action.name(), step.name, step.class, step.reason)
}

/// Carries `plan` out. When it returns an error other than [`ApplyError::Left`], the kernel is as it was.
pub fn apply(
    kernel: &dyn ChangeKernel,
    plan: &Plan,
    options: Options,
    progress: &mut dyn Progress,
) -> Result<(), ApplyError> {
    permit(plan)?;
    let mut run = Run {
        kernel,
        options,
        journal: Journal::default(),
        numbers: BTreeMap::new(),
        staged: Vec::new(),
        loaded: HashSet::new(),
    };
    let outcome = run.all(plan, progress);
    let Err(failure) = outcome else { return Ok(()) };
    let left = run.journal.undo(kernel);
    let Failure { step, cause, in_use } = failure;
    if !left.is_empty() {
        return Err(ApplyError::Left { step, cause, left });
    }
    Err(match in_use {
        Some((name, by)) => ApplyError::InUse { name, by },
        None => ApplyError::PutBack { step, cause },
    })
}

/// What went wrong on the way.
struct Failure {
    step: String,
    cause: String,
    in_use: Option<(String, String)>,
}

impl Failure {
    fn of(step: &Step, error: &KernelError) -> Self {
        Self { step: describe(step), cause: error.to_string(), in_use: None }
    }
}

fn describe(step: &Step) -> String {
    format!("{} {}", step.action.name(), step.name)
}

/// One apply on its way.
struct Run<'k, 'p> {
    kernel: &'k dyn ChangeKernel,
    options: Options,
    journal: Journal,
    /// The numbers of the mappings that this plan makes.
    numbers: BTreeMap<Key, DevNum>,
    /// Reloads whose tables wait in their inactive slots.
    staged: Vec<&'p Step>,
    /// Devices whose changed table is in its inactive slot already.
    loaded: HashSet<Id>,
}

impl<'p> Run<'_, 'p> {
    fn all(&mut self, plan: &'p Plan, progress: &mut dyn Progress) -> Result<(), Failure> {
        self.load_early(plan)?;
        for step in &plan.steps {
            if step.action == Action::Reload {
                self.stage(step)?;
                continue;
            }
            self.swap(progress)?;
            self.one(step).map_err(|error| self.failure(step, &error))?;
            progress.done(step);
        }
        self.swap(progress)?;
        let last = |error: &KernelError| Failure {
            step: "settle".to_string(),
            cause: error.to_string(),
            in_use: None,
        };
        self.kernel.settle().map_err(|error| last(&error))?;
        verify::all(self.kernel, plan, &self.numbers).map_err(|(step, cause)| Failure {
            step: step.map_or_else(|| "verify".to_string(), describe),
            cause,
            in_use: None,
        })
    }

    fn failure(&self, step: &Step, error: &KernelError) -> Failure {
        let mut failure = Failure::of(step, error);
        if step.action == Action::Remove && error.errno() == Some(Errno::EBUSY) {
            let users = step.number.and_then(|number| self.kernel.users(number).ok()).unwrap_or_default();
            let mut by: Vec<String> =
                users.mounts.iter().map(|mount| format!("mounted on {mount}")).collect();
            by.extend(users.holders.iter().map(|holder| format!("held by {holder}")));
            if by.is_empty() {
                by.push("a program has it open".to_string());
            }
            failure.in_use = Some((step.name.to_string(), by.join(", ")));
        }
        failure
    }

    /// Loads every changed table whose devices are all there already, before anything else is done: most
    /// of what the kernel may refuse it refuses here, when there is next to nothing to undo.
    fn load_early(&mut self, plan: &'p Plan) -> Result<(), Failure> {
        for step in plan.steps.iter().filter(|step| step.action == Action::Reload) {
            let Detail::Reload { table, .. } = &step.detail else { continue };
            let known =
                |row: &TypedRow| row.target.lowers(row.length).iter().all(|l| l.device.number.is_some());
            if !waits_for_suspend(table) && table.iter().all(known) {
                self.load(step)?;
            }
        }
        Ok(())
    }

    fn load(&mut self, step: &Step) -> Result<(), Failure> {
        let Detail::Reload { table, readonly, .. } = &step.detail else { return Ok(()) };
        let table = self.rows(table);
        let id = step.id();
        self.kernel.load(&id, &table, *readonly).map_err(|error| Failure::of(step, &error))?;
        self.loaded.insert(id.clone());
        self.journal.push(Done::Loaded { id });
        Ok(())
    }

    fn stage(&mut self, step: &'p Step) -> Result<(), Failure> {
        let Detail::Reload { table, .. } = &step.detail else { return Ok(()) };
        if !self.loaded.contains(&step.id()) && !waits_for_suspend(table) {
            self.load(step)?;
        }
        self.staged.push(step);
        Ok(())
    }

    /// Makes all staged tables live, a stack at a time.
    fn swap(&mut self, progress: &mut dyn Progress) -> Result<(), Failure> {
        let staged = std::mem::take(&mut self.staged);
        for stack in swap::stacks(&staged) {
            let members: Vec<Member> = stack.iter().filter_map(|step| self.member(step)).collect();
            swap::swap(self.kernel, &members)
                .map_err(|(index, cause)| Failure {
                    step: stack.get(index).map_or_else(String::new, |step| describe(step)),
                    cause,
                    in_use: None,
                })
                .inspect_err(|_| self.journal.push(Done::Swapped { members: members.clone() }))?;
            self.journal.push(Done::Swapped { members });
            for step in stack {
                progress.done(step);
            }
        }
        Ok(())
    }

    fn member(&self, step: &Step) -> Option<Member> {
        let Detail::Reload { table, readonly, old, old_readonly, suspend, suspended, .. } = &step.detail
        else {
            return None;
        };
        Some(Member {
            id: step.id(),
            name: step.name.clone(),
            number: step.number,
            new: self.rows(table),
            readonly: *readonly,
            load_suspended: waits_for_suspend(table),
            old: old.clone(),
            old_readonly: *old_readonly,
            suspend: *suspend,
            suspended: *suspended,
        })
    }

    fn one(&mut self, step: &Step) -> Result<(), KernelError> {
        let id = step.id();
        match &step.detail {
            Detail::Create { table, readonly } => return self.create(step, table, *readonly),
            Detail::Rename { to } => {
                self.kernel.rename(&step.name, to)?;
                self.journal.push(Done::Renamed { from: step.name.clone(), to: to.clone() });
            }
            Detail::SetUuid => {
                if let Some(uuid) = &step.uuid {
                    self.kernel.set_uuid(&step.name, uuid)?;
                }
            }
            Detail::Remove { old, old_readonly, .. } => {
                self.remove(&id)?;
                self.journal.push(Done::Removed {
                    name: step.name.clone(),
                    uuid: step.uuid.clone(),
                    table: old.clone(),
                    readonly: *old_readonly,
                });
            }
            Detail::Suspend { how, .. } => {
                self.kernel.suspend(&id, *how)?;
                self.journal.push(Done::Suspended { id });
            }
            Detail::Resume { clear } => {
                if *clear {
                    self.kernel.clear(&id)?;
                }
                self.kernel.resume(&id)?;
                self.journal.push(Done::Resumed { id });
            }
            Detail::Clear => self.kernel.clear(&id)?,
            Detail::Message { sector, text } => {
                self.kernel.message(&id, *sector, text)?;
            }
            Detail::Reload { .. } => {}
        }
        Ok(())
    }

    fn create(&mut self, step: &Step, table: &[TypedRow], readonly: bool) -> Result<(), KernelError> {
        let table = self.rows(table);
        let number = self.kernel.create(&step.name, step.uuid.as_ref())?;
        let id = step.id();
        self.journal.push(Done::Created { id: id.clone() });
        self.kernel.load(&id, &table, readonly)?;
        self.kernel.resume(&id)?;
        if let Some(key) = &step.mapping {
            self.numbers.insert(key.clone(), number);
        }
        Ok(())
    }

    /// Removes a device; one that is held for a moment is tried again.
    fn remove(&self, id: &Id) -> Result<(), KernelError> {
        let deadline = Instant::now() + self.options.patience;
        loop {
            match self.kernel.remove(id, false) {
                Err(error) if error.errno() == Some(Errno::EBUSY) && Instant::now() < deadline => {
                    thread::sleep(TRY_AGAIN);
                }
                outcome => return outcome,
            }
        }
    }

    /// The rows as the kernel takes them: mappings that this plan made have numbers now.
    fn rows(&self, table: &[TypedRow]) -> Table {
        kernel_rows(table, &self.numbers)
    }
}

fn kernel_rows(table: &[TypedRow], numbers: &BTreeMap<Key, DevNum>) -> Table {
    with_numbers(table, numbers)
        .iter()
        .map(|row| Target::new(row.start, row.length, row.target.kind(), row.target.params(Style::Kernel)))
        .collect()
}

fn with_numbers(table: &[TypedRow], numbers: &BTreeMap<Key, DevNum>) -> Vec<TypedRow> {
    let mut table = table.to_vec();
    for row in &mut table {
        for device in row.target.devices_mut() {
            if let (None, Some(key)) = (device.number, device.key()) {
                device.number = numbers.get(key).copied();
            }
        }
    }
    table
}

fn waits_for_suspend(table: &[TypedRow]) -> bool {
    table.iter().any(|row| row.target.traits().suspend_before_load)
}
