//! Finds the line of the kernel log about a refusal.
//!
//! The kernel's answer to a bad table is EINVAL; the sentence that names the mistake goes to the kernel log.
//! So dmctl begins to listen before a call that may be refused. This is best effort: without the right to read
//! the log the sentence is missing, and nothing else.
//!
//! The log is opened once, before any device is suspended: to open it takes memory, for which the kernel may have
//! to wait. To listen takes none.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::MutexGuard;

use nix::libc;

use crate::identity::{DevNum, printable};
use crate::redact::redact_hex;
use crate::sync::Mutex;

/// The start of every line of Device Mapper.
const PREFIX: &str = "device-mapper: ";
/// The most characters of the log in an error message.
const MAX_LENGTH: usize = 300;
/// The longest record of `/dev/kmsg`, in bytes (`CONSOLE_EXT_LOG_MAX`).
const MAX_RECORD: usize = 8192;
/// The most records that are read at once: a log that fills faster than it is read must not delay a call.
const MAX_RECORDS: usize = 1000;

/// The kernel log, as far as this process listens.
#[derive(Default)]
pub(super) struct Log(Mutex<Messages>);

#[derive(Default)]
struct Messages {
    /// `None` while it is not open, or when it can't be opened.
    file: Option<File>,
    tried: bool,
    /// The number of listeners. The log is read from where the first of them began.
    listeners: usize,
    /// The lines of Device Mapper since then, up to the last read.
    lines: Vec<String>,
}

impl Log {
    /// Opens the log, once.
    pub(crate) fn open(&self) {
        self.messages().open();
    }

    /// Listens until the listener is dropped.
    pub(crate) fn listen(&self) -> Listener<'_> {
        let mut heard = self.messages();
        if heard.listeners == 0 {
            heard.open();
            heard.lines.clear();
            if let Some(Err(_)) = heard.file.as_mut().map(|file| file.seek(SeekFrom::End(0))) {
                heard.file = None;
            }
        }
        heard.listeners += 1;
        Listener(self)
    }

    fn messages(&self) -> MutexGuard<'_, Messages> {
        self.0.lock()
    }
}

impl Messages {
    fn open(&mut self) {
        if !self.tried {
            self.tried = true;
            self.file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg").ok();
        }
    }

    /// Reads up to the end of the log.
    fn catch_up(&mut self) {
        let Some(log) = &mut self.file else { return };
        let mut record = [0; MAX_RECORD];
        for _ in 0..MAX_RECORDS {
            // EAGAIN is the end; EPIPE means that records were overwritten, and reading goes on after them.
            let length = match log.read(&mut record) {
                Ok(length) => length,
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => continue,
                Err(_) => break,
            };
            let line = message(&record[..length]);
            self.lines.extend(line.filter(|line| !self.lines.contains(line)));
        }
    }
}

/// A listener to the log: one call that may be refused.
pub(super) struct Listener<'l>(&'l Log);

impl Listener<'_> {
    /// Returns the lines of Device Mapper since then that are about the device `number` or do not name a device.
    pub(crate) fn lines(&self, number: Option<DevNum>) -> Option<String> {
        let mut heard = self.0.messages();
        heard.catch_up();
        let lines: Vec<&str> =
            heard.lines.iter().map(String::as_str).filter(|line| is_about(line, number)).collect();
        (!lines.is_empty()).then(|| shortened(&lines.join("; ")))
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        self.0.messages().listeners -= 1;
    }
}

/// Returns the text of a record `priority,sequence,time,flags;text`, when Device Mapper wrote it.
fn message(record: &[u8]) -> Option<String> {
    let record = String::from_utf8_lossy(record);
    let (_, text) = record.split_once(';')?;
    let line = text.lines().next()?.strip_prefix(PREFIX)?;
    // This one follows every refused row and adds nothing to the line before it.
    (line != "ioctl: error adding target to table").then(|| line.trim_end().to_string())
}

/// Tells whether a line may be about this device: lines of the table code name theirs, `table: 254:0: ...`.
fn is_about(line: &str, number: Option<DevNum>) -> bool {
    let named = line.strip_prefix("table: ").and_then(|rest| rest.split_once(": "));
    match (named.and_then(|(named, _)| DevNum::parse(named)), number) {
        (Some(named), Some(number)) => named == number,
        _ => true,
    }
}

/// Escapes the characters that could harm a terminal, and cuts the text at [`MAX_LENGTH`].
fn shortened(text: &str) -> String {
    // A target may repeat a word of a message, which may be a key.
    printable(&redact_hex(text)).chars().take(MAX_LENGTH).collect()
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
