//! Loads the old tables of a stack again, whatever state a swap left it in.
//!
//! A resume that fails leaves its device suspended (`do_resume` in `drivers/md/dm-ioctl.c`): on the old
//! table, with the new one destroyed, when the swap itself failed; on the new table, with the old one gone,
//! when a target refused to start. So the kernel is asked which of the two it is. A member that does not come back
//! with its stack is tried once more by itself.

use std::slice;

use super::hold::{self, Resuming};
use super::journal::UndoLog;
use super::remnant::{Remnant, RemnantState};
use super::rows;
use super::swap::{Layer, Member, Members, stacks, top_down};
use super::undo::{Old, Undo};
use crate::diff::{self, Verdict};
use crate::kernel::{ChangeKernel, DeviceState, Id, KernelError, Slot, Suspend};
use crate::stack::Position as _;
use crate::table::{self, RawRow, Table};

/// Loads the old tables of `members` again, and records each device that is not as before.
pub(crate) fn rollback_swap(undo: &mut Undo<'_>, members: &Members) {
    let kernel = undo.kernel;
    let ways: Vec<WayBack<'_>> = members.iter().map(|member| WayBack::of(member, undo)).collect();
    let _memory = kernel.lock_memory();
    let held = UndoLog::default();
    attempt(kernel, &held, &ways);
    // A recreated device that uses one of these may itself be used by others.
    undo.serve_waiting();
    let errors: Vec<Option<KernelError>> = ways.iter().map(|way| way.retry(kernel, &held)).collect();
    keep_new_below(kernel, &ways);
    for (way, error) in ways.iter().zip(errors) {
        if !way.is_back(kernel) {
            let Member { number, old, access, .. } = way.member;
            let old = Old { number: *number, rows: old.rows.to_vec(), by_hand: *access == old.access };
            undo.left_swapped(way.left(kernel, error), old);
        }
    }
    undo.resume_later(held);
}

