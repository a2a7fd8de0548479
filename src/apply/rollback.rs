//! Undoes the changes of a journal, the last one first.

use super::journal::{UndoEntry, UndoLog};
use super::remnant::RemnantState;
use super::rollback_swap::rollback_swap;
use super::undo::Undo;
use crate::kernel::Suspend;

/// Undoes every change of `journal`, the last one first.
pub(crate) fn rollback(journal: UndoLog, undo: &mut Undo<'_>) {
    undo.kernel.put_back();
    journal.backwards().for_each(|done| one(undo, done));
}

fn one(undo: &mut Undo<'_>, done: UndoEntry) {
    let kernel = undo.kernel;
    match done {
        UndoEntry::Created { id, name } => {
            if let Err(error) = undo.remove(&id) {
                undo.stays(&id, name, error);
            }
        }
        UndoEntry::Finished { shell } => {
            let outcome = undo.empty(&shell);
            undo.note(outcome, &shell.id(), RemnantState::FirstTable { name: shell.name.clone() });
        }
        // A later swap has emptied the slot; clearing it again is harmless.
        UndoEntry::Loaded { id, name } => {
            let outcome = undo.twice(|| kernel.clear(&id));
            undo.note(outcome, &id, RemnantState::InactiveTable { name });
        }
        UndoEntry::Swapped { members } => rollback_swap(undo, &members),
        UndoEntry::Renamed { id, from, to } => {
            let outcome = undo.twice(|| kernel.rename(&to, &from));
            undo.note(outcome, &id, RemnantState::Renamed { from, to });
        }
        UndoEntry::Removed { old } => undo.make_again(&old),
        UndoEntry::Kept { id, name } => {
            let outcome = undo.restore_deferred_remove(&id);
            undo.note(outcome, &id, RemnantState::Kept { name });
        }
        UndoEntry::Suspended { id, name } => {
            undo.resume(&id, &name);
        }
        UndoEntry::Resumed { id, name } => {
            let outcome = undo.twice(|| kernel.suspend(&id, Suspend::default()));
            undo.note(outcome, &id, RemnantState::Active { name });
        }
    }
}
