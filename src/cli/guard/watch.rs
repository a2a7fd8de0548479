//! Waiting: for a file to go, for a signal, for the time to be up.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// What sees that a file is removed.
pub struct Watch(Inotify);

impl Watch {
    /// One that watches nothing yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?))
    }

    /// Watches this file.
    pub fn on(&self, file: &Path) -> io::Result<()> {
        self.0.add_watch(file, AddWatchFlags::IN_ATTRIB | AddWatchFlags::IN_DELETE_SELF)?;
        Ok(())
    }

    /// Waits until the file is gone, time is up, or this process is told to end.
    pub fn wait(&self, file: &Path, deadline: Instant, signals: &impl AsFd) {
        while !matches!(file.try_exists(), Ok(false)) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            // A part of a millisecond left is no reason to look again and again.
            let left = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            match readable(&self.0, signals, left) {
                Ok(Readable::First) => drop(self.0.read_events()),
                Ok(Readable::Neither) => {}
                Ok(Readable::Other) | Err(_) => return,
            }
        }
    }
}

/// Where there is something to read.
pub enum Readable {
    /// In the first of two, whatever is in the other.
    First,
    /// In the other.
    Other,
    /// In neither: time is up, or a signal came.
    Neither,
}

/// Waits for something to read.
pub fn readable(first: impl AsFd, other: impl AsFd, left: PollTimeout) -> io::Result<Readable> {
    let mut fds =
        [PollFd::new(first.as_fd(), PollFlags::POLLIN), PollFd::new(other.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, left) {
        Err(Errno::EINTR) => return Ok(Readable::Neither),
        outcome => outcome?,
    };
    Ok(match fds.map(|fd| fd.any().unwrap_or_default()) {
        [true, _] => Readable::First,
        [false, true] => Readable::Other,
        [false, false] => Readable::Neither,
    })
}
