//! An apply that waits to be confirmed: what everybody can know of it, and how it is decided.
//!
//! The process that applied waits, with all that puts things back in its memory. Beside the lock it leaves two
//! files. The *record* says what it is at, for `status`, and is locked by it, so that one that was killed is known.
//! The *token* decides: whoever removes it, be it to confirm or to put back, has decided, and the other finds it
//! gone. A token has a name of its own each time.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;

use jiff::Timestamp;
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

use crate::identity::printable;

/// The record of the running kernel.
pub const LIVE: &str = "/run/dmctl-confirm.json";

/// The most that is read of a record, in bytes.
const LONGEST: u64 = 1 << 20;

/// What the name of a token begins with.
const TOKEN: &str = ".dmctl-unconfirmed-";

/// What the process is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It applies.
    Applying,
    /// It waits to be confirmed.
    Waiting,
    /// Nobody confirmed in time: it puts things back.
    PuttingBack,
    /// It put everything back.
    PutBack,
    /// It could not put everything back.
    Failed,
}

/// What is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What it is at.
    pub phase: Phase,
    /// Its process.
    pub pid: u32,
    /// How many steps were applied.
    pub steps: usize,
    /// Until when it waits; of what was put back, when that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What could not be put back, and what to do about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    /// The name of the token, beside the record.
    token: PathBuf,
}

/// What is found by somebody who looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// What is written down.
    #[serde(flatten)]
    pub record: Record,
    /// Whether the process is still there.
    pub alive: bool,
}

/// What became of an attempt to confirm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// What was applied stays.
    Kept,
    /// Nothing waits.
    Nothing,
    /// It is still being applied.
    TooEarly(Found),
    /// It is put back, or was, or could not be, or the process is gone. The record was removed if nobody works on
    /// it any more.
    TooLate(Found),
}

impl Found {
    /// Reads the record at `path`, if there is one. One that can't be understood is none: nothing depends on it.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        Ok(look(path)?.map(|(found, _)| found))
    }

    /// In a sentence, with what to do. `now` tells how much time there is left.
    #[must_use]
    pub fn says(&self, now: Timestamp) -> String {
        let Record { phase, pid, steps, until, left, .. } = &self.record;
        let steps = if *steps == 1 { "1 step".to_string() } else { format!("{steps} steps") };
        let time = until.map(|until| until.strftime("%H:%M:%S UTC").to_string()).unwrap_or_default();
        match (phase, self.alive) {
            (Phase::Applying, true) => format!("process {pid} applies {steps}, to be confirmed afterwards"),
            (Phase::Waiting, true) => {
                let seconds = until.map_or(0, |until| (until.as_second() - now.as_second()).max(0));
                format!(
                    "waiting for `dmctl confirm` until {time} ({seconds} s from now), or {steps} are put back"
                )
            }
            (Phase::PuttingBack, true) => format!("not confirmed in time: process {pid} puts {steps} back"),
            (Phase::Waiting, false) => format!(
                "process {pid} waited for `dmctl confirm` and was killed: {steps} stay applied and are not put back any \
                 more; `dmctl confirm` clears this"
            ),
            (Phase::Applying | Phase::PuttingBack, false) => format!(
                "process {pid}, which applied {steps} or put them back, was killed on its way; `dmctl repair`, or `dmctl \
                 apply` with the map that is wanted, goes on from there, `dmctl confirm` clears this"
            ),
            (Phase::PutBack, _) => format!("not confirmed in time: {steps} were put back at {time}"),
            (Phase::Failed, _) => left.iter().fold(
                format!("not confirmed in time, and {steps} could not all be put back at {time}:"),
                |says, left| format!("{says}\n  {}", printable(left)),
            ),
        }
    }
}

/// The record at `path`, and its file.
fn look(path: &Path) -> io::Result<Option<(Found, File)>> {
    loop {
        let mut file = match File::options().read(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut text = String::new();
        Read::take(&mut file, LONGEST).read_to_string(&mut text)?;
        // Nor does a forged one lead to any other file.
        let ours = |record: &Record| record.token.to_str().is_some_and(|token| token.starts_with(TOKEN));
        let Some(record) = serde_json::from_str::<Record>(&text).ok().filter(ours) else { return Ok(None) };
        let alive = match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => false,
        };
        // A record that was replaced is let go, and does not tell that anybody is gone.
        let replaced =
            !fs::metadata(path).is_ok_and(|now| file.metadata().is_ok_and(|was| was.ino() == now.ino()));
        if alive || !replaced {
            return Ok(Some((Found { record, alive }, file)));
        }
    }
}

