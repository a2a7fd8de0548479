//! Why steps that take something away are held back: a file of the map is open for writing, was written in
//! place or went away a moment ago.
//!
//! Half of a map is a map as well, and so is a folder of which a file is replaced. What such a map adds can be put right
//! once it is whole; a device that is removed, replaced or formatted can't.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::identity::{printable, printable_path};
use crate::kernel::live::{Writers, writers};
use crate::plan::{Action, Plan, Step};
use crate::policy::Class;
use crate::watch::{Awaited, FileChanges, rewritten_quiet};

/// The time after which a writer is looked for again: one that came by another name of the file ends without an event.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What is waited for before anything is taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hold {
    /// The files that are open for writing, each with its writers.
    pub(super) written: Vec<(PathBuf, Writers)>,
    /// The files that went away, or were written in place.
    pub(super) awaited: Awaited,
    /// How long the files must not change before those that went away are gone for good.
    pub(super) delay: Duration,
    /// When to look again at the latest.
    pub(super) until: Instant,
}

impl Hold {
    /// Finds what is to be waited for; `None` where it is nothing. `files` are those that were read.
    pub(super) fn find(
        files: &BTreeSet<PathBuf>,
        changes: &mut FileChanges,
        delay: Duration,
    ) -> Option<Self> {
        let now = Instant::now();
        // A file that can't be opened now is another one than was read: that is an event.
        let written: Vec<_> =
            files.iter().filter_map(|file| Some((file.clone(), writers(file).ok().flatten()?))).collect();
        let again = now + LOOK_AGAIN;
        let (awaited, until) = match changes.awaited(delay, now) {
            Some(found) => found,
            None if written.is_empty() => return None,
            None => (Awaited::default(), again),
        };
        let until = if written.is_empty() { until } else { until.min(again) };
        Some(Self { written, awaited, delay, until })
    }

    /// How long the files must not change; `None` where only a writer is waited for.
    pub(super) fn quiet(&self) -> Option<Duration> {
        let Awaited { absent, rewritten } = &self.awaited;
        let whole = (!rewritten.is_empty()).then(|| rewritten_quiet(self.delay));
        (!absent.is_empty()).then_some(self.delay).or(whole)
    }

    /// Whether all that is waited for was told with `other`, whatever the time. That a file which was told is whole a moment
    /// later is no news.
    pub(super) fn was_told_with(&self, other: &Self) -> bool {
        let Awaited { absent, rewritten } = &self.awaited;
        let known = |file: &PathBuf| {
            other.awaited.rewritten.contains(file)
                || other.written.iter().any(|(written, _)| written == file)
                || !other.awaited.absent.is_empty()
        };
        self.written.iter().all(|written| other.written.contains(written))
            && absent.is_subset(&other.awaited.absent)
            && rewritten.iter().all(known)
    }
}

impl fmt::Display for Hold {
    /// Writes what must happen, to follow `until`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (file, writers) in &self.written {
            let names =
                writers.processes.iter().map(|(command, pid)| format!("{} ({pid})", printable(command)));
            let names: Vec<String> = names.collect();
            let by = if names.is_empty() { String::new() } else { format!(" by {}", names.join(", ")) };
            write!(f, "{separator}{}, which is open for writing{by}, is closed", shown(file))?;
            separator = ", and ";
        }
        let list =
            |files: &BTreeSet<PathBuf>| files.iter().map(|file| shown(file)).collect::<Vec<_>>().join(", ");
        let Awaited { absent, rewritten } = &self.awaited;
        if !rewritten.is_empty() {
            let quiet = rewritten_quiet(self.delay);
            write!(f, "{separator}{} was not written for {quiet:?}", list(rewritten))?;
            separator = ", and ";
        }
        if !absent.is_empty() {
            let delay = self.delay;
            write!(
                f,
                "{separator}{} is back, or the files of the map have not changed for {delay:?}",
                list(absent)
            )?;
        }
        Ok(())
    }
}

fn shown(path: &Path) -> String {
    printable_path(path).to_string()
}

/// Lists the steps of a plan that take something away: a device, what is on it, or the hold of its I/O.
pub(super) fn takes_away(plan: &Plan) -> impl Iterator<Item = &Step> {
    plan.steps.iter().filter(|step| {
        matches!(step.action(), Action::Remove | Action::Resume)
            || step.class == Class::Remove
            || !step.class.allowed_unasked()
    })
}

/// Describes a step in two words.
pub(super) fn describe(step: &Step) -> String {
    format!("{} {}", step.action().name(), step.name)
}
