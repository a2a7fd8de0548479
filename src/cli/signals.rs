//! Signals that ask for an end.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::pipe;

/// From now on SIGINT and SIGTERM end nothing: they make this true, and whoever changes a kernel ends where
/// that can be done safely. A second one adds nothing. There is one for the whole process.
pub fn stop() -> io::Result<Arc<AtomicBool>> {
    static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    if let Some(stop) = STOP.get() {
        return Ok(Arc::clone(stop));
    }
    let stop = STOP.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(stop))?;
    }
    Ok(Arc::clone(stop))
}

/// From now on SIGINT and SIGTERM end nothing: something to read comes out of this.
pub fn wake() -> io::Result<UnixStream> {
    let (reader, writer) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        pipe::register(signal, writer.try_clone()?)?;
    }
    Ok(reader)
}

/// From now on SIGHUP ends nothing: the end of a terminal is nothing to this process.
pub fn outlive_terminal() -> io::Result<()> {
    flag::register(SIGHUP, Arc::default()).map(drop)
}
