//! Undoes the changes of a journal, the last one first.

use super::journal::{UndoEntry, UndoLog};
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
            let outcome = undo.remove(&id);
            let message = |error| {
                format!("{name} is there and should not be: {error}; `dmctl remove {name}` removes it")
            };
            undo.note(outcome, message);
        }
        UndoEntry::Finished { shell } => {
            let outcome = undo.empty(&shell);
            let message = |error| {
                format!(
                    "{0} had no table, and can't be recreated without one: {error}; `dmctl info {0}` shows it",
                    shell.name
                )
            };
            undo.note(outcome, message);
        }
        // A later swap has emptied the slot; clearing it again is harmless.
        UndoEntry::Loaded { id, name } => {
            let outcome = undo.twice(|| kernel.clear(&id));
            let message = |error| {
                format!("{name} keeps a table in its inactive slot: {error}; `dmctl repair` clears it")
            };
            undo.note(outcome, message);
        }
        UndoEntry::Swapped { members } => rollback_swap(undo, &members),
        UndoEntry::Renamed { from, to, .. } => {
            let outcome = undo.twice(|| kernel.rename(&to, &from));
            let message =
                |error| format!("{from} is called {to}: {error}; `dmctl rename {to} {from}` renames it");
            undo.note(outcome, message);
        }
        UndoEntry::Removed { old } => {
            let outcome = undo.make_again(&old);
            let is_there = undo.is_there(&old);
            undo.note(outcome, |error| old.lost(&error, is_there));
        }
        UndoEntry::Kept { id, name } => {
            let outcome = undo.restore_deferred_remove(&id);
            let message = |error| {
                format!(
                    "{name} was to go away when it is closed, and stays: {error}; `dmctl remove {name} --deferred` lets it go"
                )
            };
            undo.note(outcome, message);
        }
        UndoEntry::Suspended { id, name } => {
            undo.resume(&id, &name);
        }
        UndoEntry::Resumed { id, name } => {
            let outcome = undo.twice(|| kernel.suspend(&id, Suspend::default()));
            let message = |error| {
                format!("{name} is not suspended as it was: {error}; `dmctl suspend {name}` suspends it")
            };
            undo.note(outcome, message);
        }
    }
}
