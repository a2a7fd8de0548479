//! Undoes changes: the rules and the state that all kinds of undo entries share.
//!
//! A call that fails is made once more, because its cause may be gone: a signal, a shortage of memory, a program that
//! had the device open. A call that fails twice is recorded, and the other changes are undone all the same.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::hold::{self, Resuming};
use super::journal::{PriorState, UndoEntry, UndoLog};
use super::remnant::{Lost, Place, Remnant, RemnantState};
use super::swap::{self, Layer};
use super::{removal, rows};
use crate::identity::{DevNum, Name};
use crate::kernel::{ChangeKernel, Id, KernelError, Removal, Slot, Suspend};
use crate::table::{self, RawRow, Table};

/// The number of a device that is not there: the kernel refuses a table with it.
const NOWHERE: DevNum = DevNum::new(0, 0);

/// The state of a rollback.
pub(crate) struct Undo<'k> {
    pub kernel: &'k dyn ChangeKernel,
    patience: Duration,
    /// The new numbers of recreated devices, by their old numbers; [`NOWHERE`] for a device that is not back.
    numbers: HashMap<DevNum, DevNum>,
    /// Removed devices that are not back yet, or not with their tables: a lower device may be too small until it is rolled
    /// back itself. Lower devices come first.
    waiting: Vec<PriorState>,
    /// The removed devices that were created again.
    created: HashSet<Id>,
    /// The devices that were suspended around a snapshot, and could not be resumed yet.
    held: UndoLog,
    /// What is left, each with the device as it was where its table matters.
    left: Vec<(Remnant, Option<Old>)>,
}

/// A device as it was, as far as its place in a stack goes.
pub(crate) struct Old {
    pub number: Option<DevNum>,
    pub rows: Table,
    /// Whether the table can be given by hand: a reload leaves the access as it is.
    pub by_hand: bool,
}

impl<'k> Undo<'k> {
    /// Begins a rollback that waits up to `patience` for an open device to be closed.
    pub(crate) fn new(kernel: &'k dyn ChangeKernel, patience: Duration) -> Self {
        Self {
            kernel,
            patience,
            numbers: HashMap::new(),
            waiting: Vec::new(),
            created: HashSet::new(),
            held: UndoLog::default(),
            left: Vec::new(),
        }
    }

    /// Ends the rollback. Returns what is left, in the order in which the commands that help work.
    pub(crate) fn end(mut self) -> Vec<Remnant> {
        for old in std::mem::take(&mut self.waiting) {
            if let Err(error) = self.bring_back(&old) {
                self.lost(&old, error);
            }
        }
        for entry in std::mem::take(&mut self.held).backwards() {
            if let UndoEntry::Suspended { id, name } = entry {
                self.resume(&id, &name);
            }
        }
        if let Err(error) = self.kernel.settle() {
            self.left(Remnant::nodes(error));
        }
        self.in_order()
    }

    /// Sorts what is left: by stage, and tables from the bottom up.
    fn in_order(self) -> Vec<Remnant> {
        let now = |was: DevNum| self.numbers.get(&was).copied().unwrap_or(was);
        let tables: Vec<Table> = self.left.iter().map(|(_, old)| self.rows_now(old.as_ref())).collect();
        let layers = self.left.iter().zip(&tables).map(|((_, old), table)| Layer {
            number: old.as_ref().and_then(|old| old.number).map(now),
            table,
            through: &[],
        });
        let levels = swap::stacks(layers).levels();
        // A new device has to go before its name is free.
        let names: HashSet<Name> =
            self.left.iter().filter_map(|(remnant, _)| remnant.wants()).cloned().collect();
        let mut all: Vec<_> = self.left.into_iter().zip(tables).zip(levels.iter()).collect();
        all.sort_by_key(|(((remnant, _), _), level)| (remnant.stage(&names), **level));
        // By hand, a table can only be given where all that is below is back or is given its table before.
        let mut without: HashSet<DevNum> = HashSet::from([NOWHERE]);
        let mut told = Vec::with_capacity(all.len());
        for (((remnant, old), rows), _) in all {
            let by_hand = old.as_ref().is_none_or(|old| old.by_hand);
            let is_whole =
                by_hand && table::lower_devices(&rows).iter().all(|lower| !without.contains(lower));
            if !is_whole {
                without.extend(
                    old.and_then(|old| old.number).map(|was| self.numbers.get(&was).copied().unwrap_or(was)),
                );
            }
            told.push(remnant.with_rows(is_whole.then_some(rows)));
        }
        told
    }

