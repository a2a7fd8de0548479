//! What the kernel log says about a refusal.
//!
//! The kernel's answer to a bad table is EINVAL; the sentence that names the mistake goes to the kernel log.
//! Whoever makes a call that may be refused marks the end of the log before it and reads on from there.
//! All of this is best effort: without the right to read the log there is no sentence, and nothing else
//! is lost.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use nix::libc;

use crate::identity::{DevNum, printable};

/// What every line of Device Mapper starts with.
const PREFIX: &str = "device-mapper: ";
/// More than this of the log is no help in an error message.
const MAX_LENGTH: usize = 300;
/// The longest record of `/dev/kmsg` (`CONSOLE_EXT_LOG_MAX`).
const MAX_RECORD: usize = 8192;
/// So many records are looked at; a log that fills faster than it is read must not hold anyone up.
const MAX_RECORDS: usize = 1000;

/// A place in the kernel log: its end at the time of [`Mark::now`].
pub(super) struct Mark(Option<File>);

impl Mark {
    pub fn now() -> Self {
        let open = || {
            let mut log = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg")?;
            log.seek(SeekFrom::End(0))?;
            Ok::<File, std::io::Error>(log)
        };
        Self(open().ok())
    }

    /// What Device Mapper has logged since, about the device `number` or about none in particular.
    pub fn lines(self, number: Option<DevNum>) -> Option<String> {
        let mut log = self.0?;
        let mut lines: Vec<String> = Vec::new();
        let mut record = [0; MAX_RECORD];
        for _ in 0..MAX_RECORDS {
            // EAGAIN is the end; EPIPE says that records were overwritten, and reading goes on after them.
            let length = match log.read(&mut record) {
                Ok(length) => length,
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => continue,
                Err(_) => break,
            };
            let line = message(&record[..length]).filter(|line| is_about(line, number));
            lines.extend(line.filter(|line| !lines.contains(line)));
        }
        (!lines.is_empty()).then(|| shortened(&lines.join("; ")))
    }
}

/// The text of a record `priority,sequence,time,flags;text`, when Device Mapper wrote it.
fn message(record: &[u8]) -> Option<String> {
    let record = String::from_utf8_lossy(record);
    let (_, text) = record.split_once(';')?;
    let line = text.lines().next()?.strip_prefix(PREFIX)?;
    // This one follows every refused row and adds nothing to the line before it.
    (line != "ioctl: error adding target to table").then(|| line.trim_end().to_string())
}

/// Whether a line may be about this device: lines of the table code name theirs, `table: 254:0: ...`.
fn is_about(line: &str, number: Option<DevNum>) -> bool {
    let named = line.strip_prefix("table: ").and_then(|rest| rest.split_once(": "));
    match (named.and_then(|(named, _)| DevNum::parse(named)), number) {
        (Some(named), Some(number)) => named == number,
        _ => true,
    }
}

/// With what could harm a terminal escaped, and not too long.
fn shortened(text: &str) -> String {
    printable(text).chars().take(MAX_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_device_mapper_is_heard() {
        let record = |text: &str| message(format!("3,812,99,-;{text}\n SUBSYSTEM=block\n").as_bytes());
        assert_eq!(record("device-mapper: table: 254:0: bad").as_deref(), Some("table: 254:0: bad"));
        assert_eq!(record("device-mapper: ioctl: error adding target to table"), None);
        assert_eq!(record("brd: module loaded"), None);
        assert_eq!(message(b"no record"), None);
    }

    #[test]
    fn lines_about_other_devices_are_left_out() {
        let ours = Some(DevNum::new(254, 3));
        assert!(is_about("table: 254:3: linear: Invalid argument count", ours));
        assert!(!is_about("table: 254:4: linear: Invalid argument count", ours));
        assert!(is_about("table: 254:4: linear: Invalid argument count", None));
        assert!(is_about("thin: Couldn't open pool device", ours));
    }

    #[test]
    fn a_line_cannot_harm_a_terminal() {
        let line = shortened(&format!("\u{1b}[2J{}", "x".repeat(500)));
        assert!(line.starts_with("\\u{1b}[2J"));
        assert_eq!(line.len(), MAX_LENGTH);
    }
}
