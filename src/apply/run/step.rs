//! Carries out one step, and notes in the journal how to undo it.

use nix::errno::Errno;

use super::super::cause::Cause;
use super::super::error::Failure;
use super::super::journal::{PriorState, UndoEntry};
use super::super::refused_step::RefusedStep;
use super::super::unseen::{self, Unfit};
use super::super::{freeze, preparation, removal, resume, rows};
use super::{Run, refused};
use crate::access::Access;
use crate::identity::Key;
use crate::kernel::{Id, Slot};
use crate::plan::{Conflict, Create, LiveTable, Message, Obstacle, Operation, Reload, Step};
use crate::policy::Class;
use crate::table::Row;

impl Run<'_, '_> {
    /// Loads the first table of a device.
    pub(super) fn stage(&self, step: &Step) -> Result<(), Failure> {
        if let Operation::Reload(reload) = &step.operation {
            self.note_shell(step, reload);
        }
        let Some((table, access)) = step.new_table() else { return Ok(()) };
        let rows = rows::to_load(&self.complete(step, table)?);
        let outcome = self.kernel.load(&step.id(), &rows, access);
        outcome.map_err(|error| Failure::new(step, rows::blame(self.kernel, &rows, error)))
    }

    pub(super) fn make(&self, step: &Step) -> Result<(), Failure> {
        let number = self.kernel.create(&step.name, step.uuid.as_ref()).map_err(refused(step))?;
        self.journal.push(UndoEntry::Created { id: step.id(), name: step.name.clone() });
        self.made().numbers.extend(step.mapping.clone().map(|key| (key, number)));
        Ok(())
    }

    pub(super) fn one(&self, step: &Step) -> Result<(), Failure> {
        let (id, name) = (step.id(), step.name.clone());
        let refused = refused(step);
        match &step.operation {
            Operation::Create(Create { table, access, .. }) => self.serve(step, table, *access),
            Operation::Reload(reload) => self.finish(step, reload),
            Operation::Rename { to } => {
                self.kernel.rename(&name, to).map_err(refused)?;
                self.journal.push(UndoEntry::Renamed { id, from: name, to: to.clone() });
                Ok(())
            }
            Operation::SetUuid => match &step.uuid {
                Some(uuid) => self.kernel.set_uuid(&name, uuid).map_err(refused),
                None => Ok(()),
            },
            Operation::Remove(_) => self.remove(step, &id),
            Operation::Suspend { how, .. } => {
                if step.holds_writes() {
                    self.memory.get_or_init(|| self.kernel.lock_memory());
                    self.notices.suspended_until_swap();
                }
                self.kernel.suspend(&id, *how).map_err(|error| {
                    Failure::new(step, freeze::explained(self.kernel, (&id, &name), *how, error))
                })?;
                self.journal.push(UndoEntry::Suspended { id, name });
                Ok(())
            }
            Operation::Resume { clear } => {
                if *clear {
                    self.kernel.clear(&id).map_err(&refused)?;
                }
                resume::resume(self.kernel, &self.journal, &id).map_err(refused)?;
                self.journal.push(UndoEntry::Resumed { id, name });
                Ok(())
            }
            Operation::Clear => self.kernel.clear(&id).map_err(refused),
            Operation::Message(message) => self.message(step, message),
        }
    }

    /// Gives a device that was found without a table its first one.
    fn finish(&self, step: &Step, reload: &Reload) -> Result<(), Failure> {
        self.note_shell(step, reload);
        self.serve(step, &reload.table, reload.access)
    }

    /// Notes a device that was found without a table, before it is given one.
    fn note_shell(&self, step: &Step, reload: &Reload) {
        let live = LiveTable::none(reload.old.access);
        let shell = PriorState {
            name: step.name.clone(),
            uuid: step.uuid.clone(),
            number: step.number,
            live,
            suspended: reload.suspended,
        };
        self.journal.push(UndoEntry::Finished { shell });
    }

    fn message(&self, step: &Step, message: &Message) -> Result<(), Failure> {
        let id = step.id();
        if let Some(preparation) = &message.prepares {
            let lower = preparation::Recipient { kernel: self.kernel, journal: &self.journal, id: &id };
            return lower.prepare(message, preparation).map_err(|cause| Failure::new(step, cause));
        }
        self.kernel.message(&id, message.sector, message.text.reveal()).map_err(refused(step))?;
        if message.cancels_removal() {
            self.journal.push(UndoEntry::Kept { id, name: step.name.clone() });
        }
        Ok(())
    }

    /// Gives a device that has no table its first one, and resumes it.
    fn serve(&self, step: &Step, table: &[Row], access: Access) -> Result<(), Failure> {
        let id = step.id();
        let serve = |table: &[Row]| {
            let rows = rows::to_load(table);
            let outcome = self.kernel.load(&id, &rows, access).and_then(|()| self.kernel.resume(&id));
            outcome.map_err(|error| Failure::new(step, rows::blame(self.kernel, &rows, error)))
        };
        let first = self.complete(step, table)?;
        self.look(step, &first)?;
        serve(&first)?;
        let (Some(row), Some(key)) = (first.iter().find(|row| row.provisional), &step.mapping) else {
            return Ok(());
        };
        let length =
            unseen::length(self.kernel, row).ok_or_else(|| Failure::new(step, Cause::UnknownLength))?;
        self.made().lengths.insert(Key::clone(key), length);
        serve(&self.complete(step, table)?)
    }

    /// Looks at the metadata of a table that could not be seen before, now that the devices below it are there.
    pub(super) fn look(&self, step: &Step, table: &[Row]) -> Result<(), Failure> {
        if step.reason.unseen.is_none() {
            return Ok(());
        }
        let allowed = self.plan.allow.contains(&Class::Format);
        let cause = match unseen::judge(self.kernel, table) {
            Err(Unfit::Contradicts(contradiction)) => match step.mapping.clone() {
                Some(mapping) => {
                    let reason = Obstacle::Contradiction(*contradiction);
                    Cause::Contradicted(Conflict { mapping, name: step.name.clone(), reason }.into())
                }
                None => Cause::Contradiction(contradiction),
            },
            Err(Unfit::Blank(otherwise)) if !allowed => {
                Cause::Unapproved(RefusedStep::to_format(step, otherwise).into())
            }
            Err(Unfit::Blank(_)) | Ok(()) => return Ok(()),
        };
        Err(Failure::new(step, cause))
    }

    /// Removes a device, after reading the state to recreate should a later step fail.
    fn remove(&self, step: &Step, id: &Id) -> Result<(), Failure> {
        let before = self.kernel.device(id, Slot::Live).map_err(refused(step))?;
        removal::remove(self.kernel, id, self.options.patience, &|| self.ends_early()).map_err(|error| {
            if error.errno() == Some(Errno::EBUSY) {
                // The apply was told to stop while it waited for a close.
                if self.is_stopped() {
                    return Failure::new(step, Cause::Stopped);
                }
                let by = removal::users(self.kernel, step.number).into();
                return Failure::new(step, Cause::InUse { name: step.name.clone(), by });
            }
            refused(step)(error)
        })?;
        if let Some(device) = before {
            self.journal.push(UndoEntry::Removed { old: PriorState::of(device) });
        }
        Ok(())
    }
}
