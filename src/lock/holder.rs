//! The process that holds a lock.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::{fmt, process, thread};

use nix::sys::stat::{major, minor};
use rustix::process::geteuid;

use super::PAUSE;
use crate::identity::printable;

/// The most often that an entry is read which is not written yet.
const MAX_READS: u32 = 4;

/// The most that is read of an entry, in bytes.
const MAX_ENTRY: u64 = 4096;

/// The process that holds a lock: a dmctl, by the entry it wrote, or another program, by the list of the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holder {
    /// The id of the process, where it is known.
    pub pid: Option<u32>,
    /// The command line of a dmctl, without anything that may be a key; of another program only the name.
    pub command: String,
    /// Whether the process is another program, such as flock(1).
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

/// Writes the entry of this process.
pub(super) fn write_entry(file: &mut File, command: &str) -> io::Result<()> {
    let line: String = command.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(format!("{} {line}\n", process::id()).as_bytes())
}

/// Returns the holder of the lock. A holder that has just taken it may not have written its entry yet.
pub(super) fn of(file: &mut File) -> Holder {
    for _ in 0..MAX_READS {
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

/// Returns the holder by the list of the kernel, `proc_locks(5)`. `None` when the list does not have it, as across pid
/// namespaces.
fn stranger(file: &File) -> Option<Holder> {
    let pid = *pids(file)?.first()?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(Holder { pid: Some(pid), command: name.trim_end().to_string(), stranger: true })
}

/// Lists the processes that have locked the file, by the list of the kernel.
fn pids(file: &File) -> Option<Vec<u32>> {
    let file = number(file)?;
    let locks = fs::read_to_string("/proc/locks").ok()?;
    Some(locks.lines().filter_map(|line| pid_of(line, &file)).collect())
}

/// Returns the number of a file as the lists of the kernel write it: `fs/locks.c`, `lock_get_status`.
fn number(file: &File) -> Option<String> {
    let metadata = file.metadata().ok()?;
    let (device, inode) = (metadata.dev(), metadata.ino());
    Some(format!("{:02x}:{:02x}:{inode}", major(device), minor(device)))
}

/// Whether every process that has locked the file is another user's, neither root's nor of this one. `false` also when
/// that can't be told.
pub(super) fn is_another_user(file: &File) -> bool {
    let (Some(pids), Some(number)) = (pids(file), number(file)) else { return false };
    let is_other = |user: &u32| *user != 0 && *user != geteuid().as_raw();
    let is_others = |pid: u32| {
        // A process that has ended may have left the file open in another one.
        let users = real_user(pid).map_or_else(|| openers(pid, &number), |user| vec![user]);
        !users.is_empty() && users.iter().all(is_other)
    };
    !pids.is_empty() && pids.into_iter().all(is_others)
}

/// Returns the real user of a process: the effective one of a setuid program is root no matter which user has started it.
fn real_user(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_ascii_whitespace().next()?.parse().ok()
}

/// Lists the users of the processes that have a file open with the lock that the process `holder` took, as far as they
/// can be looked into.
fn openers(holder: u32, number: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| has_lock(*pid, holder, number)).filter_map(real_user).collect()
}

/// Whether a process has a file open with the lock that `holder` took: the lines `lock:` of
/// `proc_pid_fdinfo(5)`.
fn has_lock(pid: u32, holder: u32, number: &str) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return false };
    let texts = entries.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    texts.into_iter().any(|text| {
        let mut locks = text.lines().filter_map(|line| line.strip_prefix("lock:"));
        locks.any(|lock| pid_of(lock.trim_start(), number) == Some(holder))
    })
}

/// Returns the process of a line `1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF`, when it locks `file`.
fn pid_of(line: &str, file: &str) -> Option<u32> {
    let mut words = line.split_ascii_whitespace().skip(1);
    (words.next()? == "FLOCK").then_some(())?;
    let pid = words.nth(2)?.parse().ok()?;
    (words.next()? == file && pid > 0).then_some(pid)
}

fn read_entry(file: &mut File, entry: &mut Vec<u8>) -> io::Result<usize> {
    file.rewind()?;
    Read::take(file, MAX_ENTRY).read_to_end(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_line_of_the_kernels_list_is_read() {
        let line = "1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF";
        assert_eq!(pid_of(line, "fd:01:5678"), Some(1234));
        assert_eq!(pid_of(line, "fd:01:5679"), None);
        assert_eq!(pid_of(&line.replace("FLOCK", "POSIX"), "fd:01:5678"), None);
        assert_eq!(pid_of("1: -> FLOCK  ADVISORY  WRITE 99 fd:01:5678 0 EOF", "fd:01:5678"), None);
    }
}
