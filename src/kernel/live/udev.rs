//! Synchronises with udev.
//!
//! Three calls make an event that udev answers: a resume, a rename, a remove. All events of a *batch* carry
//! one [`Cookie`], which is made before the first of them, for a device that is suspended must not wait for a
//! semaphore. The calls themselves do not wait: each raises the cookie, and lowers it itself when the kernel
//! refused or made no event. Only [`UdevSync::wait`] waits, within its limit, until udev has answered them all.
//! A batch that is dropped removes its cookie, also after an error.
//!
//! A udev that did not answer in time is not waited for again until [`UdevSync::begin`] opens the next batch: an
//! apply is delayed once, not at every call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::Udev;
use super::cookie::{self, Cookie};
use super::udevd::{self, Absence};
use super::wire::{Answer, flag};
use crate::identity::Name;
use crate::sync::Mutex;

/// The flags that udev gets with every event: it was made on purpose, by a program that leaves the links to udev
/// (`DM_UDEV_PRIMARY_SOURCE_FLAG`, `DM_UDEV_DISABLE_LIBRARY_FALLBACK`).
///
/// An event of a temporary name has the same flags. Rules that are switched off for it would also remove the links
/// to the content *on* the device, and with a link systemd unmounts what is mounted by it.
const FLAGS: u32 = 0x40 | 0x20;
/// The interval, within a wait, at which dmctl checks that udev still runs.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);
/// The longest wait for udev from the moment on at which this process is seen to be told to stop.
const MAX_WAIT_AFTER_STOP: Duration = Duration::from_millis(700);

/// The synchronisation of this process with udev.
pub(super) struct UdevSync {
    udev: Udev,
    /// The longest wait for a batch.
    pub limit: Duration,
    /// Once it is true, a wait goes on for at most [`MAX_WAIT_AFTER_STOP`].
    pub stop: Option<Arc<AtomicBool>>,
    state: Mutex<State>,
}

/// The state of the synchronisation.
enum State {
    Unknown,
    /// It does not answer, or is not wanted: dmctl keeps the nodes.
    Alone,
    /// It answers, and no batch is open.
    Idle,
    /// It answers, and a batch is open.
    Open(Arc<Batch>),
    /// A batch is open without a cookie: none could be made.
    Without(Errno),
    /// It did not answer in time, or there are no semaphores to wait with.
    GivenUp,
}

/// The events that carry one cookie.
pub(super) struct Batch {
    cookie: Cookie,
    /// The names of their devices.
    names: Mutex<Vec<Name>>,
}

/// How a batch ended.
pub(super) enum Ended {
    /// There was no batch to wait for.
    Nothing,
    /// Everything was answered, or udev stopped: the nodes of these devices can be checked.
    Answered(Vec<Name>),
    /// There was no cookie to wait for.
    Without(Errno),
    Late {
        /// The devices of the batch.
        names: Vec<Name>,
        cookie: String,
        /// The length of the wait.
        waited: Duration,
    },
}

impl UdevSync {
    /// Creates a synchronisation that has not looked for udev yet. With [`Udev::Off`] it never does.
    pub(crate) fn new(udev: Udev) -> Self {
        let state = Mutex::new(State::Unknown);
        Self { udev, limit: Duration::from_secs(30), stop: None, state }
    }

    /// Begins a batch, unless one is open: looks for udev, and makes a cookie. ENOSPC when there is no room for one.
    pub(crate) fn begin(&self) -> Result<(), Errno> {
        let mut state = self.state.lock();
        if !matches!(*state, State::Open(_)) {
            *state = State::Unknown;
        }
        self.open(&mut state)
    }

    /// Tells whether dmctl alone keeps the nodes.
    pub(crate) fn is_alone(&self) -> bool {
        let mut state = self.state.lock();
        if matches!(*state, State::Unknown) {
            *state = self.look();
        }
        matches!(*state, State::Alone)
    }

    fn look(&self) -> State {
        if self.udev == Udev::Off {
            return State::Alone;
        }
        match udevd::look() {
            Ok(()) => State::Idle,
            Err(Absence::NotRunning) => State::Alone,
            Err(absence) => {
                tracing::info!("{absence}: dmctl keeps the nodes in /dev/mapper by itself");
                State::Alone
            }
        }
    }

