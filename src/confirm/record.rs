//! The record of an apply that is to be confirmed, as every process can read it.

use std::fs::{File, TryLockError};
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::{RecordError, RecordPlace, TOKEN};
use crate::files::private;
use crate::identity::printable;

/// The largest record that is read, in bytes.
const MAX_RECORD: u64 = 1 << 20;

/// The most that two clocks differ of which none was set.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(1);

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
    /// The steps among them that stay applied, whatever becomes of the others: an adoption, a message. A sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub staying: Vec<String>,
    /// The time until which the process waits; after a rollback, the time of its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The end of the wait in milliseconds of the monotonic clock, which is never set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deadline: Option<i64>,
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
    /// The seconds that are left to confirm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
}

impl ConfirmState {
    /// Reads the record at `place`. `None` where there is not one, or its content is not a record.
    ///
    /// # Errors
    ///
    /// The error of the system when the file can't be read or locked.
    pub(crate) fn read(place: &RecordPlace) -> Result<Option<Self>, RecordError> {
        Ok(open(place)?.map(|(state, _)| state))
    }

    /// Makes the state of a record that was read. The end of a wait is told by the clock of the host as it is now, which may
    /// have been set since.
    fn new(mut record: Record, alive: bool) -> Self {
        let left = record.deadline.take().filter(|_| alive && record.phase == Phase::Waiting);
        let left = left.map(|deadline| Duration::from_millis((deadline - monotonic()).max(0).unsigned_abs()));
        let until = left.and_then(|left| Timestamp::now().checked_add(left).ok());
        // Both clocks are read one after the other: a moment between them is not a clock that was set.
        let is_set = |until: &Timestamp| {
            record.until.is_none_or(|written| until.duration_since(written).abs() > CLOCKS_DIFFER)
        };
        if let Some(until) = until.filter(is_set) {
            record.until = Some(until);
        }
        Self { record, alive, seconds_left: left.map(|left| left.as_secs()) }
    }

    /// Describes the state in a sentence, with advice.
    pub(crate) fn describe(&self) -> String {
        let Record { phase, pid, steps, staying, until, left, .. } = &self.record;
        let counted = |count| if count == 1 { "1 step".to_string() } else { format!("{count} steps") };
        let undone = counted(steps.saturating_sub(staying.len()));
        let steps = counted(*steps);
        let stays: String = staying.iter().fold(String::new(), |text, step| text + "; " + &printable(step));
        let time = until.map(|until| until.strftime("%H:%M:%S UTC").to_string()).unwrap_or_default();
        match (phase, self.alive) {
            (Phase::Applying, true) => format!("process {pid} applies {steps}, to be confirmed afterwards"),
            (Phase::Waiting, true) => {
                let seconds = self.seconds_left.unwrap_or_default();
                format!(
                    "waiting for `dmctl confirm` until {time} ({seconds} s from now), then rolls back {undone}{stays}"
                )
            }
            (Phase::RollingBack, true) => {
                format!("not confirmed in time: process {pid} rolls back {undone}{stays}")
            }
            (Phase::Waiting, false) => format!(
                "process {pid} waited for `dmctl confirm` and was killed: its changes ({steps}) stay applied, \
                 and are not rolled back any more; `dmctl confirm` clears this"
            ),
            (Phase::Applying | Phase::RollingBack, false) => format!(
                "process {pid} was killed while it applied or rolled back {steps}; `dmctl repair`, or `dmctl \
                 apply` with the map that is wanted, goes on from there, `dmctl confirm` clears this"
            ),
            (Phase::RolledBack, _) => format!("not confirmed in time: rolled back {undone} at {time}{stays}"),
            (Phase::Failed, _) => left.iter().fold(
                format!(
                    "not confirmed in time, and not all of {undone} could be rolled back at {time}{stays}:"
                ),
                |text, left| format!("{text}\n  {}", printable(left)),
            ),
        }
    }
}

/// Reads the monotonic clock, in milliseconds: all processes of a host have the same one.
pub(super) fn monotonic() -> i64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// Opens the record at `place`, and reads the state in it.
pub(super) fn open(place: &RecordPlace) -> Result<Option<(ConfirmState, File)>, RecordError> {
    if !place.has_folder()? {
        return Ok(None);
    }
    loop {
        let opened = private::open_to_read(place.path(), place.owner());
        let Some(mut file) = opened.map_err(|error| RecordError::of(place.path(), error))? else {
            return Ok(None);
        };
        let mut text = String::new();
        Read::take(&mut file, MAX_RECORD).read_to_string(&mut text).map_err(place.failed())?;
        // A forged record must not name a file that is not a token.
        let ours = |record: &Record| record.token.to_str().is_some_and(|token| token.starts_with(TOKEN));
        let Some(record) = serde_json::from_str::<Record>(&text).ok().filter(ours) else { return Ok(None) };
        let alive = match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(error)) => return Err(place.failed()(error)),
            Ok(()) => false,
        };
        // A record that was replaced is unlocked, although its process still runs: read the new one.
        if alive || private::is_at(&file, place.path()).map_err(place.failed())? {
            return Ok(Some((ConfirmState::new(record, alive), file)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(phase: Phase) -> Record {
        let staying = vec!["`ad` stays adopted".to_string()];
        Record {
            phase,
            pid: 7,
            steps: 2,
            staying,
            until: None,
            deadline: None,
            left: Vec::new(),
            token: TOKEN.into(),
        }
    }

    #[test]
    fn the_time_that_is_left_does_not_follow_a_clock_that_is_set() {
        for written in ["2020-01-01T00:00:00Z", "2050-01-01T00:00:00Z"] {
            let until: Timestamp = written.parse().unwrap();
            let deadline = Some(monotonic() + 18_500);
            let record = Record { until: Some(until), deadline, ..record(Phase::Waiting) };
            let state = ConfirmState::new(record, true);
            assert_eq!(state.seconds_left, Some(18));
            let left = state.record.until.unwrap().as_second() - Timestamp::now().as_second();
            assert!((17..=19).contains(&left), "{left}");
            assert!(
                state.describe().ends_with("(18 s from now), then rolls back 1 step; `ad` stays adopted")
            );
            let over = Record { deadline: Some(monotonic() - 5), ..state.record };
            assert_eq!(ConfirmState::new(over, true).seconds_left, Some(0));
        }
    }

    #[test]
    fn a_step_that_stays_is_not_counted_as_undone() {
        let until = Some("2026-11-27T07:39:17Z".parse().unwrap());
        let state = ConfirmState::new(Record { until, ..record(Phase::RolledBack) }, false);
        assert_eq!(
            state.describe(),
            "not confirmed in time: rolled back 1 step at 07:39:17 UTC; `ad` stays adopted"
        );
        let state = ConfirmState::new(record(Phase::Waiting), false);
        assert!(state.describe().contains("its changes (2 steps) stay applied"), "{}", state.describe());
    }
}
