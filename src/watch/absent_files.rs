//! Remembers the files of a map that went away, until there was quiet for some time.
//!
//! A file that is away for a moment, while a program replaces it or a folder is copied, is not an order to remove what it
//! declared: a removal can't be taken back.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The files of a map that were there, and are not.
#[derive(Debug, Default)]
pub(crate) struct AbsentFiles {
    present: BTreeSet<PathBuf>,
    absent: BTreeSet<PathBuf>,
    /// When the files changed last, while one of them is absent.
    changed: Option<Instant>,
}

impl AbsentFiles {
    /// Records the files that a map has at `now`. `changed` tells whether any of them changed since the last call.
    pub(crate) fn record(&mut self, present: BTreeSet<PathBuf>, changed: bool, now: Instant) {
        let went = self.present.difference(&present).cloned();
        self.absent = self.absent.difference(&present).cloned().chain(went).collect();
        if changed || self.present != present {
            self.changed = Some(now);
        }
        self.present = present;
    }

    /// Returns the absent files, and when they are taken to be gone for good, if nothing changes until then; `None` while
    /// none is absent. From that time on they are forgotten.
    pub(crate) fn awaited(&mut self, delay: Duration, now: Instant) -> Option<(&BTreeSet<PathBuf>, Instant)> {
        let until = self.changed? + delay;
        if until <= now {
            self.absent.clear();
        }
        (!self.absent.is_empty()).then_some((&self.absent, until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_secs(10);

    fn files(names: &str) -> BTreeSet<PathBuf> {
        names.split_whitespace().map(PathBuf::from).collect()
    }

    #[test]
    fn a_file_that_comes_back_was_not_gone() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut absent = AbsentFiles::default();
        absent.record(files("a b"), true, at(0));
        assert_eq!(absent.awaited(DELAY, at(0)), None);
        absent.record(files("a"), true, at(1));
        assert_eq!(absent.awaited(DELAY, at(2)), Some((&files("b"), at(11))));
        absent.record(files("a b"), true, at(3));
        assert_eq!(absent.awaited(DELAY, at(3)), None);
    }

    #[test]
    fn an_absence_counts_after_a_time_of_quiet() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut absent = AbsentFiles::default();
        absent.record(files("a b c"), true, at(0));
        // The whole folder is copied: nothing is there at first, and then one file after another.
        absent.record(files(""), true, at(1));
        absent.record(files("a"), true, at(8));
        // A change of the kernel is none of the files.
        absent.record(files("a"), false, at(17));
        assert_eq!(absent.awaited(DELAY, at(17)), Some((&files("b c"), at(18))));
        assert_eq!(absent.awaited(DELAY, at(18)), None);
        // It is over, whatever changes then.
        absent.record(files("a"), true, at(19));
        assert_eq!(absent.awaited(DELAY, at(19)), None);
    }
}
