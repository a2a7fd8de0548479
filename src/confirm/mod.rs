//! An apply that waits to be confirmed: its state, which every process can read, and how it is decided.
//!
//! The process that applied waits, and keeps in its memory how to undo each step. Beside the lock it leaves two
//! files. The *record* holds its phase, for `status`; the process locks it, so that a reader can tell that the process
//! was killed. The *token* decides: the process that removes it, to confirm or to put back, has decided, and the other
//! finds it gone. Each apply has a token with another name.

mod pending;
mod record;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::files::folder;

pub(crate) use pending::PendingApply;
pub(crate) use record::{ConfirmState, Phase, Record};

/// The name of the record for the running kernel, beside its lock.
pub(crate) const FILE: &str = "dmctl-confirm.json";

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

/// Confirms the apply with the record at `path`. Returns when the process that waited has ended.
///
/// # Errors
///
/// The error of the system when the record or the token can't be read, locked or removed.
pub(crate) fn confirm(path: &Path) -> io::Result<Outcome> {
    loop {
        let Some((state, file)) = record::open(path)? else { return Ok(Outcome::Nothing) };
        match (state.record.phase, state.alive) {
            (Phase::Applying, true) => return Ok(Outcome::TooEarly(state)),
            (Phase::RollingBack, true) => return Ok(Outcome::TooLate(state)),
            // The process that removes the token has decided. Where it is gone, the record is read again.
            (Phase::Waiting, true) => {
                let decided = remove(&beside(path, &state.record.token))?;
                // The process holds the lock of its record until it writes another one, or ends.
                file.lock_shared()?;
                if decided {
                    return Ok(Outcome::Kept);
                }
            }
            (Phase::RolledBack | Phase::Failed, true) => file.lock_shared()?,
            (_, false) => {
                forget(path)?;
                return Ok(Outcome::TooLate(state));
            }
        }
    }
}

/// Removes the record at `path` and its token, if the process of the record has ended.
///
/// # Errors
///
/// The error of the system when a file can't be read or removed.
pub(crate) fn forget(path: &Path) -> io::Result<()> {
    let Some(state) = ConfirmState::read(path)?.filter(|state| !state.alive) else { return Ok(()) };
    remove(&beside(path, &state.record.token))?;
    remove(path).map(drop)
}

/// Returns the path of a file beside the record. Of `name` only the last part counts: a forged record must not name
/// another folder.
fn beside(path: &Path, name: &Path) -> PathBuf {
    folder(path).join(name.file_name().unwrap_or_default())
}

/// Removes a file. `false` when it does not exist.
fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        outcome => outcome.map(|()| true),
    }
}
