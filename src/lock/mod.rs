//! One dmctl at a time: an advisory lock on a file, held while a kernel is changed.
//!
//! The lock is that of flock(2), so it ends with the process that holds it, however that ends. The file stays: if it
//! were removed, two processes could lock two files of one name. While the lock is held the file names its holder, so
//! that a process that waits can report it. Only its owner can open the file: flock(2) asks for no more than that.

mod attempt;
mod holder;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use nix::sys::statvfs::{FsFlags, statvfs};
use thiserror::Error;

pub use crate::files::Unfit;
pub use holder::Holder;

use crate::files::private::OwnError;
use crate::identity::printable_path;
use attempt::Attempt;

/// The path of the lock for the running kernel, where its folder can be written.
pub const LIVE: &str = "/run/dmctl.lock";

/// A flag that is never set: the wait is not ended early.
static NEVER: AtomicBool = AtomicBool::new(false);

/// The name of the lock for the running kernel, in whichever folder it is.
pub(crate) const FILE: &str = "dmctl.lock";

/// The folders that the lock for the running kernel may be in, the first that can be written. Only root writes to them.
const FOLDERS: [&str; 2] = ["/run", "/dev"];

/// Returns the folder of the lock for the running kernel: `/run`, or `/dev` where that is missing or on a read-only file
/// system, as in an initramfs or a container.
pub(crate) fn live_folder() -> &'static Path {
    let is_writable =
        |folder: &&str| statvfs(*folder).is_ok_and(|found| !found.flags().contains(FsFlags::ST_RDONLY));
    Path::new(FOLDERS.into_iter().find(is_writable).unwrap_or(FOLDERS[0]))
}

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(25);

/// Why the lock was not taken.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process holds the lock.
    #[error("{holder} holds the lock {}", printable_path(.path))]
    Held {
        /// The path of the lock file.
        path: PathBuf,
        /// The process that holds it.
        holder: Holder,
    },
    /// Something else is in the place of the lock file.
    #[error("the lock {} can't be taken: {unfit}", printable_path(.path))]
    Unfit {
        /// The path of the lock file.
        path: PathBuf,
        /// What is there.
        unfit: Unfit,
    },
    /// The lock file can't be opened or locked.
    #[error("the lock {} can't be taken: {source}", printable_path(.path))]
    Unusable {
        /// The path of the lock file.
        path: PathBuf,
        /// The answer of the system.
        source: io::Error,
    },
}

/// A lock that is held. Dropping it releases the lock.
#[derive(Debug)]
pub struct Lock {
    file: File,
    /// The file that had the name before, which a process that opened it then may wait for.
    _replaced: Option<File>,
}

impl Lock {
    /// Takes the lock, and waits up to `patience` while another process holds it. `command` is shown to processes that
    /// find the lock taken, so it must not contain a key.
    ///
    /// ```
    /// use std::time::Duration;
    /// use dmctl::lock::{Lock, LockError};
    ///
    /// let folder = tempfile::tempdir().unwrap();
    /// let path = folder.path().join("lock");
    /// let held = Lock::acquire(&path, Duration::ZERO, "dmctl create data").unwrap();
    /// let error = Lock::acquire(&path, Duration::ZERO, "dmctl remove data").unwrap_err();
    /// assert!(matches!(error, LockError::Held { holder, .. } if holder.command == "dmctl create data"));
    /// drop(held);
    /// assert!(Lock::acquire(&path, Duration::ZERO, "dmctl remove data").is_ok());
    /// ```
    ///
    /// # Errors
    ///
    /// [`LockError::Held`] with the holder when the time is up; [`LockError::Unfit`] for a folder, a link, a pipe or
    /// another user's file in its place; [`LockError::Unusable`] for a file that can't be opened or locked.
    pub fn acquire(path: &Path, patience: Duration, command: &str) -> Result<Self, LockError> {
        Self::acquire_unless(path, patience, command, &NEVER, None)
    }

    /// Takes the lock as [`acquire`](Self::acquire) does, and ends the wait as soon as `stop` is true. `owner` is a user
    /// besides root and this one that may own the file.
    pub(crate) fn acquire_unless(
        path: &Path,
        patience: Duration,
        command: &str,
        stop: &AtomicBool,
        owner: Option<u32>,
    ) -> Result<Self, LockError> {
        let attempt = Attempt { path, owner, end: Instant::now() + patience, stop };
        let failed = |(path, error)| match error {
            OwnError::Failed(source) => LockError::Unusable { path, source },
            OwnError::Unfit(unfit) => LockError::Unfit { path, unfit },
        };
        match attempt.take().map_err(failed)? {
            Ok(mut lock) => {
                // The entry only helps the next process to name this one: a full disk must not end with it.
                let _ = holder::write_entry(&mut lock.file, command);
                Ok(lock)
            }
            Err(holder) => Err(LockError::Held { path: path.to_path_buf(), holder }),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The next holder overwrites the entry anyway; an empty file only spares a reader a stale name.
        let _ = self.file.set_len(0);
    }
}

#[cfg(test)]
mod tests {
    use std::{process, thread};

    use super::*;

    /// How long the lock is held while another thread tries: longer than a few tries, of which nothing tells.
    const HELD: Duration = Duration::from_millis(80);

    #[test]
    fn the_holder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let _held = Lock::acquire(&path, Duration::ZERO, "dmctl create a\nb").unwrap();
        let error = Lock::acquire(&path, Duration::from_millis(60), "dmctl list").unwrap_err();
        let expected =
            format!("another dmctl, process {} (`dmctl create a b`), holds the lock", process::id());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }

    #[test]
    fn a_lock_that_is_let_go_in_time_is_had() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Lock::acquire(&path, Duration::ZERO, "first").unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| Lock::acquire(&path, Duration::from_secs(10), "second").is_ok());
            thread::sleep(HELD);
            drop(held);
            assert!(waiting.join().unwrap());
        });
    }

    #[test]
    fn what_is_no_lock_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = Lock::acquire(&folder.path().join("no/lock"), Duration::ZERO, "x").unwrap_err();
        assert!(matches!(error, LockError::Unusable { .. }), "{error}");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &link).unwrap();
        assert!(Lock::acquire(&link, Duration::ZERO, "x").is_err());
        assert!(!folder.path().join("elsewhere").exists());
    }

    #[test]
    fn another_program_is_named_by_the_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = File::create(&path).unwrap();
        held.lock().unwrap();
        let error = Lock::acquire(&path, Duration::ZERO, "dmctl create data").unwrap_err().to_string();
        assert!(error.starts_with(&format!("process {} (`", process::id())), "{error}");
    }
}
