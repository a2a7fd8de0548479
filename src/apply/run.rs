//! One apply on its way, step by step.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use nix::errno::Errno;

use super::error::{Failure, Why};
use super::journal::{Done, Journal, Old};
use super::rows::Made;
use super::swap::{self, Member};
use super::{Options, Progress, preparation, removal, rows, verify};
use crate::identity::{DevNum, Key};
use crate::kernel::{ChangeKernel, Id, KernelError, Slot};
use crate::plan::{Action, Detail, Plan, Step};
use crate::sector_map::TypedRow;

/// One apply on its way.
pub struct Run<'k, 'p> {
    kernel: &'k dyn ChangeKernel,
    options: Options<'k>,
    /// What was done so far.
    pub journal: Journal,
    made: Made,
    /// Reloads whose tables wait in their inactive slots.
    staged: Vec<&'p Step>,
    /// Devices whose changed table is in its inactive slot already.
    loaded: HashSet<Id>,
    /// Whether a device of the plan is suspended from the start. Then every table is loaded only once all below
    /// it serve I/O again: a target may read its devices when it is loaded, and would wait for ever.
    unsettled: bool,
}

/// How long a target may be, as its metadata tells after a first load.
fn length_on_disk(kernel: &dyn ChangeKernel, row: &TypedRow) -> Option<u64> {
    let metadata = row.target.metadata();
    let first = metadata.first()?;
    let head = kernel.peek(first.device.number?, first.offset, first.length)?;
    row.target.length_on_disk(&head)
}

/// The step in a few words.
fn describe(step: &Step) -> String {
    format!("{} {}", step.action.name(), step.name)
}

fn refused(step: &Step) -> impl Fn(KernelError) -> Failure {
    let step = describe(step);
    move |error| Failure::new(step.clone(), &error)
}

impl<'k, 'p> Run<'k, 'p> {
    /// An apply that has not begun.
    pub fn new(kernel: &'k dyn ChangeKernel, options: Options<'k>) -> Self {
        Self {
            kernel,
            options,
            journal: Journal::default(),
            made: Made::default(),
            staged: Vec::new(),
            loaded: HashSet::new(),
            unsettled: false,
        }
    }

    /// Carries out all steps, and looks whether each had its effect.
    pub fn all(&mut self, plan: &'p Plan, progress: &mut dyn Progress) -> Result<(), Failure> {
        self.unsettled = plan.steps.iter().any(begins_suspended);
        self.load_early(plan)?;
        for step in &plan.steps {
            if step.action == Action::Reload && unfinished(step).is_none() {
                self.stage(step)?;
                continue;
            }
            self.swap(progress)?;
            self.unless_stopped(step)?;
            self.one(step)?;
            progress.done(step);
        }
        self.swap(progress)?;
        self.kernel.settle().map_err(|error| Failure::new("settle", &error))?;
        verify::all(self.kernel, plan, &self.made).map_err(|(step, cause)| {
            Failure::new(step.map_or_else(|| "verify".to_string(), describe), &cause)
        })
    }

    /// Ends here when it was told to stop: no device is suspended that was not so before.
    fn unless_stopped(&self, step: &Step) -> Result<(), Failure> {
        if self.options.stop.load(Ordering::Relaxed) {
            return Err(Failure { step: describe(step), why: Why::Stopped });
        }
        Ok(())
    }

    /// Loads every changed table whose devices are all there already, before anything else is done: most
    /// of what the kernel may refuse it refuses here, when there is next to nothing to undo.
    fn load_early(&mut self, plan: &'p Plan) -> Result<(), Failure> {
        let prepared: HashSet<_> = plan.steps.iter().filter_map(prepared_mapping).collect();
        // A device that never had a table can't be opened yet.
        let shells: HashSet<DevNum> = plan.steps.iter().filter_map(unfinished).collect();
        for step in &plan.steps {
            let Detail::Reload { table, old, .. } = &step.detail else { continue };
            let there = |number: Option<DevNum>| number.is_some_and(|number| !shells.contains(&number));
            let known = |row: &TypedRow| row.target.lowers(row.length).iter().all(|l| there(l.device.number));
            let waits = old.is_empty()
                || self.loads_late(table)
                || step.mapping.as_ref().is_some_and(|key| prepared.contains(key));
            if !waits && table.iter().all(known) {
                self.unless_stopped(step)?;
                self.load(step)?;
            }
        }
        Ok(())
    }

    fn loads_late(&self, table: &[TypedRow]) -> bool {
        self.unsettled || table.iter().any(|row| row.target.traits().suspend_before_load)
    }

    fn load(&mut self, step: &Step) -> Result<(), Failure> {
        let Detail::Reload { table, readonly, old, .. } = &step.detail else { return Ok(()) };
        let id = step.id();
        let table = rows::over(&self.made.complete(table, step.mapping.as_ref()), old);
        self.kernel
            .load(&id, &table, *readonly)
            .map_err(|error| Failure::new(describe(step), &rows::blame(&table, &error)))?;
        self.loaded.insert(id.clone());
        self.journal.push(Done::Loaded { id, name: step.name.clone() });
        Ok(())
    }

    fn stage(&mut self, step: &'p Step) -> Result<(), Failure> {
        let Detail::Reload { table, .. } = &step.detail else { return Ok(()) };
        if !self.loaded.contains(&step.id()) && !self.loads_late(table) {
            self.load(step)?;
        }
        self.staged.push(step);
        Ok(())
    }

