//! What whoever waits is woken by: one descriptor, for all that is not one itself.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::pace::{Cause, Heard};
use crate::sync::Mutex;

/// A bell that others ring, from other threads and out of signal handlers.
#[derive(Debug)]
pub struct Bell {
    ear: UnixStream,
    ringer: Ringer,
}

/// What rings it.
#[derive(Debug, Clone)]
pub(super) struct Ringer {
    rope: Arc<UnixStream>,
    heard: Arc<Mutex<Vec<Heard>>>,
}

/// What a wait ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Woken {
    /// Whether the bell rang.
    pub rung: bool,
    /// Whether the other descriptor has something to tell.
    pub other: bool,
}

impl Bell {
    /// A new one.
    pub fn new() -> io::Result<Self> {
        let (ear, rope) = UnixStream::pair()?;
        ear.set_nonblocking(true)?;
        rope.set_nonblocking(true)?;
        Ok(Self { ear, ringer: Ringer { rope: Arc::new(rope), heard: Arc::default() } })
    }

    /// A descriptor that rings the bell by any byte that is written to it, and says nothing more: all that a
    /// signal handler can do.
    pub fn rope(&self) -> io::Result<UnixStream> {
        self.ringer.rope.try_clone()
    }

    pub(super) fn ringer(&self) -> Ringer {
        self.ringer.clone()
    }

    /// Waits until it rings, or `other` has something to tell, or it is `until`. Without that, for ever: nothing
    /// here wakes by itself. A signal may end a wait early.
    pub fn wait(&self, other: Option<BorrowedFd<'_>>, until: Option<Instant>) -> io::Result<Woken> {
        let mut all = vec![PollFd::new(self.ear.as_fd(), PollFlags::POLLIN)];
        all.extend(other.map(|other| PollFd::new(other, PollFlags::POLLIN)));
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        match poll(&mut all, left.map_or(PollTimeout::NONE, timeout)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = |index: usize| all.get(index).is_some_and(|fd| fd.any().unwrap_or(true));
        Ok(Woken { rung: ready(0), other: ready(1) })
    }

    /// What was heard since it was asked last, in order.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        let mut bytes = [0; 256];
        while matches!((&self.ear).read(&mut bytes), Ok(count) if count > 0) {}
        std::mem::take(&mut *self.ringer.heard.lock())
    }
}

impl Ringer {
    /// Rings, and says for what.
    pub fn ring(&self, what: Heard) {
        let mut heard = self.heard.lock();
        if heard.last() == Some(&what) {
            // It has been rung for that already.
            return;
        }
        heard.push(what);
        // When nothing more goes in, whoever waits is awake.
        let _ = (&*self.rope).write(&[0]);
    }

    /// Rings, for a change that is whole.
    pub fn changed(&self, cause: Cause) {
        self.ring(Heard::Changed(cause));
    }
}

/// Up to the next millisecond: waking just before the time would be waking twice.
fn timeout(left: Duration) -> PollTimeout {
    let millis = left.as_nanos().div_ceil(1_000_000);
    i32::try_from(millis)
        .ok()
        .and_then(|millis| PollTimeout::try_from(millis).ok())
        .unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_heard_once_whoever_rings() {
        let bell = Bell::new().unwrap();
        let ringer = bell.ringer();
        ringer.changed(Cause::Map);
        ringer.changed(Cause::Map);
        ringer.ring(Heard::Writing);
        bell.rope().unwrap().write_all(b"x").unwrap();
        assert_eq!(bell.wait(None, None).unwrap(), Woken { rung: true, other: false });
        assert_eq!(bell.heard(), [Heard::Changed(Cause::Map), Heard::Writing]);
        let soon = Instant::now() + Duration::from_millis(20);
        assert_eq!(bell.wait(None, Some(soon)).unwrap(), Woken { rung: false, other: false });
        assert!(Instant::now() >= soon, "it woke before the time");
        assert_eq!(bell.heard(), []);
    }

    #[test]
    fn another_descriptor_wakes_as_well() {
        let (bell, other) = (Bell::new().unwrap(), Bell::new().unwrap());
        other.ringer().changed(Cause::Kernel);
        let woken = bell.wait(Some(other.ear.as_fd()), None).unwrap();
        assert_eq!(woken, Woken { rung: false, other: true });
    }
}
