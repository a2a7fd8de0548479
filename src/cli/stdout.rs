//! Writes to standard output, and waits there only as long as the process may.

use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anstream::AutoStream;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd;

/// As much as a pipe takes at once without a wait, when poll(2) tells that it can be written (`PIPE_BUF`, pipe(7)).
pub(super) const CHUNK: usize = 4096;
/// The time between two looks whether a wait has to end, in milliseconds. A wait is rare, and a signal may come just
/// before it.
const LOOK_AGAIN: u16 = 100;

/// How long to wait for a reader that does not read. By default for ever.
#[derive(Debug, Default)]
pub(super) struct Wait {
    /// Ends a wait once it is set.
    pub(super) stop: Option<Arc<AtomicBool>>,
    /// The longest time.
    pub(super) limit: Option<Duration>,
}

impl Wait {
    /// Waits until standard output can be written to.
    fn for_room(&self) -> io::Result<()> {
        let began = Instant::now();
        let endless = self.stop.is_none() && self.limit.is_none();
        let patience = if endless { PollTimeout::NONE } else { LOOK_AGAIN.into() };
        loop {
            match poll(&mut [PollFd::new(io::stdout().as_fd(), PollFlags::POLLOUT)], patience) {
                Ok(0) | Err(Errno::EINTR) => {}
                ready => return Ok(ready.map(drop)?),
            }
            if self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Err(io::Error::other("its reader does not read, and this process was told to end"));
            }
            if self.limit.is_some_and(|limit| began.elapsed() >= limit) {
                return Err(io::Error::other("its reader does not read"));
            }
        }
    }
}

/// Writes text, without colours where they are not wanted.
///
/// # Errors
///
/// The error of the system, or that the wait had to end. A part of the text may have been written before.
pub(super) fn write(text: &str, wait: &Wait) -> io::Result<()> {
    let choice = AutoStream::choice(&io::stdout());
    let mut plain = AutoStream::new(Vec::with_capacity(text.len()), choice);
    plain.write_all(text.as_bytes())?;
    let plain = plain.into_inner();
    let mut rest = plain.as_slice();
    while !rest.is_empty() {
        wait.for_room()?;
        match unistd::write(io::stdout(), &rest[..rest.len().min(CHUNK)]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => rest = &rest[written..],
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}