    /// Opens a batch where udev answers.
    fn open(&self, state: &mut State) -> Result<(), Errno> {
        if matches!(state, State::Unknown) {
            *state = self.look();
        }
        if matches!(state, State::Idle) {
            cookie::sweep();
            *state = match Cookie::new() {
                Ok(cookie) => State::Open(Arc::new(Batch { cookie, names: Mutex::default() })),
                // A kernel without System V semaphores: there is no way to wait.
                Err(Errno::ENOSYS) => State::GivenUp,
                Err(errno) => return Err(errno),
            };
        }
        Ok(())
    }

    /// Returns the batch that a call belongs to.
    fn batch(&self) -> Option<Arc<Batch>> {
        let mut state = self.state.lock();
        if let Err(errno) = self.open(&mut state) {
            *state = State::Without(errno);
        }
        if let State::Open(batch) = &*state { Some(Arc::clone(batch)) } else { None }
    }

    /// Makes a call whose event udev answers. `call` takes the value that goes with the event; `also` is the name that
    /// the device gets by the call.
    pub(crate) fn call<E>(
        &self,
        also: Option<&Name>,
        call: impl FnOnce(u32) -> Result<Answer, E>,
    ) -> Result<Answer, E> {
        let raised = self.batch().and_then(Raised::new);
        let answer =
            call(FLAGS << 16 | raised.as_ref().map_or(0, |raised| raised.batch.cookie.bits().into()))?;
        let event = answer.flags().is_ok_and(|flags| flags & flag::UEVENT_GENERATED != 0);
        if let Some(raised) = raised.filter(|_| event) {
            raised.keep(answer.info().ok().map(|info| info.name).into_iter().chain(also.cloned()));
        }
        Ok(answer)
    }

    /// Waits until udev has answered everything, or the limit is over.
    pub(crate) fn wait(&self) -> Ended {
        let batch = {
            let mut state = self.state.lock();
            match std::mem::replace(&mut *state, State::Idle) {
                State::Open(batch) => batch,
                State::Without(errno) => {
                    *state = State::GivenUp;
                    return Ended::Without(errno);
                }
                other => {
                    *state = other;
                    return Ended::Nothing;
                }
            }
        };
        let began = Instant::now();
        // From here on only udev's answers are missing.
        batch.cookie.lower();
        let mut limit = self.limit;
        let mut stopped = false;
        let ended = loop {
            if !stopped && self.is_stopped() {
                stopped = true;
                limit = limit.min(began.elapsed() + MAX_WAIT_AFTER_STOP);
            }
            let left = limit.saturating_sub(began.elapsed());
            match batch.cookie.wait(left.min(CHECK_INTERVAL)) {
                Err(Errno::EAGAIN | Errno::EINTR) if left.is_zero() => break None,
                Err(Errno::EAGAIN) if !udevd::listens() => break Some(State::Alone),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                // Another process removed the semaphore, as `dmsetup udevcomplete_all` does to end every wait.
                Ok(()) | Err(_) => break Some(State::Idle),
            }
        };
        let names = std::mem::take(&mut *batch.names.lock());
        let in_time = ended.is_some();
        self.enter(ended.unwrap_or(State::GivenUp));
        if in_time || names.is_empty() {
            return Ended::Answered(names);
        }
        Ended::Late { names, cookie: batch.cookie.name(), waited: began.elapsed() }
    }

    /// Changes the state, unless another batch was begun meanwhile.
    fn enter(&self, next: State) {
        let mut state = self.state.lock();
        if matches!(*state, State::Idle) {
            *state = next;
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
    }
}

/// A raised cookie, which is lowered again when this is dropped before there is an event.
struct Raised {
    batch: Arc<Batch>,
    event: bool,
}

impl Raised {
    /// Raises the cookie; `None` when that fails: then the event has no cookie, and there is no wait for it.
    fn new(batch: Arc<Batch>) -> Option<Self> {
        batch.cookie.raise().ok().map(|()| Self { batch, event: false })
    }

    /// Leaves the cookie raised, because the event was made: udev lowers it.
    fn keep(mut self, names: impl Iterator<Item = Name>) {
        self.event = true;
        self.batch.names.lock().extend(names);
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        if !self.event {
            self.batch.cookie.lower();
        }
    }
}
