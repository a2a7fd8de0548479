//! Signals: those that ask for an end, and the one that asks for another look.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dmctl::watch::Bell;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};

/// From now on SIGINT and SIGTERM end nothing: they make this true, and whoever changes a kernel ends where
/// that can be done safely. A second one adds nothing.
pub fn stop() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

/// The signals to a process that waits for a bell.
pub struct Signals {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicBool>,
}

impl Signals {
    /// From now on they ring it, after they were noted here.
    pub fn ring(bell: &Bell) -> io::Result<Self> {
        let signals = Self { stop: stop()?, asked: Arc::default() };
        flag::register(SIGHUP, Arc::clone(&signals.asked))?;
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            pipe::register(signal, bell.rope()?)?;
        }
        Ok(signals)
    }

    /// Whether one asked for an end.
    pub fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The same, for whoever looks at it meanwhile.
    pub fn stopping(&self) -> &AtomicBool {
        &self.stop
    }

    /// Whether one asked for another look since this was asked last.
    pub fn asked(&self) -> bool {
        self.asked.swap(false, Ordering::Relaxed)
    }
}
