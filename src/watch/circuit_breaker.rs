//! Decides whether drift may be put right, or whether trying has done enough harm.
//!
//! An apply that failed would fail again, and disturb devices again each time. So after a failure nothing more is
//! applied until the map changes or the user asks. The same when devices are put right again and again and never stay
//! so: then another program wants them otherwise, and the two would correct each other for ever.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The number of applies within [`WINDOW`] that opens the breaker.
pub(crate) const MAX_APPLIES: usize = 10;
/// The time in which applies are counted.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);

/// A breaker: closed while plans may be applied, open after too many failures. `M` identifies a map: another value is
/// another map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CircuitBreaker<M> {
    map: M,
    reason: Option<String>,
    applied: VecDeque<Instant>,
}

impl<M: PartialEq> CircuitBreaker<M> {
    /// Creates a closed breaker for a map.
    pub(crate) fn new(map: M) -> Self {
        Self { map, reason: None, applied: VecDeque::new() }
    }

    /// Sets the map that is followed now. Another map than before closes the breaker; returns whether it is another.
    pub(crate) fn set_map(&mut self, map: M) -> bool {
        let other = self.map != map;
        if other {
            *self = Self::new(map);
        }
        other
    }

    /// Whether `map` is the one that is followed now.
    pub(crate) fn is_map(&self, map: &M) -> bool {
        self.map == *map
    }

    /// Closes the breaker, as the user asks for.
    pub(crate) fn reset(&mut self) {
        self.reason = None;
        self.applied.clear();
    }

    /// Opens the breaker after an apply that failed.
    pub(crate) fn record_failure(&mut self, reason: impl Into<String>) {
        self.reason = Some(reason.into());
    }

    /// Counts an apply that was carried out at `now`.
    pub(crate) fn record_apply(&mut self, now: Instant) {
        self.applied.retain(|at| now.duration_since(*at) < WINDOW);
        self.applied.push_back(now);
        if self.applied.len() >= MAX_APPLIES {
            let seconds = WINDOW.as_secs();
            self.reason = Some(format!(
                "devices were put right {MAX_APPLIES} times within {seconds} seconds, and something changes them each time"
            ));
        }
    }

    /// Returns why nothing is applied; `None` while the breaker is closed.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_holds_until_the_map_changes() {
        let mut breaker = CircuitBreaker::new("one");
        breaker.record_failure("no");
        breaker.set_map("one");
        assert_eq!(breaker.reason(), Some("no"));
        breaker.set_map("two");
        assert_eq!(breaker.reason(), None);
    }

    #[test]
    fn a_failure_holds_until_the_user_asks() {
        let mut breaker = CircuitBreaker::new(());
        breaker.record_failure("no");
        breaker.reset();
        assert_eq!(breaker.reason(), None);
    }

    #[test]
    fn what_never_stays_right_is_left_alone() {
        let start = Instant::now();
        let mut breaker = CircuitBreaker::new(1);
        for n in 1..MAX_APPLIES {
            breaker.record_apply(start + Duration::from_millis(300 * n as u64));
            assert_eq!(breaker.reason(), None, "after {n}");
        }
        breaker.record_apply(start + Duration::from_secs(10));
        assert!(breaker.reason().unwrap().contains("10 times within 60 seconds"), "{:?}", breaker.reason());
        breaker.reset();
        breaker.record_apply(start + Duration::from_secs(11));
        assert_eq!(breaker.reason(), None, "applies before the reset do not count");
    }

    #[test]
    fn now_and_then_is_never_too_often() {
        let start = Instant::now();
        let mut breaker = CircuitBreaker::new(1);
        for n in 0..100 {
            breaker.record_apply(start + Duration::from_secs(7 * n));
            assert_eq!(breaker.reason(), None, "after {n}");
        }
    }
}
