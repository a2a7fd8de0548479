//! An apply that waits to be confirmed: its state, which every process can read, and how it is decided.
//!
//! The process that applied waits, and keeps in its memory how to undo each step. Beside the lock it leaves two
//! files. The *record* holds its phase, for `status`; the process locks it, so that a reader can tell that the process
//! was killed. The *token* decides: the process that removes it, to confirm or to put back, has decided, and the other
//! finds it gone. Each apply has a token with another name. No other user can open either, so none can lock the record;
//! and nothing here waits for a lock without an end.

mod pending;
mod place;
mod record;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use pending::PendingApply;
pub(crate) use place::{RecordError, RecordPlace};
pub(crate) use record::{ConfirmState, Phase, Record};

/// How long a process that has decided may take to end.
const ENDING: Duration = Duration::from_secs(10);

/// The pause between two looks at it.
const PAUSE: Duration = Duration::from_millis(10);

/// The prefix of the name of a record that is being written.
const TEMPORARY: &str = ".dmctl-confirm-";

/// The prefix of the name of a token.
const TOKEN: &str = ".dmctl-unconfirmed-";

/// The outcome of an attempt to confirm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Kept,
    Nothing,
    /// The process still applies.
    TooEarly(ConfirmState),
    /// The changes are put back or were, or the process is gone. The record is removed if the process has ended.
    TooLate(ConfirmState),
}

/// Confirms the apply with the record at `place`. Returns when the process that waited has ended.
///
/// # Errors
///
/// The error of the system when the record or the token can't be read, locked or removed.
pub(crate) fn confirm(place: &RecordPlace) -> Result<Outcome, RecordError> {
    loop {
        let Some((state, file)) = record::open(place)? else { return Ok(Outcome::Nothing) };
        match (state.record.phase, state.alive) {
            (Phase::Applying, true) => return Ok(Outcome::TooEarly(state)),
            (Phase::RollingBack, true) => return Ok(Outcome::TooLate(state)),
            // The process that removes the token has decided. Where it is gone, the record is read again.
            (Phase::Waiting, true) => {
                let decided = remove(&place.beside(&state.record.token)).map_err(place.failed())?;
                // The process holds the lock of its record until it writes another one, or ends.
                let ended = ends(&file).map_err(place.failed())?;
                if decided {
                    return Ok(Outcome::Kept);
                }
                if !ended {
                    return Ok(Outcome::TooLate(state));
                }
            }
            (Phase::RolledBack | Phase::Failed, true) => {
                if !ends(&file).map_err(place.failed())? {
                    return Ok(Outcome::TooLate(state));
                }
            }
            (_, false) => {
                forget(place)?;
                return Ok(Outcome::TooLate(state));
            }
        }
    }
}

/// Waits until the record is locked no more, but not for ever. `false` when it still is.
fn ends(file: &File) -> io::Result<bool> {
    let end = Instant::now() + ENDING;
    loop {
        match file.try_lock_shared() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(error);
            }
            Err(_) if Instant::now() >= end => return Ok(false),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// Removes the record at `place` and its token, if the process of the record has ended.
///
/// # Errors
///
/// The error of the system when a file can't be read or removed.
pub(crate) fn forget(place: &RecordPlace) -> Result<(), RecordError> {
    let Some(state) = ConfirmState::read(place)?.filter(|state| !state.alive) else { return Ok(()) };
    remove(&place.beside(&state.record.token)).and_then(|_| remove(place.path())).map_err(place.failed())?;
    Ok(())
}

/// Removes a file. `false` when it does not exist.
fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        outcome => outcome.map(|()| true),
    }
}