    /// Makes all staged tables live, a stack at a time.
    fn swap(&mut self, progress: &mut dyn Progress) -> Result<(), Failure> {
        let staged = std::mem::take(&mut self.staged);
        for stack in swap::stacks(&staged) {
            if let Some(first) = stack.first() {
                self.unless_stopped(first)?;
            }
            let members: Vec<Member> = stack.iter().filter_map(|step| self.member(step)).collect();
            let outcome = swap::swap(self.kernel, &members);
            self.journal.push(Done::Swapped { members });
            outcome.map_err(|(index, cause)| {
                Failure::new(stack.get(index).map_or_else(String::new, |step| describe(step)), &cause)
            })?;
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
            new: rows::over(&self.made.complete(table, step.mapping.as_ref()), old),
            readonly: *readonly,
            load_late: self.loads_late(table),
            old: old.clone(),
            old_readonly: *old_readonly,
            suspend: *suspend,
            suspended: *suspended,
        })
    }

    fn one(&mut self, step: &Step) -> Result<(), Failure> {
        let (id, name) = (step.id(), step.name.clone());
        let refused = refused(step);
        match &step.detail {
            Detail::Create { table, readonly } => {
                let number = self.kernel.create(&name, step.uuid.as_ref()).map_err(&refused)?;
                self.journal.push(Done::Created { id: id.clone(), name });
                self.made.numbers.extend(step.mapping.clone().map(|key| (key, number)));
                self.serve(step, table, *readonly)
            }
            Detail::Reload { table, readonly, suspended, old_readonly, .. } => {
                let shell = Old {
                    name,
                    uuid: step.uuid.clone(),
                    number: step.number,
                    table: Vec::new(),
                    readonly: *old_readonly,
                    suspended: *suspended,
                };
                self.journal.push(Done::Finished { shell });
                self.serve(step, table, *readonly)
            }
            Detail::Rename { to } => {
                self.kernel.rename(&name, to).map_err(refused)?;
                self.journal.push(Done::Renamed { id, from: name, to: to.clone() });
                Ok(())
            }
            Detail::SetUuid => match &step.uuid {
                Some(uuid) => self.kernel.set_uuid(&name, uuid).map_err(refused),
                None => Ok(()),
            },
            Detail::Remove { .. } => self.remove(step, &id),
            Detail::Suspend { how, .. } => {
                self.kernel.suspend(&id, *how).map_err(refused)?;
                self.journal.push(Done::Suspended { id, name });
                Ok(())
            }
            Detail::Resume { clear } => {
                if *clear {
                    self.kernel.clear(&id).map_err(&refused)?;
                }
                self.kernel.resume(&id).map_err(refused)?;
                self.journal.push(Done::Resumed { id, name });
                Ok(())
            }
            Detail::Clear => self.kernel.clear(&id).map_err(refused),
            Detail::Message { sector, text, prepares: None } => {
                self.kernel.message(&id, *sector, text).map(drop).map_err(refused)
            }
            Detail::Message { sector, text, prepares: Some(preparation) } => {
                preparation::send(self.kernel, &mut self.journal, &id, (*sector, text), preparation)
                    .map_err(|cause| Failure::new(describe(step), &cause))
            }
        }
    }

    /// Gives a device that has no table its first one, and lets I/O through.
    fn serve(&mut self, step: &Step, table: &[TypedRow], readonly: bool) -> Result<(), Failure> {
        let id = step.id();
        let serve = |table: &[TypedRow]| {
            let rows = rows::first(table);
            let outcome = self.kernel.load(&id, &rows, readonly).and_then(|()| self.kernel.resume(&id));
            outcome.map_err(|error| Failure::new(describe(step), &rows::blame(&rows, &error)))
        };
        let first = self.made.complete(table, step.mapping.as_ref());
        serve(&first)?;
        let (Some(row), Some(key)) = (first.iter().find(|row| row.provisional), &step.mapping) else {
            return Ok(());
        };
        let length = length_on_disk(self.kernel, row).ok_or_else(|| {
            Failure::new(describe(step), &"its metadata does not tell how long it may be; give it a length")
        })?;
        self.made.lengths.insert(key.clone(), length);
        let whole = self.made.complete(table, Some(key));
        serve(&whole)
    }

    /// Removes a device, after a look at what must be made again should the rest fail.
    fn remove(&mut self, step: &Step, id: &Id) -> Result<(), Failure> {
        let before = self.kernel.device(id, Slot::Live).map_err(refused(step))?;
        removal::remove(self.kernel, id, self.options.patience, self.options.stop).map_err(|error| {
            if error.errno() == Some(Errno::EBUSY) {
                let by = removal::users(self.kernel, step.number);
                return Failure { step: describe(step), why: Why::InUse(step.name.to_string(), by) };
            }
            refused(step)(error)
        })?;
        self.journal.extend(before.map(|device| Done::Removed {
            old: Old {
                name: device.info.name,
                uuid: device.info.uuid,
                number: Some(device.info.number),
                table: device.table,
                readonly: device.info.read_only,
                suspended: device.info.suspended,
            },
        }));
        Ok(())
    }
}

/// Whether the device of a step is suspended before it.
fn begins_suspended(step: &Step) -> bool {
    matches!(step.detail, Detail::Reload { suspended: true, .. } | Detail::Resume { .. })
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
