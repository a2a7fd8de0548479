//! Tells whether a file is open for writing, and by which processes.
//!
//! The kernel answers the first by a lease, whatever path, namespace or container the writer came by. Which process it is
//! only /proc tells, and only of the processes that can be seen from here. Where there are no leases (a network file
//! system, a file of another user) /proc alone answers.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;
use rustix::fs::{AtFlags, CWD, Statx, StatxFlags, statx};

use super::openers::processes;
use super::raw;
use super::users::lossy;

/// The processes that have a file open for writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Writers {
    /// Their commands and numbers, sorted by number; empty where none of them can be seen from here.
    pub(crate) processes: Vec<(String, u32)>,
}

/// Returns the writers of the regular file at `path`; `None` where the file is not open for writing, or does not exist.
///
/// # Errors
///
/// The error of the system: the file can't be opened.
pub(crate) fn writers(path: &Path) -> io::Result<Option<Writers>> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = match File::options().read(true).custom_flags(flags.bits()).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let found = || Writers { processes: identity(path).map(|own| writing(&own)).unwrap_or_default() };
    Ok(match raw::is_open_for_writing(file.as_fd()) {
        Ok(open) => open.then(found),
        Err(_) => Some(found()).filter(|writers| !writers.processes.is_empty()),
    })
}

/// Reads what identifies a file. Only facts that the kernel has in memory are read: a network file system whose server is
/// gone would not answer.
fn identity(path: &Path) -> Option<(u32, u32, u64)> {
    let numbers = |found: Statx| (found.stx_dev_major, found.stx_dev_minor, found.stx_ino);
    statx(CWD, path, AtFlags::STATX_DONT_SYNC, StatxFlags::INO).ok().map(numbers)
}

/// Lists the processes that have a file open for writing.
fn writing(file: &(u32, u32, u64)) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for (pid, folder) in processes() {
        let entries = fs::read_dir(folder.join("fd")).into_iter().flatten().flatten();
        let mut same = entries.filter(|entry| identity(&entry.path()).as_ref() == Some(file));
        if same.any(|entry| is_writable(&folder.join("fdinfo").join(entry.file_name()))) {
            let command = lossy(&folder.join("comm")).unwrap_or_default();
            found.push((command.trim_end().to_string(), pid));
        }
    }
    found
}

/// Returns whether an open file may be written to, by its `flags` in proc(5), in octal.
fn is_writable(info: &Path) -> bool {
    let text = lossy(info).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| OFlag::from_bits_truncate(flags) & OFlag::O_ACCMODE != OFlag::O_RDONLY)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_writer_is_found_while_it_has_the_file_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.toml");
        assert_eq!(writers(&path).unwrap(), None);
        fs::write(&path, "").unwrap();
        assert_eq!(writers(&path).unwrap(), None);
        let file = File::options().append(true).open(&path).unwrap();
        // This process is not listed, but its file is open all the same.
        assert_eq!(writers(&path).unwrap(), Some(Writers { processes: Vec::new() }));
        let mut child = Command::new("sleep").arg("30").stdout(Stdio::from(file)).spawn().unwrap();
        // Between fork and exec the child is still called as its parent.
        let seen = writers(&path).unwrap().unwrap();
        assert_eq!(seen.processes.iter().map(|(_, pid)| *pid).collect::<Vec<_>>(), [child.id()]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(writers(&path).unwrap(), None);
    }
}
