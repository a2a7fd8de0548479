//! The record of an apply that is to be confirmed, as every process can read it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

use super::TOKEN;
use crate::identity::printable;

/// The largest record that is read, in bytes.
const MAX_RECORD: u64 = 1 << 20;

/// The phase of an apply that is to be confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    Applying,
    /// The process waits to be confirmed.
    Waiting,
    /// It was not confirmed in time: the process undoes its steps.
    #[serde(rename = "putting-back")]
    RollingBack,
    /// Every step was undone.
    #[serde(rename = "put-back")]
    RolledBack,
    /// Not every step could be undone.
    Failed,
}

/// The content of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The phase of the apply.
    pub phase: Phase,
    /// The id of the process.
    pub pid: u32,
    /// The count of the steps that are applied.
    pub steps: usize,
    /// The time until which the process waits; after a rollback, the time of its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The steps that could not be undone, a sentence each with advice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    /// The name of the token, beside the record.
    pub(super) token: PathBuf,
}

/// The state of an apply that is to be confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ConfirmState {
    /// The content of a record.
    #[serde(flatten)]
    pub record: Record,
    /// Whether the process still runs.
    pub alive: bool,
}

impl ConfirmState {
    /// Reads the record at `path`. `None` where there is not one, or its content is not a record.
    ///
    /// # Errors
    ///
    /// The error of the system when the file can't be read or locked.
    pub(crate) fn read(path: &Path) -> io::Result<Option<Self>> {
        Ok(open(path)?.map(|(state, _)| state))
    }

    /// Describes the state in a sentence, with advice. `now` gives the time that is left.
    pub(crate) fn describe(&self, now: Timestamp) -> String {
        let Record { phase, pid, steps, until, left, .. } = &self.record;
        let steps = if *steps == 1 { "1 step".to_string() } else { format!("{steps} steps") };
        let time = until.map(|until| until.strftime("%H:%M:%S UTC").to_string()).unwrap_or_default();
        match (phase, self.alive) {
            (Phase::Applying, true) => format!("process {pid} applies {steps}, to be confirmed afterwards"),
            (Phase::Waiting, true) => {
                let seconds = until.map_or(0, |until| (until.as_second() - now.as_second()).max(0));
                format!(
                    "waiting for `dmctl confirm` until {time} ({seconds} s from now), then rolls back {steps}"
                )
            }
            (Phase::RollingBack, true) => format!("not confirmed in time: process {pid} rolls back {steps}"),
            (Phase::Waiting, false) => format!(
                "process {pid} waited for `dmctl confirm` and was killed: its changes ({steps}) stay applied, \
                 and are not rolled back any more; `dmctl confirm` clears this"
            ),
            (Phase::Applying | Phase::RollingBack, false) => format!(
                "process {pid} was killed while it applied or rolled back {steps}; `dmctl repair`, or `dmctl \
                 apply` with the map that is wanted, goes on from there, `dmctl confirm` clears this"
            ),
            (Phase::RolledBack, _) => format!("not confirmed in time: rolled back {steps} at {time}"),
            (Phase::Failed, _) => left.iter().fold(
                format!("not confirmed in time, and not all of {steps} could be rolled back at {time}:"),
                |text, left| format!("{text}\n  {}", printable(left)),
            ),
        }
    }
}

/// Opens the record at `path`, and reads the state in it.
pub(super) fn open(path: &Path) -> io::Result<Option<(ConfirmState, File)>> {
    loop {
        let mut file = match File::options().read(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut text = String::new();
        Read::take(&mut file, MAX_RECORD).read_to_string(&mut text)?;
        // A forged record must not name a file that is not a token.
        let ours = |record: &Record| record.token.to_str().is_some_and(|token| token.starts_with(TOKEN));
        let Some(record) = serde_json::from_str::<Record>(&text).ok().filter(ours) else { return Ok(None) };
        let alive = match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => false,
        };
        // A record that was replaced is unlocked, although its process still runs: read the new one.
        let replaced =
            !fs::metadata(path).is_ok_and(|now| file.metadata().is_ok_and(|was| was.ino() == now.ino()));
        if alive || !replaced {
            return Ok(Some((ConfirmState { record, alive }, file)));
        }
    }
}
