//! When to look: not at each thing that is heard, but once there is quiet, and once a file is whole.
//!
//! An editor makes several changes of one save, and an apply many events. So after something is heard it takes
//! [`QUIET`] without anything more, or [`MOST`] in which there is never quiet. A file that is being written is
//! another matter: half of a map is a map, too. It is read when it is closed, or when its writer has paused for
//! [`WRITER`].

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde::Serialize;

/// So long nothing more may have happened.
pub const QUIET: Duration = Duration::from_millis(150);
/// So long a look is put off at most while no file is being written.
pub const MOST: Duration = Duration::from_secs(1);
/// So long a writer may pause with its file open.
pub const WRITER: Duration = Duration::from_secs(1);

/// Why there is something to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// It begins.
    Start,
    /// A file of the map changed.
    Map,
    /// A device of the kernel changed.
    Kernel,
    /// Somebody asked for a look.
    Asked,
    /// What could not be done then may be possible now.
    Again,
}

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Something changed, and is whole.
    Changed(Cause),
    /// A file was written to, and is still open.
    Writing,
}

/// What was heard and not yet looked at.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    waiting: Option<Waiting>,
}

#[derive(Debug, Clone)]
struct Waiting {
    causes: BTreeSet<Cause>,
    first: Instant,
    last: Instant,
    writing: bool,
}

impl Pace {
    /// Takes note of what was heard at `now`.
    pub fn heard(&mut self, what: Heard, now: Instant) {
        let waiting = self.waiting.get_or_insert_with(|| Waiting {
            causes: BTreeSet::new(),
            first: now,
            last: now,
            writing: false,
        });
        waiting.last = now;
        match what {
            Heard::Writing => {
                waiting.writing = true;
                waiting.causes.insert(Cause::Map);
            }
            Heard::Changed(cause) => {
                // The kernel changes while a file is being written; that doesn't make the file whole.
                if waiting.writing && cause == Cause::Map {
                    waiting.writing = false;
                    waiting.first = now;
                }
                waiting.causes.insert(cause);
            }
        }
    }

    /// Puts a look off for `pause` from `now` on, as nothing but time will tell when it can be had.
    pub fn again(&mut self, now: Instant, pause: Duration) {
        let at = now + pause.saturating_sub(QUIET);
        let causes = BTreeSet::from([Cause::Again]);
        self.waiting.get_or_insert(Waiting { causes, first: at, last: at, writing: false });
    }

    /// When to look, if nothing more is heard until then. None: there is nothing to wait for.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.waiting.as_ref().map(|waiting| {
            if waiting.writing {
                waiting.last + WRITER
            } else {
                (waiting.last + QUIET).min(waiting.first + MOST)
            }
        })
    }

    /// Why to look now, if it is time to.
    pub fn take(&mut self, now: Instant) -> Option<BTreeSet<Cause>> {
        self.due().filter(|due| *due <= now)?;
        self.waiting.take().map(|waiting| waiting.causes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: Heard = Heard::Changed(Cause::Map);
    const KERNEL: Heard = Heard::Changed(Cause::Kernel);

    /// What is heard at which millisecond, and at which one is looked: all looks up to then.
    fn looks(heard: &[(u64, Heard)], until: u64) -> Vec<(u64, Vec<Cause>)> {
        let start = Instant::now();
        let mut pace = Pace::default();
        let mut looks = Vec::new();
        for at in 0..until {
            let now = start + Duration::from_millis(at);
            for (_, what) in heard.iter().filter(|(when, _)| *when == at) {
                pace.heard(*what, now);
            }
            looks.extend(pace.take(now).map(|causes| (at, causes.into_iter().collect())));
        }
        assert_eq!(pace.due(), None, "something is still waited for");
        looks
    }

    #[test]
    fn nothing_heard_is_nothing_to_wait_for() {
        assert_eq!(looks(&[], 2000), []);
    }

    #[test]
    fn one_look_for_all_that_happens_at_once() {
        let heard = [(0, MAP), (100, KERNEL), (200, MAP)];
        assert_eq!(looks(&heard, 2000), [(350, vec![Cause::Map, Cause::Kernel])]);
    }

    #[test]
    fn what_is_never_quiet_is_looked_at_after_a_second() {
        let heard: Vec<_> = (0..16).map(|n| (n * 100, KERNEL)).collect();
        assert_eq!(looks(&heard, 3000), [(1000, vec![Cause::Kernel]), (1650, vec![Cause::Kernel])]);
    }

    #[test]
    fn a_file_is_read_when_it_is_closed() {
        let heard = [(0, Heard::Writing), (800, Heard::Writing), (1500, KERNEL), (2000, MAP)];
        assert_eq!(looks(&heard, 4000), [(2150, vec![Cause::Map, Cause::Kernel])]);
    }

    #[test]
    fn a_file_that_is_never_closed_is_read_when_its_writer_pauses() {
        assert_eq!(looks(&[(0, Heard::Writing), (300, Heard::Writing)], 4000), [(1300, vec![Cause::Map])]);
    }

    #[test]
    fn a_look_that_is_put_off_does_not_hold_up_another() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pace = Pace::default();
        pace.again(start, Duration::from_millis(500));
        assert_eq!(pace.due(), Some(at(500)));
        pace.heard(KERNEL, at(100));
        assert_eq!(pace.due(), Some(at(250)));
        assert_eq!(pace.take(at(250)), Some(BTreeSet::from([Cause::Kernel, Cause::Again])));
    }
}
