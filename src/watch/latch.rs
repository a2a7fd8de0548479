//! Whether what is seen may be put right, or whether trying did enough harm.
//!
//! An apply that failed would fail again, and disturb devices again each time. So after one that failed nothing
//! more is applied until the map changes or somebody asks. The same when devices are put right again and again
//! and never stay so: then somebody else wants them otherwise, and two who correct each other do so for ever.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So many times devices are put right by one map within [`WHILE`].
pub const OFTEN: usize = 10;
/// See [`OFTEN`].
pub const WHILE: Duration = Duration::from_secs(60);

/// The latch. `M` is what stands for a map: when it differs, the map does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latch<M> {
    map: M,
    why: Option<String>,
    applied: VecDeque<Instant>,
}

impl<M: PartialEq> Latch<M> {
    /// One that is open, for this map.
    pub fn new(map: M) -> Self {
        Self { map, why: None, applied: VecDeque::new() }
    }

    /// Says which map there is now. Another one than before opens the latch; tells whether it is one.
    pub fn map(&mut self, map: M) -> bool {
        let other = self.map != map;
        if other {
            *self = Self::new(map);
        }
        other
    }

    /// Opens it: somebody asked to try again.
    pub fn lift(&mut self) {
        self.why = None;
        self.applied.clear();
    }

    /// An apply failed.
    pub fn failed(&mut self, why: impl Into<String>) {
        self.why = Some(why.into());
    }

    /// An apply worked, at `now`.
    pub fn applied(&mut self, now: Instant) {
        self.applied.retain(|at| now.duration_since(*at) < WHILE);
        self.applied.push_back(now);
        if self.applied.len() >= OFTEN {
            let seconds = WHILE.as_secs();
            self.why = Some(format!(
                "devices were put right {OFTEN} times within {seconds} seconds, and something changes them each time"
            ));
        }
    }

    /// Why nothing is applied, while that is so.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_holds_until_the_map_changes() {
        let mut latch = Latch::new("one");
        latch.failed("no");
        latch.map("one");
        assert_eq!(latch.why(), Some("no"));
        latch.map("two");
        assert_eq!(latch.why(), None);
    }

    #[test]
    fn a_failure_holds_until_somebody_asks() {
        let mut latch = Latch::new(());
        latch.failed("no");
        latch.lift();
        assert_eq!(latch.why(), None);
    }

    #[test]
    fn what_never_stays_right_is_left_alone() {
        let start = Instant::now();
        let mut latch = Latch::new(1);
        for n in 1..OFTEN {
            latch.applied(start + Duration::from_millis(300 * n as u64));
            assert_eq!(latch.why(), None, "after {n}");
        }
        latch.applied(start + Duration::from_secs(10));
        assert!(latch.why().unwrap().contains("10 times within 60 seconds"), "{:?}", latch.why());
        latch.lift();
        latch.applied(start + Duration::from_secs(11));
        assert_eq!(latch.why(), None, "what was before it was lifted does not count");
    }

    #[test]
    fn now_and_then_is_never_too_often() {
        let start = Instant::now();
        let mut latch = Latch::new(1);
        for n in 0..100 {
            latch.applied(start + Duration::from_secs(7 * n));
            assert_eq!(latch.why(), None, "after {n}");
        }
    }
}
