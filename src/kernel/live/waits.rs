//! The calls that wait for I/O in flight: told when they take long, and ended when this process is told to end.
//!
//! A suspend, and the resume that swaps a table, wait until no I/O is in flight on the device, for as long as a disk below
//! does not answer. The kernel ends that wait once the thread that made the call has a signal
//! (`dm_wait_for_bios_completion` in `drivers/md/dm.c`), and the device serves I/O as before; it makes the call again where
//! the handler has `SA_RESTART`, and returns EINTR where not. A signal to a process reaches any of its threads, at any time:
//! so a thread of its own sends one without `SA_RESTART`, SIGURG, to each that waits, again and again. The freeze of a file
//! system, which comes first, can't be ended so.
//!
//! Two threads look after the waits, for the one that tells of them may be held up itself, by a log on a device that is
//! suspended. Both are there before anything is suspended, and sleep while nothing waits.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;
use std::time::{Duration, Instant};

use nix::sys::pthread::{Pthread, pthread_kill, pthread_self};
use nix::sys::signal::Signal;

use super::raw;
use super::users::lossy;
use crate::identity::printable;
use crate::kernel::Call;
use crate::sync::{Condvar, Mutex};

/// The time between two looks at the waits, while there are any.
const LOOK: Duration = Duration::from_millis(100);
/// How long a call may wait before that is told, and how long until it is told again.
const FIRST: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_secs(10);
/// The stack of a thread, in bytes.
const STACK: usize = 128 << 10;

/// A call that waits for I/O in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LongWait {
    /// The call.
    pub(crate) call: Call,
    /// The device, as a person knows it.
    pub(crate) device: String,
    /// How long it has waited by now.
    pub(crate) time: Duration,
}

/// Tells of a wait.
pub(crate) type Tell = Arc<dyn Fn(&LongWait) + Send + Sync>;

/// The waits of one kernel.
#[derive(Default)]
pub(super) struct Waits {
    shared: Arc<Shared>,
    /// Whether the threads are there: without them nothing has to be recorded.
    attended: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Whether changes are put back: then no wait is ended.
    putting_back: AtomicBool,
    /// Whether a wait was ended because this process is to end.
    gave_up: AtomicBool,
}

#[derive(Default)]
struct State {
    waits: Vec<Wait>,
    next: u64,
    closed: bool,
}

struct Wait {
    number: u64,
    thread: Pthread,
    begin: Instant,
    /// When it is told the next time.
    tell: Duration,
    told: LongWait,
}

/// A wait, until it is dropped.
pub(super) struct Waiting<'w>(&'w Shared, u64);

impl Waits {
    /// Starts the threads. Waits end once `stop` is true: SIGURG is sent to each thread that waits, and gets a handler here.
    pub(super) fn attend(&mut self, stop: &Arc<AtomicBool>, tell: Option<Tell>) {
        let (shared, stop) = (Arc::clone(&self.shared), Arc::clone(stop));
        let kick = move || {
            attend(&shared, |state| {
                shared.kick(state, &stop);
                false
            });
        };
        let interruptible = raw::let_sigurg_interrupt().is_ok();
        self.attended = interruptible && Builder::new().stack_size(STACK).spawn(kick).is_ok();
        if let Some(tell) = tell {
            let shared = Arc::clone(&self.shared);
            // Without the thread nothing is told, and all the same done.
            let _ = Builder::new().stack_size(STACK).spawn(move || shared.tell(&tell));
        }
    }

    /// Records that this thread is about to wait.
    pub(super) fn begin(&self, call: Call, device: String) -> Option<Waiting<'_>> {
        if !self.attended {
            return None;
        }
        let mut state = self.shared.state.lock();
        let number = state.next;
        state.next += 1;
        let told = LongWait { call, device, time: Duration::ZERO };
        state.waits.push(Wait { number, thread: pthread_self(), begin: Instant::now(), tell: FIRST, told });
        if state.waits.len() == 1 {
            self.shared.changed.notify_all();
        }
        drop(state);
        Some(Waiting(&self.shared, number))
    }

    /// Whether a call that a signal ended is made again: it was not ended because this process is to end.
    pub(super) fn goes_on(&self, stop: Option<&AtomicBool>) -> bool {
        let ends = stop.is_some_and(|stop| self.shared.ends(stop));
        self.shared.gave_up.fetch_or(ends, Ordering::Relaxed);
        !ends
    }

    /// Sets whether changes are put back from now on.
    pub(super) fn put_back(&self, putting_back: bool) {
        self.shared.putting_back.store(putting_back, Ordering::Relaxed);
    }

    pub(super) fn gave_up(&self) -> bool {
        self.shared.gave_up.load(Ordering::Relaxed)
    }
}

