//! Signals: those that ask for an end, and SIGHUP, which asks a watch to compare again.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::watch::Waker;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::low_level::{pipe, unregister};
use signal_hook::{SigId, flag};

/// The signals that ask a process to end.
const ENDING: [i32; 3] = [SIGHUP, SIGINT, SIGTERM];

/// Whether an apply catches a signal before it changes anything: one that was ended by it has changed nothing.
pub(crate) fn is_caught_by_apply(signal: i32) -> bool {
    ENDING.contains(&signal)
}

/// Catches the signals that end a process. They make `stop` true, and an apply ends where it safely can. A second
/// signal adds nothing. A signal that this process was started to ignore, as `nohup` does with SIGHUP, stays ignored.
pub(crate) fn catch(stop: &Arc<AtomicBool>) -> io::Result<()> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for signal in ENDING {
        if !is_ignored(&status, signal) {
            flag::register(signal, Arc::clone(stop))?;
        }
    }
    Ok(())
}

/// Makes a write beyond the limit of a file's size fail (`EFBIG`, write(2)): unhandled, SIGXFSZ would end this process,
/// in the midst of an apply too.
pub(crate) fn outlive_full_files() -> io::Result<()> {
    flag::register(SIGXFSZ, Arc::default()).map(drop)
}

/// Makes the signals that end a process wake `waker`, until the value that is returned is dropped.
pub(crate) fn wake_too(waker: &Waker) -> io::Result<Wakes> {
    let mut registered = Wakes(Vec::new());
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for signal in ENDING {
        if !is_ignored(&status, signal) {
            registered.0.push(pipe::register(signal, waker.writer()?)?);
        }
    }
    Ok(registered)
}

/// Signals that wake a waker.
pub(crate) struct Wakes(Vec<SigId>);

impl Drop for Wakes {
    fn drop(&mut self) {
        for id in &self.0 {
            unregister(*id);
        }
    }
}

/// Catches SIGINT and SIGTERM. Each of them can be read as a byte from the stream that is returned.
pub(crate) fn wake() -> io::Result<UnixStream> {
    let (reader, writer) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        pipe::register(signal, writer.try_clone()?)?;
    }
    Ok(reader)
}

/// Whether a process ignores a signal, by its `status` in proc(5).
fn is_ignored(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal - 1)) != 0
}

/// The signals to a watch.
pub(crate) struct Signals {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
}

impl Signals {
    /// Catches them: each is noted, and then wakes.
    pub(crate) fn catch(waker: &Waker) -> io::Result<Self> {
        let signals = Self { stop: Arc::default(), reload: Arc::default() };
        for (signal, noted) in [(SIGINT, &signals.stop), (SIGTERM, &signals.stop), (SIGHUP, &signals.reload)]
        {
            flag::register(signal, Arc::clone(noted))?;
            pipe::register(signal, waker.writer()?)?;
        }
        Ok(signals)
    }

    /// Whether SIGINT or SIGTERM came.
    pub(crate) fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Returns the flag behind [`stop`](Self::stop), for an apply to look at.
    pub(crate) fn stopping(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Whether SIGHUP came since the last call.
    pub(crate) fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_shows_in_the_status() {
        let status = "Name:\tdmctl\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001001\nSigCgt:\t0\n";
        assert!(is_ignored(status, SIGHUP));
        assert!(!is_ignored(status, SIGINT));
        assert!(!is_ignored("", SIGHUP));
    }
}
