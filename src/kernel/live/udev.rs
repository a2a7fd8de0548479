//! Working beside udev.
//!
//! Three calls make an event that udev answers: a resume, a rename, a remove. All events of a *batch* carry
//! one [`Cookie`], which is had before the first of them, for a device that is suspended must not wait for a
//! semaphore. The calls themselves wait for nobody: each raises the cookie, and lowers it by itself when the
//! kernel refused or made no event. Only [`UdevSync::wait`] waits, as long as it is given, until all was
//! answered. Whatever happens on the way, a batch that is dropped takes its cookie with it.
//!
//! A udev that did not answer in time is not waited for again before the next batch is begun on purpose: an
//! apply is held up once, not at every turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::cookie::{self, Cookie};
use super::udevd::{self, Absence};
use super::wire::{Answer, flag};
use crate::identity::Name;
use crate::sync::Mutex;

/// What udev is told of every event: it was made on purpose, by a program that leaves the links to udev
/// (`DM_UDEV_PRIMARY_SOURCE_FLAG`, `DM_UDEV_DISABLE_LIBRARY_FALLBACK`).
///
/// A temporary name is told like any other. Rules that are switched off for it would take the links of what
/// is *on* the device away, too, and with a link systemd takes away what is mounted by it.
const FLAGS: u32 = 0x40 | 0x20;
/// How often it is looked whether udev is still there while it is waited for.
const LOOK: Duration = Duration::from_secs(1);
/// How long udev is waited for at most once this process was told to stop.
const HURRY: Duration = Duration::from_secs(5);

/// This process beside udev.
pub(super) struct UdevSync {
    wanted: bool,
    /// How long a batch is waited for.
    pub limit: Duration,
    /// Once it is true, the wait is cut short.
    pub stop: Option<Arc<AtomicBool>>,
    state: Mutex<State>,
}

/// How things stand with udev.
enum State {
    /// Nobody has looked yet.
    Unknown,
    /// It does not answer, or nobody wants it to.
    Alone,
    /// It answers, and nothing is waited for.
    Idle,
    /// Something is.
    Open(Arc<Batch>),
    /// Within a batch no cookie could be had.
    Without(Errno),
    /// It did not answer in time, or that can't be told.
    GivenUp,
}

/// The events that carry one cookie.
pub(super) struct Batch {
    cookie: Cookie,
    /// The devices they are about.
    names: Mutex<Vec<Name>>,
}

/// How a batch ended.
pub(super) enum Ended {
    /// Nothing was waited for.
    Nothing,
    /// Everything was answered, or udev went away: these devices can be looked after.
    Answered(Vec<Name>),
    /// Nothing could be waited for.
    Without(Errno),
    /// Time ran out.
    Late {
        /// The devices of the batch.
        names: Vec<Name>,
        /// Its cookie.
        cookie: String,
        /// How long it was waited for.
        waited: Duration,
    },
}

impl UdevSync {
    /// Nobody has looked yet. Where udev is not `wanted` it is as if it were not there.
    pub fn new(wanted: bool) -> Self {
        let state = Mutex::new(State::Unknown);
        Self { wanted, limit: Duration::from_secs(30), stop: None, state }
    }

    /// Begins a batch, unless one is open: looks for udev, and gets a cookie. ENOSPC when there is none left.
    pub fn begin(&self) -> Result<(), Errno> {
        let mut state = self.state.lock();
        if !matches!(*state, State::Open(_)) {
            *state = State::Unknown;
        }
        self.open(&mut state)
    }

    /// Whether nobody but dmctl keeps the nodes.
    pub fn is_alone(&self) -> bool {
        let mut state = self.state.lock();
        if matches!(*state, State::Unknown) {
            *state = self.look();
        }
        matches!(*state, State::Alone)
    }

    fn look(&self) -> State {
        if !self.wanted {
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
                // A kernel without System V semaphores: nobody can wait there.
                Err(Errno::ENOSYS) => State::GivenUp,
                Err(errno) => return Err(errno),
            };
        }
        Ok(())
    }

    /// The batch that a call belongs to.
    fn batch(&self) -> Option<Arc<Batch>> {
        let mut state = self.state.lock();
        if let Err(errno) = self.open(&mut state) {
            *state = State::Without(errno);
        }
        if let State::Open(batch) = &*state { Some(Arc::clone(batch)) } else { None }
    }

    /// Makes a call whose event udev answers. `call` is given what goes with the event, `also` is a name that
    /// the device gets by it.
    pub fn call<E>(
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

    /// Waits until udev has answered everything, or time is over.
    pub fn wait(&self) -> Ended {
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
        // From here on every answer that is not there yet is one of udev's.
        batch.cookie.lower();
        let ended = loop {
            let left = self.limit().saturating_sub(began.elapsed());
            match batch.cookie.wait(left.min(LOOK)) {
                Err(Errno::EAGAIN | Errno::EINTR) if left.is_zero() => break None,
                Err(Errno::EAGAIN) if !udevd::listens() => break Some(State::Alone),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                // Somebody removed the semaphore, as `dmsetup udevcomplete_all` does to let everybody go.
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

    fn limit(&self) -> Duration {
        let stopped = self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed));
        if stopped { self.limit.min(HURRY) } else { self.limit }
    }
}

/// An answer that is waited for; no more when this is dropped before there is an event.
struct Raised {
    batch: Arc<Batch>,
    event: bool,
}

impl Raised {
    /// None when the cookie can't be raised: then udev is told without, and not waited for.
    fn new(batch: Arc<Batch>) -> Option<Self> {
        batch.cookie.raise().ok().map(|()| Self { batch, event: false })
    }

    /// The event was made: udev lowers the cookie.
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
