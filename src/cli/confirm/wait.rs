//! Waits for a file to be removed, for a signal, or for the time to be up.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// Notices that a file is removed.
pub(super) struct RemovalWatch(Inotify);

impl RemovalWatch {
    /// Opens an inotify that watches no file yet.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?))
    }

    /// Begins to watch a file.
    pub(super) fn add(&self, file: &Path) -> io::Result<()> {
        self.0.add_watch(file, AddWatchFlags::IN_ATTRIB | AddWatchFlags::IN_DELETE_SELF)?;
        Ok(())
    }

    /// Waits until the file is gone, time is up, or this process is told to end.
    pub(super) fn wait(&self, file: &Path, deadline: Instant, signals: &impl AsFd) {
        while !matches!(file.try_exists(), Ok(false)) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            // Less than a millisecond would be rounded to none, and this loop would spin.
            let left = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            match readable(&self.0, signals, left) {
                Ok(Readable::First) => drop(self.0.read_events()),
                Ok(Readable::Neither) => {}
                Ok(Readable::Other) | Err(_) => return,
            }
        }
    }
}

/// Which of two descriptors can be read.
pub(super) enum Readable {
    /// The first, whether the other can be or not.
    First,
    Other,
    /// Neither: time is up, or a signal came.
    Neither,
}

/// Waits for `left` until a descriptor can be read.
pub(super) fn readable(first: impl AsFd, other: impl AsFd, left: PollTimeout) -> io::Result<Readable> {
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
