//! Watches a map and a kernel: change notification, debouncing, and backing off after failures.
//!
//! ```text
//! files ─(notify)─┐
//! signals ────────┼-> waker -> debounce: is it time to compare? -> (a plan) -> breaker: may it be applied?
//! kernel ─(poll)──┘
//! ```
//!
//! [`Files`] follows the files of a map, wherever links lead, and that of a simulated kernel. All events wake one
//! [`Waker`], which is a descriptor to wait on: beside it only the running kernel's own
//! ([`Events`](crate::kernel::live::Events)). So the thread wakes after an event and at no other time. [`Debounce`],
//! [`CircuitBreaker`] and [`FileChanges`] decide, and know neither files nor clocks: they are given events with their
//! times.

mod circuit_breaker;
mod debounce;
mod file_changes;
mod files;
mod path_watch;
mod wake;

pub(crate) use circuit_breaker::CircuitBreaker;
pub(crate) use debounce::{Cause, Debounce, Event};
pub(crate) use file_changes::{Awaited, FileChanges, FileMark, rewritten_quiet};
pub(crate) use files::{Files, WatchError};
pub(crate) use wake::Waker;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_map_that_is_written_is_a_cause_to_compare() {
        let folder = tempfile::tempdir().unwrap();
        let map = folder.path().join("map.toml");
        let (waker, mut debounce) = (Waker::new().unwrap(), Debounce::default());
        let _files = Files::new(vec![(map.clone(), Cause::Map)], &waker).unwrap();
        fs::write(&map, "format = 1").unwrap();
        let causes = loop {
            waker.wait(None, debounce.due()).unwrap();
            let now = Instant::now();
            waker.take_events().into_iter().for_each(|event| debounce.record(event, now));
            if let Some(causes) = debounce.take(now) {
                break causes;
            }
        };
        assert!(causes.contains(&Cause::Map));
    }
}
