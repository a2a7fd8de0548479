//! The way back: what is the same for everything that is undone.
//!
//! A call that fails is made once more, for what stood in its way may be gone: a signal, a shortage of
//! memory, a program that had the device open. What fails twice is noted, and the rest is undone all the
//! same.

use std::collections::HashMap;
use std::time::Duration;

use super::journal::PriorState;
use super::{removal, rows};
use crate::identity::DevNum;
use crate::kernel::{ChangeKernel, Id, KernelError, Slot, Suspend};
use crate::table::{RawRow, Table};

/// The way back.
pub struct Undo<'k> {
    /// The kernel.
    pub kernel: &'k dyn ChangeKernel,
    patience: Duration,
    /// The numbers of devices that were made again, by those they had.
    numbers: HashMap<DevNum, DevNum>,
    /// Devices that were made again, and do not have their tables yet: what they stand on may be too small until
    /// it is put back itself. Lower ones first.
    waiting: Vec<PriorState>,
    left: Vec<String>,
}

impl<'k> Undo<'k> {
    /// A way back on which a device that is open is waited for as long as `patience`.
    pub fn new(kernel: &'k dyn ChangeKernel, patience: Duration) -> Self {
        Self { kernel, patience, numbers: HashMap::new(), waiting: Vec::new(), left: Vec::new() }
    }

    /// What is left as it should not be, and what to do about it.
    pub fn end(mut self) -> Vec<String> {
        for old in std::mem::take(&mut self.waiting) {
            let outcome = self.serve(&old);
            self.note(outcome, |error| old.lost(&error));
        }
        if let Err(error) = self.kernel.settle() {
            self.left.push(format!("{error}; `dmctl repair` puts the nodes of devices right"));
        }
        self.left
    }

    /// Notes something that is left.
    pub fn left(&mut self, says: String) {
        self.left.push(says);
    }

    /// Notes what is left when `outcome` is an error.
    pub fn note(&mut self, outcome: Result<(), KernelError>, says: impl FnOnce(KernelError) -> String) {
        if let Err(error) = outcome {
            self.left.push(says(error));
        }
    }

    /// Makes a call, and once more when it fails.
    #[expect(clippy::unused_self, reason = "the rule belongs to the way back")]
    pub fn twice<T>(&self, call: impl Fn() -> Result<T, KernelError>) -> Result<T, KernelError> {
        call().or_else(|_| call())
    }

    /// Removes a device, if it is there. Nothing stops the way back.
    pub fn remove(&self, id: &Id) -> Result<(), KernelError> {
        self.twice(|| removal::remove(self.kernel, id, self.patience, &|| false))
    }

    /// Lets a device go away when it is closed, as it was to. One that was closed meanwhile stays: better a device
    /// too many than one too few.
    pub fn restore_deferred_remove(&self, id: &Id) -> Result<(), KernelError> {
        match self.kernel.device(id, Slot::Live)? {
            Some(now) if now.info.open_count > 0 => self.twice(|| self.kernel.remove(id, true)),
            _ => Ok(()),
        }
    }

    /// Takes the table of a device away that had none. A live table is there for good, so the device is made
    /// anew.
    pub fn empty(&mut self, shell: &PriorState) -> Result<(), KernelError> {
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

    /// Makes a device again as it was. Should it not get its table now, it waits for it.
    pub fn make_again(&mut self, old: &PriorState) -> Result<(), KernelError> {
        let number = self.twice(|| self.kernel.create(&old.name, old.uuid.as_ref()))?;
        if let Some(was) = old.number.filter(|was| *was != number) {
            self.numbers.insert(was, number);
        }
        if self.serve(old).is_err() {
            self.waiting.push(old.clone());
        }
        Ok(())
    }

    /// Gives the devices that wait for their tables those that fit by now.
    pub fn serve_waiting(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting = waiting.into_iter().filter(|old| self.serve(old).is_err()).collect();
    }

    /// Gives a device that was made again what it had.
    fn serve(&self, old: &PriorState) -> Result<(), KernelError> {
        let (kernel, id) = (self.kernel, old.id());
        if !old.live.rows.is_empty() {
            let table = rows::again(&self.as_now(&old.live.rows));
            self.twice(|| kernel.load(&id, &table, old.live.access))?;
            self.twice(|| kernel.resume(&id))?;
        }
        if old.suspended { self.twice(|| kernel.suspend(&id, Suspend::default())) } else { Ok(()) }
    }

    /// An old table with the numbers that its devices have now.
    pub fn as_now(&self, old: &[RawRow]) -> Table {
        if self.numbers.is_empty() { old.to_vec() } else { rows::renumbered(old, &self.numbers) }
    }
}
