//! An apply that waits to be confirmed, in the process that carries it out.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use jiff::Timestamp;

use super::{Phase, Record, RecordError, RecordPlace, TEMPORARY, TOKEN, forget, record, remove};
use crate::files::{folder, sweep};

/// The side of the process that applies and waits: it writes the record and holds the token. The process must hold
/// the lock of the kernel.
#[derive(Debug)]
pub(crate) struct PendingApply {
    path: PathBuf,
    record: Record,
    token: PathBuf,
    /// The file of the token, locked as long as this process lives: one that is not locked was left by a killed process.
    _token: File,
    /// The file of the record, locked as long as this process lives.
    held: Option<File>,
}

impl PendingApply {
    /// Writes the record before `steps` steps are applied. Those that `staying` describes are not undone.
    ///
    /// # Errors
    ///
    /// The error of the system when the record or the token can't be written.
    pub(crate) fn begin(
        place: &RecordPlace,
        steps: usize,
        staying: Vec<String>,
    ) -> Result<Self, RecordError> {
        place.prepare()?;
        match forget(place) {
            // What is not a record is replaced by one.
            Err(RecordError::Unfit { .. }) => {}
            forgotten => forgotten?,
        }
        let path = place.path();
        for prefix in [TOKEN, TEMPORARY] {
            sweep(path, prefix);
        }
        let token = tempfile::Builder::new().prefix(TOKEN).tempfile_in(folder(path));
        let token = token.and_then(|token| Ok(token.keep()?)).map_err(place.failed())?;
        let (locked, token) = token;
        if let Err(error) = locked.try_lock() {
            let _ = remove(&token);
            return Err(place.failed()(error.into()));
        }
        let name = token.file_name().map(PathBuf::from).unwrap_or_default();
        let record = Record {
            phase: Phase::Applying,
            pid: process::id(),
            steps,
            staying,
            until: None,
            deadline: None,
            left: Vec::new(),
            token: name,
        };
        let mut pending = Self { path: path.to_path_buf(), record, token, _token: locked, held: None };
        if let Err(error) = pending.write() {
            let _ = remove(&pending.token);
            return Err(place.failed()(error));
        }
        Ok(pending)
    }

    /// Writes into the record that the process waits until `until`, which is `within` from now on.
    ///
    /// # Errors
    ///
    /// The error of the system when the record can't be written.
    pub(crate) fn wait_until(&mut self, until: Timestamp, within: Duration) -> io::Result<()> {
        let within = i64::try_from(within.as_millis()).unwrap_or(i64::MAX);
        (self.record.phase, self.record.until) = (Phase::Waiting, Some(until));
        self.record.deadline = Some(record::monotonic().saturating_add(within));
        self.write()
    }

    /// Returns the count of the steps that are applied.
    pub(crate) fn steps(&self) -> usize {
        self.record.steps
    }

    /// Returns the path of the token, which a confirmation removes.
    pub(crate) fn token(&self) -> &Path {
        &self.token
    }

    /// Decides that the steps are undone. `false` when the apply was confirmed before.
    pub(crate) fn begin_rollback(&mut self) -> bool {
        // A token that can't be removed is still there, so the apply was not confirmed.
        let decided = remove(&self.token).unwrap_or(true);
        if decided {
            self.record.phase = Phase::RollingBack;
            // The rollback matters more than its record.
            let _ = self.write();
        }
        decided
    }

    /// Writes into the record that the rollback has ended; `left` are the steps that could not be undone, a sentence
    /// each.
    ///
    /// # Errors
    ///
    /// The error of the system when the record can't be written.
    pub(crate) fn end_rollback(&mut self, now: Timestamp, left: Vec<String>) -> io::Result<()> {
        let phase = if left.is_empty() { Phase::RolledBack } else { Phase::Failed };
        (self.record.phase, self.record.until, self.record.left) = (phase, Some(now), left);
        self.write()
    }

    /// Removes the record and the token: nothing was applied, or the apply was confirmed.
    ///
    /// # Errors
    ///
    /// The error of the system when a file can't be removed.
    pub(crate) fn discard(&self) -> io::Result<()> {
        remove(&self.path)?;
        remove(&self.token).map(drop)
    }

    /// Replaces the record atomically. No other user can open the file, before it is locked or afterwards: tempfile makes
    /// it with mode 0600. Its lock is not waited for all the same.
    fn write(&mut self) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(folder(&self.path))?;
        file.as_file().try_lock()?;
        file.write_all(serde_json::to_string(&self.record)?.as_bytes())?;
        self.held = Some(file.persist(&self.path)?);
        Ok(())
    }
}
