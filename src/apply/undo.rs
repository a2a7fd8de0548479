//! Undoes changes: the rules and the state that all kinds of undo entries share.
//!
//! A call that fails is made once more, because its cause may be gone: a signal, a shortage of memory, a program that
//! had the device open. A call that fails twice is recorded, and the other changes are undone all the same.

use std::collections::HashMap;
use std::time::Duration;

use super::hold::{self, Resuming};
use super::journal::{PriorState, UndoEntry, UndoLog};
use super::{removal, rows};
use crate::identity::{DevNum, Name};
use crate::kernel::{ChangeKernel, Id, KernelError, Removal, Slot, Suspend};
use crate::table::{RawRow, Table};

/// The state of a rollback.
pub(crate) struct Undo<'k> {
    pub kernel: &'k dyn ChangeKernel,
    patience: Duration,
    /// The new numbers of recreated devices, by their old numbers.
    numbers: HashMap<DevNum, DevNum>,
    /// Recreated devices that do not have their tables yet: a lower device may be too small until it is rolled back
    /// itself. Lower devices come first.
    waiting: Vec<PriorState>,
    /// The devices that were suspended around a snapshot, and could not be resumed yet.
    held: UndoLog,
    left: Vec<String>,
}

impl<'k> Undo<'k> {
    /// Begins a rollback that waits up to `patience` for an open device to be closed.
    pub(crate) fn new(kernel: &'k dyn ChangeKernel, patience: Duration) -> Self {
        Self {
            kernel,
            patience,
            numbers: HashMap::new(),
            waiting: Vec::new(),
            held: UndoLog::default(),
            left: Vec::new(),
        }
    }

    /// Ends the rollback. Returns a message for each device that is not as before, with the command that helps.
    pub(crate) fn end(mut self) -> Vec<String> {
        for old in std::mem::take(&mut self.waiting) {
            let outcome = self.serve(&old);
            let is_there = self.is_there(&old);
            self.note(outcome, |error| old.lost(&error, is_there));
        }
        for entry in std::mem::take(&mut self.held).backwards() {
            if let UndoEntry::Suspended { id, name } = entry {
                self.resume(&id, &name);
            }
        }
        if let Err(error) = self.kernel.settle() {
            self.left.push(format!("{error}; `dmctl repair` puts the nodes of devices right"));
        }
        self.left
    }

    /// Resumes a device that was suspended around other changes.
    pub(crate) fn resume(&mut self, id: &Id, name: &Name) {
        let outcome = self.twice(|| self.kernel.resume(id));
        self.note(outcome, |error| format!("{name} is suspended: {error}; `dmctl resume {name}` resumes it"));
    }

    /// Keeps the devices that could not be resumed, for the end of the rollback.
    pub(crate) fn resume_later(&self, held: UndoLog) {
        held.backwards().for_each(|entry| self.held.push(entry));
    }

    /// Records a message for a device that is not as before.
    pub(crate) fn left(&mut self, message: String) {
        self.left.push(message);
    }

    /// Records the message that `message` makes of an error.
    pub(crate) fn note(
        &mut self,
        outcome: Result<(), KernelError>,
        message: impl FnOnce(KernelError) -> String,
    ) {
        if let Err(error) = outcome {
            self.left.push(message(error));
        }
    }

    /// Makes a call, and once more when it fails.
    #[expect(clippy::unused_self, reason = "the rule belongs to the rollback")]
    pub(crate) fn twice<T>(&self, call: impl Fn() -> Result<T, KernelError>) -> Result<T, KernelError> {
        call().or_else(|_| call())
    }

    /// Removes a device, if it exists. A rollback is not interrupted.
    pub(crate) fn remove(&self, id: &Id) -> Result<(), KernelError> {
        self.twice(|| removal::remove(self.kernel, id, self.patience, &|| false))
    }

    /// Requests the deferred removal of a device again. A device that was closed meanwhile stays: better a device
    /// too many than one too few.
    pub(crate) fn restore_deferred_remove(&self, id: &Id) -> Result<(), KernelError> {
        match self.kernel.device(id, Slot::Live)? {
            Some(now) if now.info.open_count > 0 => self.twice(|| self.kernel.remove(id, Removal::Deferred)),
            _ => Ok(()),
        }
    }

    /// Takes the table away from a device that had none. A live table can't be taken away, so such a device is
    /// recreated.
    pub(crate) fn empty(&mut self, shell: &PriorState) -> Result<(), KernelError> {
        let (kernel, id) = (self.kernel, shell.id());
        match kernel.device(&id, Slot::Live)? {
            Some(now) if !now.info.live_table && now.info.suspended == shell.suspended => {
                self.twice(|| kernel.clear(&id))
            }
            _ => {
                self.remove(&id)?;
                self.make_again(shell)
            }
        }
    }

    /// Whether the device exists.
    pub(crate) fn is_there(&self, old: &PriorState) -> bool {
        matches!(self.kernel.device(&old.id(), Slot::Live), Ok(Some(_)))
    }

    /// Recreates a device as it was. If its table can't be loaded yet, the device waits for it.
    pub(crate) fn make_again(&mut self, old: &PriorState) -> Result<(), KernelError> {
        let number = self.twice(|| self.kernel.create(&old.name, old.uuid.as_ref()))?;
        if let Some(was) = old.number.filter(|was| *was != number) {
            self.numbers.insert(was, number);
        }
        if self.serve(old).is_err() {
            self.waiting.push(old.clone());
        }
        Ok(())
    }

    /// Loads the tables of waiting devices, as far as the kernel accepts them by now.
    pub(crate) fn serve_waiting(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting = waiting.into_iter().filter(|old| self.serve(old).is_err()).collect();
    }

    /// Gives a recreated device its table, and suspends it if it was suspended.
    fn serve(&self, old: &PriorState) -> Result<(), KernelError> {
        let (kernel, id) = (self.kernel, old.id());
        if !old.live.rows.is_empty() {
            let table = rows::to_load_again(&self.as_now(&old.live.rows));
            self.twice(|| kernel.load(&id, &table, old.live.access))?;
            hold::around_resume(kernel, &self.held, &Resuming { rows: &table, id: &id }, || {
                self.twice(|| kernel.resume(&id))
            })?;
        }
        if old.suspended { self.twice(|| kernel.suspend(&id, Suspend::default())) } else { Ok(()) }
    }

    /// Returns an old table with the numbers that its lower devices have now.
    pub(crate) fn as_now(&self, old: &[RawRow]) -> Table {
        if self.numbers.is_empty() { old.to_vec() } else { rows::renumbered(old, &self.numbers) }
    }
}
