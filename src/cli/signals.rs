//! Signals: those that ask for an end, and the one that asks for another look.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::watch::Bell;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};

/// From now on these signals end nothing: they make `stop` true, and whoever changes a kernel ends where that
/// can be done safely. A second one adds nothing. One that this process was started to ignore, as `nohup` does
/// with a terminal that is closed, stays ignored.
pub fn catch(stop: &Arc<AtomicBool>) -> io::Result<()> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        if !is_ignored(&status, signal) {
            flag::register(signal, Arc::clone(stop))?;
        }
    }
    Ok(())
}

/// From now on SIGINT and SIGTERM end nothing: something to read comes out of this.
pub fn wake() -> io::Result<UnixStream> {
    let (reader, writer) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        pipe::register(signal, writer.try_clone()?)?;
    }
    Ok(reader)
}

/// Whether the kernel's text about a process (proc(5)) says that it ignores a signal.
fn is_ignored(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal - 1)) != 0
}

/// The signals to a process that waits for a bell.
pub struct Signals {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicBool>,
}

impl Signals {
    /// From now on they ring it, after they were noted here.
    pub fn ring(bell: &Bell) -> io::Result<Self> {
        let signals = Self { stop: Arc::default(), asked: Arc::default() };
        for (signal, noted) in [(SIGINT, &signals.stop), (SIGTERM, &signals.stop), (SIGHUP, &signals.asked)] {
            flag::register(signal, Arc::clone(noted))?;
            pipe::register(signal, bell.rope()?)?;
        }
        Ok(signals)
    }

    /// Whether one asked for an end.
    pub fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The same, for whoever looks at it meanwhile.
    pub fn stopping(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Whether one asked for another look since this was asked last.
    pub fn asked(&self) -> bool {
        self.asked.swap(false, Ordering::Relaxed)
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