    /// Returns the rows of a device as it was, with the numbers that its lower devices have now.
    fn rows_now(&self, old: Option<&Old>) -> Table {
        old.map(|old| self.as_now(&old.rows)).unwrap_or_default()
    }

    /// Resumes a device that was suspended around other changes. A new table that is still in its inactive slot would become
    /// live, so it goes first.
    pub(crate) fn resume(&mut self, id: &Id, name: &Name) {
        if matches!(self.kernel.device(id, Slot::Live), Ok(Some(now)) if now.info.inactive_table) {
            let is_this = |one: &Remnant| {
                one.id.as_ref() == Some(id) && matches!(one.state, RemnantState::InactiveTable { .. })
            };
            self.left.retain(|(one, _)| !is_this(one));
            if let Err(error) = self.twice(|| self.kernel.clear(id)) {
                self.left(Remnant::new(RemnantState::InactiveTable { name: name.clone() }, id, Some(error)));
                self.left(Remnant::new(RemnantState::Suspended { name: name.clone() }, id, None));
                return;
            }
        }
        let outcome = self.twice(|| self.kernel.resume(id));
        self.note(outcome, id, RemnantState::Suspended { name: name.clone() });
    }

    /// Keeps the devices that could not be resumed, for the end of the rollback.
    pub(crate) fn resume_later(&self, held: UndoLog) {
        held.backwards().for_each(|entry| self.held.push(entry));
    }

    /// Records that a device could not be removed.
    pub(crate) fn stays(&mut self, id: &Id, name: Name, error: KernelError) {
        let now = self.kernel.device(id, Slot::Live);
        let has_table = !matches!(now, Ok(Some(now)) if !now.info.live_table);
        self.left(Remnant::new(RemnantState::Stays { name, has_table }, id, Some(error)));
    }

    /// Records what is left of a device.
    pub(crate) fn left(&mut self, remnant: Remnant) {
        self.left.push((remnant, None));
    }

    /// Records what is left of a device that was swapped, with its old table.
    pub(crate) fn left_swapped(&mut self, remnant: Remnant, old: Old) {
        self.left.push((remnant, Some(old)));
    }

    /// Records the state of a device after a call that failed.
    pub(crate) fn note(&mut self, outcome: Result<(), KernelError>, id: &Id, state: RemnantState) {
        if let Err(error) = outcome {
            self.left(Remnant::new(state, id, Some(error)));
        }
    }

    /// Records that a removed device can't be created again. What is in its place is told with it.
    fn lost(&mut self, old: &PriorState, error: KernelError) {
        let place = self.place_of(old);
        let id = Some(old.id());
        self.left.retain(|(one, _)| one.id != id || !matches!(one.state, RemnantState::Stays { .. }));
        let state = RemnantState::Lost { old: Box::new(Lost::of(old)), place };
        let was = Old { number: old.number, rows: old.live.rows.to_vec(), by_hand: place != Place::Taken };
        self.left.push((Remnant::new(state, &old.id(), Some(error)), Some(was)));
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
                self.make_again(shell);
                Ok(())
            }
        }
    }

    /// Returns what has the place of a device that can't be created again.
    pub(crate) fn place_of(&self, old: &PriorState) -> Place {
        match self.kernel.device(&old.id(), Slot::Live) {
            Ok(Some(now)) if now.info.live_table || now.info.name != old.name => Place::Taken,
            Ok(Some(_)) => Place::Empty,
            Ok(None) | Err(_) => Place::Free,
        }
    }

    /// Recreates a device as it was. If the kernel does not accept that yet, the device waits for it.
    pub(crate) fn make_again(&mut self, old: &PriorState) {
        if self.bring_back(old).is_err() {
            self.waiting.push(old.clone());
        }
    }

    /// Brings waiting devices back, as far as the kernel accepts them by now.
    pub(crate) fn serve_waiting(&mut self) {
        for old in std::mem::take(&mut self.waiting) {
            self.make_again(&old);
        }
    }

    fn bring_back(&mut self, old: &PriorState) -> Result<(), KernelError> {
        if !self.created.contains(&old.id()) {
            // Another device may get the old number meanwhile, so a table must not name it.
            self.numbers.extend(old.number.map(|was| (was, NOWHERE)));
            let number = self.twice(|| self.kernel.create(&old.name, old.uuid.as_ref()))?;
            self.created.insert(old.id());
            if let Some(was) = old.number {
                self.numbers.remove(&was);
                self.numbers.extend((was != number).then_some((was, number)));
            }
        }
        self.serve(old)
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
