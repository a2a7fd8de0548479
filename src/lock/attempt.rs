//! How the file of a lock is opened and locked, and put right where other users could open it.
//!
//! A file that was open to others may be open in one of their programs still, which its mode does not change. So another
//! file takes its name. Only the process that holds the lock of that other file, under the name that it has before, may
//! put it there: two at once would otherwise lock two files.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use super::{Holder, Lock, PAUSE, holder};
use crate::files::private::{self, OwnError};

/// An attempt to take a lock.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    pub path: &'a Path,
    /// A user besides root and this one that may own the file.
    pub owner: Option<u32>,
    pub end: Instant,
    pub stop: &'a AtomicBool,
}

impl Attempt<'_> {
    /// Takes the lock, or returns its holder when the time is up. An error comes with the file that it is about.
    pub(super) fn take(&self) -> Result<Result<Lock, Holder>, (PathBuf, OwnError)> {
        // The file that is to be the lock is made beside the one that is in its place.
        let beside = beside(self.path);
        self.take_with(&beside).map_err(|error| match error {
            Failed::Beside(error) => (beside, error),
            Failed::Lock(error) => (self.path.to_path_buf(), error),
        })
    }

    fn take_with(&self, beside: &Path) -> Result<Result<Lock, Holder>, Failed> {
        loop {
            let mut file = private::open_or_create(self.path, self.owner)?;
            if private::judge_mode(&file).is_err() && private::is_of_this_user(&file)? {
                match self.replace(file, beside)? {
                    Replaced::Done(lock) => return Ok(Ok(lock)),
                    Replaced::Held(holder) if !self.pauses() => return Ok(Err(holder)),
                    Replaced::Held(_) | Replaced::ByAnother => continue,
                }
            }
            if !self.wait_for(&file)? {
                return Ok(Err(holder::of(&mut file)));
            }
            if private::is_at(&file, self.path)? {
                return Ok(Ok(Lock { file, _replaced: None }));
            }
        }
    }

    /// Puts a file that only this user can open into the place of `old`, and holds the locks of both.
    fn replace(&self, mut old: File, beside: &Path) -> Result<Replaced, Failed> {
        let mut file = private::open_or_create(beside, None).map_err(Failed::Beside)?;
        private::judge_mode(&file).map_err(Failed::Beside)?;
        if !self.wait_for(&file)? {
            return Ok(Replaced::Held(holder::of(&mut file)));
        }
        if !private::is_at(&file, beside)? {
            return Ok(Replaced::ByAnother);
        }
        if !private::is_at(&old, self.path)? {
            fs::remove_file(beside)?;
            return Ok(Replaced::ByAnother);
        }
        if !try_lock(&old)? && !holder::is_another_user(&old) {
            fs::remove_file(beside)?;
            return Ok(Replaced::Held(holder::of(&mut old)));
        }
        fs::rename(beside, self.path)?;
        Ok(Replaced::Done(Lock { file, _replaced: Some(old) }))
    }

    /// Tries to lock the file until the time is up. `false` when another process still holds the lock.
    fn wait_for(&self, file: &File) -> io::Result<bool> {
        loop {
            if try_lock(file)? {
                return Ok(true);
            }
            if !self.pauses() {
                return Ok(false);
            }
        }
    }

    /// Waits before the next try. `false` when there is not another one.
    fn pauses(&self) -> bool {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() || self.stop.load(Ordering::Relaxed) {
            return false;
        }
        thread::sleep(PAUSE.min(left));
        true
    }
}

/// Why the lock is not taken.
enum Failed {
    /// It is about the file that is made to take the place of the lock.
    Beside(OwnError),
    /// It is about the lock itself.
    Lock(OwnError),
}

impl<E: Into<OwnError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Lock(error.into())
    }
}

/// What became of a file that others could open.
enum Replaced {
    Done(Lock),
    /// A process that may hold the lock does.
    Held(Holder),
    /// Another process has replaced it, or is about to.
    ByAnother,
}

fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        Err(_) => Ok(false),
    }
}

/// Returns the name of the file before it takes the place of another.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".new");
    name.into()
}
