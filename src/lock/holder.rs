//! The process that holds a lock.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::{fmt, process, thread};

use nix::sys::stat::{major, minor};

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
    let metadata = file.metadata().ok()?;
    let (device, inode) = (metadata.dev(), metadata.ino());
    let file = format!("{:02x}:{:02x}:{inode}", major(device), minor(device));
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let pid = locks.lines().find_map(|line| pid_of(line, &file))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(Holder { pid: Some(pid), command: name.trim_end().to_string(), stranger: true })
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
