//! Wakes a thread that waits, from other threads and out of signal handlers: a self-pipe beside a queue of events.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::debounce::Event;
use crate::sync::Mutex;

/// The waiting end of the pipe, and the queue.
#[derive(Debug)]
pub(crate) struct Waker {
    reader: UnixStream,
    sender: Sender,
}

/// The end that other threads have.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    writer: Arc<UnixStream>,
    events: Arc<Mutex<Vec<Event>>>,
}

/// What ended a wait; neither when the time was up, or a signal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Woken {
    /// The waker was woken.
    pub waker: bool,
    /// The other descriptor can be read.
    pub other: bool,
}

impl Waker {
    /// Opens the pipe.
    ///
    /// # Errors
    ///
    /// The error of the system: out of descriptors.
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        Ok(Self { reader, sender: Sender { writer: Arc::new(writer), events: Arc::default() } })
    }

    /// Gives a descriptor that wakes by any byte written to it, and queues no event: all that a signal handler can do.
    pub(crate) fn writer(&self) -> io::Result<UnixStream> {
        self.sender.writer.try_clone()
    }

    pub(super) fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Waits until it is woken, `other` can be read, or it is `until`; without that, for ever. A signal may end a wait
    /// early.
    pub(crate) fn wait(&self, other: Option<BorrowedFd<'_>>, until: Option<Instant>) -> io::Result<Woken> {
        let mut all = vec![PollFd::new(self.reader.as_fd(), PollFlags::POLLIN)];
        all.extend(other.map(|other| PollFd::new(other, PollFlags::POLLIN)));
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        match poll(&mut all, left.map_or(PollTimeout::NONE, timeout)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = |index: usize| all.get(index).is_some_and(|fd| fd.any().unwrap_or(true));
        Ok(Woken { waker: ready(0), other: ready(1) })
    }

    /// Takes the queued events, oldest first.
    pub(crate) fn take_events(&self) -> Vec<Event> {
        let mut bytes = [0; 256];
        while matches!((&self.reader).read(&mut bytes), Ok(count) if count > 0) {}
        std::mem::take(&mut *self.sender.events.lock())
    }
}

impl Sender {
    /// Queues an event and wakes. An event equal to the last one in the queue is not queued twice.
    pub(super) fn send(&self, event: Event) {
        let mut events = self.events.lock();
        if events.last() == Some(&event) {
            return;
        }
        events.push(event);
        // A full pipe wakes, too.
        let _ = (&*self.writer).write(&[0]);
    }
}

/// Rounds up to whole milliseconds: to wake just before the time would be to wake twice.
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
    use crate::watch::Cause;

    const MAP: Event = Event::Changed(Cause::Map);

    #[test]
    fn an_event_is_taken_once() {
        let waker = Waker::new().unwrap();
        let sender = waker.sender();
        sender.send(MAP);
        sender.send(MAP);
        sender.send(Event::Writing);
        waker.writer().unwrap().write_all(b"x").unwrap();
        assert_eq!(waker.wait(None, None).unwrap(), Woken { waker: true, other: false });
        assert_eq!(waker.take_events(), [MAP, Event::Writing]);
        let soon = Instant::now() + Duration::from_millis(20);
        assert_eq!(waker.wait(None, Some(soon)).unwrap(), Woken { waker: false, other: false });
        assert!(Instant::now() >= soon, "it woke before the time");
        assert_eq!(waker.take_events(), []);
    }

    #[test]
    fn another_descriptor_wakes_as_well() {
        let (waker, other) = (Waker::new().unwrap(), Waker::new().unwrap());
        other.sender().send(Event::Changed(Cause::Kernel));
        let woken = waker.wait(Some(other.reader.as_fd()), None).unwrap();
        assert_eq!(woken, Woken { waker: false, other: true });
    }
}
