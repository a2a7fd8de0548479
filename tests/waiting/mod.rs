//! The one loop that waits for what comes by itself, on a machine where others work.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take on a machine where others work.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `is_so` holds. Gives whether it came to hold in time.
pub fn until<E>(is_so: impl FnMut() -> Result<bool, E>) -> Result<bool, E> {
    until_within(PATIENCE, is_so)
}

/// The same for what may take longer.
pub fn until_within<E>(patience: Duration, mut is_so: impl FnMut() -> Result<bool, E>) -> Result<bool, E> {
    let begin = Instant::now();
    while !is_so()? {
        if begin.elapsed() > patience {
            return Ok(false);
        }
        thread::sleep(PAUSE);
    }
    Ok(true)
}
