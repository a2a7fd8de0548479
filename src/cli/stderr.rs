//! Writes to standard error. While nothing is changed, a reader that does not read is waited for; from the first change on
//! only for a moment, and what it is not there for is counted and left out: what a person is told must not hold up a
//! change.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use anstream::AutoStream;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd;

use super::stdout::CHUNK;
use crate::sync::Mutex;

/// How long a reader may be away once something may have been changed.
const PATIENCE: Duration = Duration::from_secs(1);

static STATE: Mutex<State> =
    Mutex::new(State { is_changing: false, is_away: false, unshown: 0, is_cut: false });

/// What is known of the reader.
struct State {
    /// Whether something may have been changed.
    is_changing: bool,
    /// Whether the reader was waited for in vain: it is not waited for again until it reads.
    is_away: bool,
    /// How many lines were left out, that it is not told of yet.
    unshown: usize,
    /// Whether the last line that it got has no end.
    is_cut: bool,
}

/// Lets no write wait for long from now on: something may be changed.
pub(super) fn begin_changes() {
    STATE.lock().is_changing = true;
}

/// Standard error, as a writer. A write never fails: there is no other place to report that.
pub(super) struct Stderr;

impl io::Write for Stderr {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        STATE.lock().write(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes text, without colours where they are not wanted.
pub(super) fn write(text: &str) {
    let mut plain = AutoStream::new(Vec::with_capacity(text.len()), AutoStream::choice(&io::stderr()));
    let _ = plain.write_all(text.as_bytes());
    STATE.lock().write(&plain.into_inner());
}

impl State {
    fn write(&mut self, text: &[u8]) {
        if self.unshown > 0 || self.is_cut {
            let end = if self.is_cut { "\n" } else { "" };
            let told = match self.unshown {
                0 => end.to_string(),
                1 => format!("{end}note: 1 line is not shown, as standard error was not read\n"),
                more => format!("{end}note: {more} lines are not shown, as standard error was not read\n"),
            };
            if self.put(told.as_bytes()) < told.len() {
                return self.leave_out(text);
            }
            (self.unshown, self.is_cut) = (0, false);
        }
        let written = self.put(text);
        if written < text.len() {
            self.is_cut |= written > 0;
            self.leave_out(&text[written..]);
        }
    }

    fn leave_out(&mut self, text: &[u8]) {
        // A line of progress is drawn again, and has no end.
        self.unshown += text.split(|byte| *byte == b'\n').count() - 1;
    }

    /// Writes as much as the reader takes in time, and returns how much that is. What can't be written at all counts as
    /// written.
    fn put(&mut self, text: &[u8]) -> usize {
        let mut written = 0;
        while written < text.len() {
            if !self.has_room() {
                return written;
            }
            let rest = &text[written..];
            match unistd::write(io::stderr(), &rest[..rest.len().min(CHUNK)]) {
                Ok(length) if length > 0 => written += length,
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                _ => return text.len(),
            }
        }
        written
    }

    /// Waits until standard error can be written to.
    fn has_room(&mut self) -> bool {
        let began = Instant::now();
        loop {
            let left = if self.is_away { Duration::ZERO } else { PATIENCE.saturating_sub(began.elapsed()) };
            let patience = if self.is_changing {
                PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO)
            } else {
                PollTimeout::NONE
            };
            match poll(&mut [PollFd::new(io::stderr().as_fd(), PollFlags::POLLOUT)], patience) {
                Err(Errno::EINTR) => {}
                Ok(0) => {
                    self.is_away = true;
                    return false;
                }
                _ => {
                    self.is_away = false;
                    return true;
                }
            }
        }
    }
}