/// Looks at the waits again and again while there are any, until `look` returns true or the kernel is dropped.
fn attend(shared: &Shared, mut look: impl FnMut(&mut State) -> bool) {
    let mut state = shared.state.lock();
    while !state.closed {
        state = if state.waits.is_empty() {
            shared.changed.wait(state)
        } else {
            shared.changed.wait_timeout(state, LOOK)
        };
        if look(&mut state) {
            return;
        }
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state.lock().waits.retain(|wait| wait.number != self.1);
    }
}

impl Shared {
    fn ends(&self, stop: &AtomicBool) -> bool {
        stop.load(Ordering::Relaxed) && !self.putting_back.load(Ordering::Relaxed)
    }

    /// Wakes each thread that waits, if this process is to end. A thread is there as long as its wait is recorded.
    fn kick(&self, state: &State, stop: &AtomicBool) {
        if self.ends(stop) {
            for wait in &state.waits {
                let _ = pthread_kill(wait.thread, Signal::SIGURG);
            }
        }
    }

    /// Tells of each wait that takes long.
    fn tell(&self, tell: &Tell) {
        loop {
            let mut due = Vec::new();
            attend(self, |state| {
                for wait in &mut state.waits {
                    let time = wait.begin.elapsed();
                    if time >= wait.tell {
                        wait.tell = time + AGAIN;
                        due.push(LongWait { time, ..wait.told.clone() });
                    }
                }
                !due.is_empty()
            });
            if due.is_empty() {
                return;
            }
            for wait in due {
                let device = name(&wait.device).unwrap_or(wait.device);
                tell(&LongWait { device, ..wait });
            }
        }
    }
}

/// Finds the name of the device that was asked by this uuid: by sysfs, for a call to Device Mapper might wait as well.
fn name(uuid: &str) -> Option<String> {
    let folders = fs::read_dir("/sys/block").ok()?.flatten().map(|entry| entry.path().join("dm"));
    let is_it = |folder: &PathBuf| lossy(&folder.join("uuid")).is_ok_and(|found| found.trim_end() == uuid);
    let name = lossy(&folders.into_iter().find(is_it)?.join("name")).ok()?;
    Some(printable(name.trim_end()).into_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_long_wait_is_told_and_a_short_one_is_not() {
        let (sender, told) = channel();
        let sender = Mutex::new(sender);
        let mut waits = Waits::default();
        let tell: Tell = Arc::new(move |wait: &LongWait| sender.lock().send(wait.clone()).unwrap());
        waits.attend(&Arc::default(), Some(tell));
        drop(waits.begin(Call::Suspend, "short".to_string()));
        let long = waits.begin(Call::Resume, "long".to_string());
        let wait = told.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!((wait.call, wait.device.as_str()), (Call::Resume, "long"));
        assert!(wait.time >= FIRST, "{wait:?}");
        drop(long);
        drop(waits);
        assert!(told.recv().is_err(), "the thread is left");
    }

    #[test]
    fn a_wait_is_ended_when_it_is_asked_for_but_not_amid_a_rollback() {
        let waits = Waits::default();
        let stop = AtomicBool::new(false);
        assert!(waits.goes_on(None) && waits.goes_on(Some(&stop)) && !waits.gave_up());
        stop.store(true, Ordering::Relaxed);
        waits.put_back(true);
        assert!(waits.goes_on(Some(&stop)) && !waits.gave_up());
        waits.put_back(false);
        assert!(!waits.goes_on(Some(&stop)) && waits.gave_up());
    }
}
