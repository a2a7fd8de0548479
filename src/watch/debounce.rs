//! Decides when to compare: not at each event, but once there is quiet, and once a file is whole.
//!
//! An editor makes several events of one save, and an apply many. So after an event it takes [`QUIET`] without another,
//! or [`MAX_DELAY`] if there never is quiet. A file that is being written is another matter: half of a map is a map,
//! too. It is read when it is closed, or when its writer has paused for [`WRITER_PAUSE`].

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Serialize;

/// The time without an event after which the map and the kernel are compared.
pub(crate) const QUIET: Duration = Duration::from_millis(150);
/// The longest time that events put a comparison off, while no file is being written.
pub(crate) const MAX_DELAY: Duration = Duration::from_secs(1);
/// The time for which a writer may pause with its file open.
pub(crate) const WRITER_PAUSE: Duration = Duration::from_secs(1);

/// A reason to compare the map and the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The watch begins.
    Start,
    /// A file of the map changed.
    Map,
    /// A device of the kernel changed, or a lower device came.
    Kernel,
    /// SIGHUP asked for it.
    Asked,
    /// After an apply, or a wait for the lock.
    Again,
}

/// An event of the files or the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A change that is complete.
    Changed(Cause),
    /// A file was written to, and is still open.
    Writing,
}

/// Collects events until it is time to compare.
#[derive(Debug, Clone, Default)]
pub(crate) struct Debounce {
    pending: Option<Pending>,
}

#[derive(Debug, Clone)]
struct Pending {
    causes: BTreeSet<Cause>,
    first: Instant,
    last: Instant,
    writing: bool,
}

impl Debounce {
    /// Records an event at `now`.
    pub(crate) fn record(&mut self, event: Event, now: Instant) {
        let pending = self.pending.get_or_insert_with(|| Pending {
            causes: BTreeSet::new(),
            first: now,
            last: now,
            writing: false,
        });
        pending.last = now;
        match event {
            Event::Writing => {
                pending.writing = true;
                pending.causes.insert(Cause::Map);
            }
            Event::Changed(cause) => {
                // The kernel changes while a file is being written; that doesn't make the file whole.
                if pending.writing && cause == Cause::Map {
                    pending.writing = false;
                    pending.first = now;
                }
                pending.causes.insert(cause);
            }
        }
    }

    /// Puts a comparison off for `pause` from `now` on, when no event will tell that it can succeed.
    pub(crate) fn retry_after(&mut self, now: Instant, pause: Duration) {
        let at = now + pause.saturating_sub(QUIET);
        let causes = BTreeSet::from([Cause::Again]);
        self.pending.get_or_insert(Pending { causes, first: at, last: at, writing: false });
    }

    /// Returns when to compare, if no event comes until then; `None` while there is no event.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.pending.as_ref().map(|pending| {
            if pending.writing {
                pending.last + WRITER_PAUSE
            } else {
                (pending.last + QUIET).min(pending.first + MAX_DELAY)
            }
        })
    }

    /// Takes the causes, if it is time to compare.
    pub(crate) fn take(&mut self, now: Instant) -> Option<BTreeSet<Cause>> {
        self.due().filter(|due| *due <= now)?;
        self.pending.take().map(|pending| pending.causes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: Event = Event::Changed(Cause::Map);
    const KERNEL: Event = Event::Changed(Cause::Kernel);

    /// Feeds events, each at a millisecond, and gives the milliseconds of all comparisons up to `until`.
    fn comparisons(events: &[(u64, Event)], until: u64) -> Vec<(u64, Vec<Cause>)> {
        let start = Instant::now();
        let mut debounce = Debounce::default();
        let mut comparisons = Vec::new();
        for at in 0..until {
            let now = start + Duration::from_millis(at);
            for (_, event) in events.iter().filter(|(when, _)| *when == at) {
                debounce.record(*event, now);
            }
            comparisons.extend(debounce.take(now).map(|causes| (at, causes.into_iter().collect())));
        }
        assert_eq!(debounce.due(), None, "an event is left");
        comparisons
    }

    #[test]
    fn no_event_is_nothing_to_wait_for() {
        assert_eq!(comparisons(&[], 2000), []);
    }

    #[test]
    fn all_that_happens_at_once_is_compared_once() {
        let events = [(0, MAP), (100, KERNEL), (200, MAP)];
        assert_eq!(comparisons(&events, 2000), [(350, vec![Cause::Map, Cause::Kernel])]);
    }

    #[test]
    fn what_is_never_quiet_is_compared_after_a_second() {
        let events: Vec<_> = (0..16).map(|n| (n * 100, KERNEL)).collect();
        assert_eq!(comparisons(&events, 3000), [(1000, vec![Cause::Kernel]), (1650, vec![Cause::Kernel])]);
    }

    #[test]
    fn a_file_is_read_when_it_is_closed() {
        let events = [(0, Event::Writing), (800, Event::Writing), (1500, KERNEL), (2000, MAP)];
        assert_eq!(comparisons(&events, 4000), [(2150, vec![Cause::Map, Cause::Kernel])]);
    }

    #[test]
    fn a_file_that_is_never_closed_is_read_when_its_writer_pauses() {
        let events = [(0, Event::Writing), (300, Event::Writing)];
        assert_eq!(comparisons(&events, 4000), [(1300, vec![Cause::Map])]);
    }

    #[test]
    fn a_comparison_that_is_put_off_does_not_hold_up_another() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut debounce = Debounce::default();
        debounce.retry_after(start, Duration::from_millis(500));
        assert_eq!(debounce.due(), Some(at(500)));
        debounce.record(KERNEL, at(100));
        assert_eq!(debounce.due(), Some(at(250)));
        assert_eq!(debounce.take(at(250)), Some(BTreeSet::from([Cause::Kernel, Cause::Again])));
    }
}