/// Confirms what waits at `path`. Returns when the process that waited has ended.
pub fn confirm(path: &Path) -> io::Result<Outcome> {
    loop {
        let Some((found, file)) = look(path)? else { return Ok(Outcome::Nothing) };
        match (found.record.phase, found.alive) {
            (Phase::Applying, true) => return Ok(Outcome::TooEarly(found)),
            (Phase::PuttingBack, true) => return Ok(Outcome::TooLate(found)),
            // Who removes the token has decided; where it is gone somebody else did, and it is looked again.
            (Phase::Waiting, true) => {
                let decided = remove(&beside(path, &found.record.token))?;
                // The process holds the lock of its record until it writes another one, or ends.
                file.lock_shared()?;
                if decided {
                    return Ok(Outcome::Kept);
                }
            }
            (Phase::PutBack | Phase::Failed, true) => file.lock_shared()?,
            (_, false) => {
                forget(path)?;
                return Ok(Outcome::TooLate(found));
            }
        }
    }
}

/// Removes what is left at `path` of an apply that nobody works on any more.
pub fn forget(path: &Path) -> io::Result<()> {
    let Some(found) = Found::read(path)?.filter(|found| !found.alive) else { return Ok(()) };
    remove(&beside(path, &found.record.token))?;
    remove(path).map(drop)
}

/// The post of the process that waits. Only whoever holds the lock of the kernel may have it.
#[derive(Debug)]
pub struct Post {
    path: PathBuf,
    record: Record,
    token: PathBuf,
    /// The record's file, locked for as long as this process lives.
    held: Option<File>,
}

impl Post {
    /// Writes down that `steps` steps are going to be applied.
    pub fn take(path: &Path, steps: usize) -> io::Result<Self> {
        forget(path)?;
        let (_, token) = tempfile::Builder::new().prefix(TOKEN).tempfile_in(folder(path))?.keep()?;
        let name = token.file_name().map(PathBuf::from).unwrap_or_default();
        let record = Record {
            phase: Phase::Applying,
            pid: process::id(),
            steps,
            until: None,
            left: Vec::new(),
            token: name,
        };
        let mut post = Self { path: path.to_path_buf(), record, token, held: None };
        post.write()?;
        Ok(post)
    }

    /// Writes down that it is waited until then.
    pub fn wait_until(&mut self, until: Timestamp) -> io::Result<()> {
        (self.record.phase, self.record.until) = (Phase::Waiting, Some(until));
        self.write()
    }

    /// How many steps were applied.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.record.steps
    }

    /// The file that is gone once it is confirmed.
    #[must_use]
    pub fn token(&self) -> &Path {
        &self.token
    }

    /// Decides that everything is put back; false when it was confirmed before.
    pub fn give_up(&mut self) -> bool {
        // A token that can't be removed was not removed by anybody else.
        let decided = remove(&self.token).unwrap_or(true);
        if decided {
            self.record.phase = Phase::PuttingBack;
            // That it is put back matters more than that it is known.
            let _ = self.write();
        }
        decided
    }

    /// Writes down how putting back ended.
    pub fn put_back(&mut self, now: Timestamp, left: Vec<String>) -> io::Result<()> {
        let phase = if left.is_empty() { Phase::PutBack } else { Phase::Failed };
        (self.record.phase, self.record.until, self.record.left) = (phase, Some(now), left);
        self.write()
    }

    /// Removes everything: nothing was applied, or it was confirmed.
    pub fn leave(&self) -> io::Result<()> {
        remove(&self.path)?;
        remove(&self.token).map(drop)
    }

    /// Replaces the record, whole.
    fn write(&mut self) -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(".dmctl-confirm-")
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(folder(&self.path))?;
        file.write_all(serde_json::to_string(&self.record)?.as_bytes())?;
        file.as_file().lock()?;
        self.held = Some(file.persist(&self.path)?);
        Ok(())
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file beside the record, by its name alone.
fn beside(path: &Path, name: &Path) -> PathBuf {
    folder(path).join(name.file_name().unwrap_or_default())
}

/// Removes a file; false when there is none.
fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        outcome => outcome.map(|()| true),
    }
}
