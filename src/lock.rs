//! One dmctl at a time: an advisory lock on a file, held while a kernel is changed.
//!
//! The lock is flock(2)'s, so it ends with the process that holds it, however that ends. The file stays: to
//! remove it would let two processes lock two files of one name. While the lock is held the file says by
//! whom, so that whoever has to wait can be told.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use std::{fmt, process};

use nix::fcntl::OFlag;
use nix::sys::stat::{major, minor};
use thiserror::Error;

use crate::identity::printable;

/// The lock of the running kernel.
pub const LIVE: &str = "/run/dmctl.lock";

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(25);

/// How often the holder's entry is read again when it is not there yet.
const GLANCES: u32 = 4;

/// The most that is read of a holder's entry, in bytes.
const ENTRY: u64 = 4096;

/// Why the lock could not be had.
#[derive(Debug, Error)]
pub enum LockError {
    /// Someone else holds it.
    #[error("{holder} holds the lock {}", printable(&.path.to_string_lossy()))]
    Held {
        /// The lock file.
        path: PathBuf,
        /// Who holds it.
        holder: Holder,
    },
    /// The file can't be opened, locked or written.
    #[error("the lock {} can't be taken: {source}", printable(&.path.to_string_lossy()))]
    Unusable {
        /// The lock file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

/// Who holds a lock: a dmctl, as it wrote itself down, or another program, as the kernel knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holder {
    /// Its process.
    pub pid: Option<u32>,
    /// What it was told to do, without anything that may be a key; of another program only the name.
    pub command: String,
    /// Whether it is another program, such as flock(1).
    pub stranger: bool,
}

impl Holder {
    fn parse(entry: &str) -> Self {
        let line = entry.lines().next().unwrap_or_default();
        let (pid, command) = line.split_once(' ').unwrap_or((line, ""));
        Self { pid: pid.parse().ok(), command: command.to_string(), stranger: false }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) if self.stranger => write!(f, "process {pid} (`{}`)", printable(&self.command)),
            Some(pid) => write!(f, "another dmctl, process {pid} (`{}`),", printable(&self.command)),
            None => f.write_str("another dmctl"),
        }
    }
}

/// A lock that is held; dropping it lets go.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock, and waits up to `patience` for whoever holds it. `command` is shown to those who find
    /// the lock taken; it must hold no key.
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
    /// [`LockError::Held`] with the holder when the time is up, [`LockError::Unusable`] for a file that can't be
    /// used.
    pub fn acquire(path: &Path, patience: Duration, command: &str) -> Result<Self, LockError> {
        let unusable = |source| LockError::Unusable { path: path.to_path_buf(), source };
        let mut file = open(path).map_err(unusable)?;
        if !wait_for(&file, patience).map_err(unusable)? {
            return Err(LockError::Held { path: path.to_path_buf(), holder: holder(&mut file) });
        }
        write_entry(&mut file, command).map_err(unusable)?;
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The next holder writes over it anyway; an empty file only spares a reader a stale name.
        let _ = self.file.set_len(0);
    }
}

/// Opens the file, never through a link that someone may have put in its place.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)
}

/// Tries until the lock is had or the time is up; false then.
fn wait_for(file: &File, patience: Duration) -> io::Result<bool> {
    let begin = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(error);
            }
            Err(_) => {}
        }
        let left = patience.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Ok(false);
        }
        thread::sleep(PAUSE.min(left));
    }
}

fn write_entry(file: &mut File, command: &str) -> io::Result<()> {
    let line: String = command.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(format!("{} {line}\n", process::id()).as_bytes())
}

/// Who holds the lock. A holder that has just got it may not have written its entry yet.
fn holder(file: &mut File) -> Holder {
    for _ in 0..GLANCES {
        let mut entry = Vec::new();
        if read_entry(file, &mut entry).is_err() {
            break;
        }
        let holder = Holder::parse(&String::from_utf8_lossy(&entry));
        if holder.pid.is_some() {
            return holder;
        }
        thread::sleep(PAUSE);
    }
    stranger(file).unwrap_or_default()
}

/// Who holds the lock by the kernel's list, `proc_locks(5)`; none when it can't tell, as across pid namespaces.
fn stranger(file: &File) -> Option<Holder> {
    let metadata = file.metadata().ok()?;
    let (device, inode) = (metadata.dev(), metadata.ino());
    let file = format!("{:02x}:{:02x}:{inode}", major(device), minor(device));
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let pid = locks.lines().find_map(|line| pid_of(line, &file))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(Holder { pid: Some(pid), command: name.trim_end().to_string(), stranger: true })
}

/// The process of a line `1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF`, when it locks this file.
fn pid_of(line: &str, file: &str) -> Option<u32> {
    let mut words = line.split_ascii_whitespace().skip(1);
    (words.next()? == "FLOCK").then_some(())?;
    let pid = words.nth(2)?.parse().ok()?;
    (words.next()? == file && pid > 0).then_some(pid)
}

fn read_entry(file: &mut File, entry: &mut Vec<u8>) -> io::Result<usize> {
    file.rewind()?;
    Read::take(file, ENTRY).read_to_end(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            thread::sleep(Duration::from_millis(80));
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
    fn an_entry_that_is_none_is_not_believed() {
        assert_eq!(Holder::parse("garbage in here").pid, None);
        assert_eq!(Holder::parse("").to_string(), "another dmctl");
        assert_eq!(
            Holder::parse("12 dmctl apply x\n"),
            Holder { pid: Some(12), command: "dmctl apply x".into(), stranger: false }
        );
    }

    #[test]
    fn another_program_is_named_by_the_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = open(&path).unwrap();
        held.lock().unwrap();
        let error = Lock::acquire(&path, Duration::ZERO, "dmctl create data").unwrap_err().to_string();
        assert!(error.starts_with(&format!("process {} (`", process::id())), "{error}");
    }

    #[test]
    fn a_line_of_the_kernels_list_is_read() {
        let line = "1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF";
        assert_eq!(pid_of(line, "fd:01:5678"), Some(1234));
        assert_eq!(pid_of(line, "fd:01:5679"), None);
        assert_eq!(pid_of(&line.replace("FLOCK", "POSIX"), "fd:01:5678"), None);
        assert_eq!(pid_of("1: -> FLOCK  ADVISORY  WRITE 99 fd:01:5678 0 EOF", "fd:01:5678"), None);
    }
}