/// Loads the new tables again below each device that can't be resumed above the old ones, and resumes it. A thin pool
/// that has grown into its metadata device is not resumed on a smaller one (`maybe_resize_metadata_dev` in
/// `drivers/md/dm-thin.c`).
fn keep_new_below(kernel: &dyn ChangeKernel, ways: &[WayBack<'_>]) {
    let stacks = stacks(ways.iter().map(WayBack::layer));
    for upper in stacks.bottom_up().into_iter().filter(|upper| ways[upper.index()].is_held(kernel)) {
        let lowers = stacks.bottom_up().into_iter().filter(|lower| stacks.is_above(upper, *lower));
        for lower in lowers.map(|lower| &ways[lower.index()]) {
            // The devices are read afterwards, and their state is reported then.
            let _ = lower.load_new(kernel).and_then(|()| kernel.resume(lower.id()));
        }
        let _ = kernel.resume(ways[upper.index()].id());
    }
}

/// Loads the old tables, and makes them live. Returns the last error. Only reading the devices shows whether it matters.
fn attempt(kernel: &dyn ChangeKernel, held: &UndoLog, ways: &[WayBack<'_>]) -> Option<KernelError> {
    let mut trouble = None;
    let mut note = |outcome: Result<bool, KernelError>| {
        outcome.unwrap_or_else(|error| {
            trouble = Some(error);
            false
        })
    };
    let loaded = ways.iter().filter(|way| note(way.stage(kernel))).count();
    let order = top_down(ways.iter().map(WayBack::layer));
    if loaded > 1 {
        for member in &order {
            let way = &ways[member.index()];
            note(kernel.suspend(way.id(), way.suspend_flags()).map(|()| true));
        }
    }
    for member in order.iter().rev() {
        note(ways[member.index()].resume(kernel, held).map(|()| true));
    }
    trouble
}

/// The rollback of one member.
struct WayBack<'m> {
    member: &'m Member,
    /// The old table, with the numbers that its lower devices have now.
    old: Table,
    /// The table to load so that the kernel shows the old one again.
    load: Table,
    /// The new table. One that was let go is read from the kernel, before it is swapped back.
    new: Table,
}

impl<'m> WayBack<'m> {
    fn of(member: &'m Member, undo: &Undo<'_>) -> Self {
        let old = undo.as_now(&member.old.rows);
        let live = || undo.kernel.device(&member.id, Slot::Live).ok().flatten();
        let read = || live().map(|now| rows::to_load_again(&now.table)).unwrap_or_default();
        let new = member.new.clone().unwrap_or_else(read);
        Self { member, load: rows::to_load_again(&old), old, new }
    }

    fn id(&self) -> &Id {
        &self.member.id
    }

    fn layer(&self) -> Layer<'_> {
        Layer { number: self.member.number, table: &self.old, through: &self.member.through.old }
    }

    /// Tries once more to put back a device that did not come back with its stack. Returns the error of that.
    fn retry(&self, kernel: &dyn ChangeKernel, held: &UndoLog) -> Option<KernelError> {
        if self.is_back(kernel) {
            return None;
        }
        let error = attempt(kernel, held, slice::from_ref(self));
        if !self.is_back(kernel) {
            // The devices are read afterwards, which shows how far that got.
            let _ = self.through_error(kernel, held);
        }
        if !self.is_back(kernel) {
            self.serve_at_least(kernel);
        }
        error
    }

    fn suspend_flags(&self) -> Suspend {
        self.member.suspend
    }

    fn was_suspended(&self) -> bool {
        self.member.suspended
    }

    fn load_old(&self, kernel: &dyn ChangeKernel) -> Result<(), KernelError> {
        kernel.load(self.id(), &self.load, self.member.old.access)
    }

    fn load_new(&self, kernel: &dyn ChangeKernel) -> Result<(), KernelError> {
        kernel.load(self.id(), &self.new, self.member.access)
    }

    /// Prepares the device for its old table. Returns whether that had to be loaded again.
    fn stage(&self, kernel: &dyn ChangeKernel) -> Result<bool, KernelError> {
        let Some(now) = kernel.device(self.id(), Slot::Live)? else { return Ok(false) };
        let is_old = *now.table == *self.old && now.info.access() == self.member.old.access;
        // A table that was only loaded again looks at the sizes below: it has to look once more, or it goes on with what is
        // no longer there.
        let looks_below = self.new == self.load;
        if is_old && !looks_below {
            if now.info.inactive_table {
                kernel.clear(self.id())?;
            }
            return Ok(false);
        }
        self.load_old(kernel)?;
        Ok(true)
    }

    /// Resumes the device, unless it was suspended before.
    fn resume(&self, kernel: &dyn ChangeKernel, held: &UndoLog) -> Result<(), KernelError> {
        let Some(now) = kernel.device(self.id(), Slot::Live)? else { return Ok(()) };
        if now.info.inactive_table || (now.info.suspended && !self.was_suspended()) {
            let resuming = Resuming { rows: &self.load, id: self.id() };
            hold::around_resume(kernel, held, &resuming, || kernel.resume(self.id()))?;
        } else if now.info.suspended {
            return Ok(());
        }
        if self.was_suspended() { kernel.suspend(self.id(), self.suspend_flags()) } else { Ok(()) }
    }

    /// Brings back an old table that the kernel does not accept in place of the new one, such as another type in place
    /// of verity: it does accept `error`, and any table in place of `error`. Not while the device is open, because its
    /// users would get errors.
    fn through_error(&self, kernel: &dyn ChangeKernel, held: &UndoLog) -> Result<(), KernelError> {
        let Some(now) = kernel.device(self.id(), Slot::Live)? else { return Ok(()) };
        if now.info.open_count > 0 || now.table.is_empty() || self.has_old_table(&now) {
            return Ok(());
        }
        let error = RawRow::new(0, table::sectors(&now.table), "error", String::new());
        kernel.load(self.id(), &[error], self.member.old.access)?;
        kernel.resume(self.id())?;
        let back = self.load_old(kernel).and_then(|()| self.resume(kernel, held));
        if back.is_err() {
            // Better the new table than errors.
            let _ = self.load_new(kernel).and_then(|()| kernel.resume(self.id()));
        }
        back
    }

    /// Resumes a device on its new table when the old one is refused: some changes can't be undone. A thin pool that was
    /// given more space can't be made smaller.
    fn serve_at_least(&self, kernel: &dyn ChangeKernel) {
        if self.is_held(kernel) {
            // The device is read afterwards, and its state is reported then.
            let _ = self.load_new(kernel);
            let _ = kernel.resume(self.id()).or_else(|_| kernel.resume(self.id()));
        }
    }

    /// Whether the device is suspended, and was not.
    fn is_held(&self, kernel: &dyn ChangeKernel) -> bool {
        let now = kernel.device(self.id(), Slot::Live);
        !self.was_suspended() && now.is_ok_and(|now| now.is_some_and(|now| now.info.suspended))
    }

    /// Whether the device is as it was. A device that can't be read is not.
    fn is_back(&self, kernel: &dyn ChangeKernel) -> bool {
        let Ok(Some(now)) = kernel.device(self.id(), Slot::Live) else { return false };
        let info = &now.info;
        !info.inactive_table && info.suspended == self.was_suspended() && self.has_old_table(&now)
    }

    fn has_old_table(&self, now: &DeviceState) -> bool {
        let access = self.member.old.access;
        if *now.table == *self.old {
            return now.info.access() == access;
        }
        // The kernel may print a table differently than before, and mean the same.
        let old = table::understand(&self.old);
        old.is_ok_and(|old| diff::compare(&old, access, now) == Verdict::Equal)
    }

    /// Describes what is left of the device.
    fn left(&self, kernel: &dyn ChangeKernel, error: Option<KernelError>) -> Remnant {
        let name = self.member.name.clone();
        let state = match kernel.device(self.id(), Slot::Live).ok().flatten() {
            None => RemnantState::Unreadable { name },
            Some(now) if !self.has_old_table(&now) => {
                RemnantState::NewTable { name, suspended: now.info.suspended, old: None }
            }
            // A resume would make the table in that slot live. Who suspended the device tells of the resume after it.
            Some(now) if now.info.inactive_table && now.info.suspended && self.was_suspended() => {
                RemnantState::InactiveTable { name }
            }
            Some(now) if now.info.suspended => RemnantState::Suspended { name },
            Some(_) => RemnantState::Unlike { name },
        };
        Remnant::new(state, self.id(), error)
    }
}
