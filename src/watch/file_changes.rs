//! Remembers the files of a map that went away or were written in place, until there was quiet for some time.
//!
//! A file that is away for a moment, while a program replaces it or a folder is copied, is not an order to remove what it
//! declared: a removal can't be taken back. Nor is a file whose writer closed it halfway and goes on a moment later, be it a
//! file that was there before or one that was away meanwhile. A file that another one replaced by a rename is whole.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

/// How long a file that was written in place must not change before it counts as whole, at most. A file that went away is
/// waited for longer: then something is under way for sure.
const REWRITTEN_QUIET: Duration = Duration::from_secs(3);

/// Returns how long a file that was written in place must not change, for a given wait for one that went away.
pub(crate) fn rewritten_quiet(delay: Duration) -> Duration {
    delay.min(REWRITTEN_QUIET)
}

/// What tells that a file was written or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileMark {
    /// The device and the inode: another pair is another file.
    inode: (u64, u64),
    /// The size in bytes, and the time of the last write in seconds and nanoseconds.
    content: (u64, i64, i64),
}

impl FileMark {
    /// Reads the mark of the file at `path`.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        Ok(Self {
            inode: (found.dev(), found.ino()),
            content: (found.size(), found.mtime(), found.mtime_nsec()),
        })
    }
}

/// The files of a map that changed in a way that may go on.
#[derive(Debug, Default)]
pub(crate) struct FileChanges {
    present: BTreeMap<PathBuf, FileMark>,
    /// The files that went away, each with its last mark.
    absent: BTreeMap<PathBuf, FileMark>,
    rewritten: BTreeSet<PathBuf>,
    /// When the files changed last.
    changed: Option<Instant>,
    /// Whether the files were not a map when they were read last.
    in_gap: bool,
}

/// The files that are waited for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Awaited {
    /// The files that went away.
    pub(crate) absent: BTreeSet<PathBuf>,
    /// The files that were written in place.
    pub(crate) rewritten: BTreeSet<PathBuf>,
}

impl Awaited {
    /// Whether no file is waited for.
    pub(crate) fn is_empty(&self) -> bool {
        self.absent.is_empty() && self.rewritten.is_empty()
    }
}

impl FileChanges {
    /// Records the files that a map has at `now`. `changed` tells whether the content of any of them changed since the last
    /// call.
    pub(crate) fn record(&mut self, present: BTreeMap<PathBuf, FileMark>, changed: bool, now: Instant) {
        let went = self.present.iter().filter(|(path, _)| !present.contains_key(*path));
        self.absent.extend(went.map(|(path, mark)| (path.clone(), *mark)));
        for (path, mark) in &present {
            match self.present.get(path) {
                // A file that was away was not replaced: it may be written on, unless it is the very file that went. Its inode
                // tells nothing, for a file system may give the number of one that is gone to the next.
                None if self.absent.get(path).is_some_and(|before| before != mark) => {
                    self.rewritten.insert(path.clone());
                }
                Some(before) if before.inode == mark.inode => {
                    if changed && before.content != mark.content {
                        self.rewritten.insert(path.clone());
                    }
                }
                _ => drop(self.rewritten.remove(path)),
            }
        }
        self.absent.retain(|path, _| !present.contains_key(path));
        self.rewritten.retain(|path| present.contains_key(path));
        let was_in_gap = std::mem::take(&mut self.in_gap);
        if changed || was_in_gap || !self.present.keys().eq(present.keys()) {
            self.changed = Some(now);
        }
        self.present = present;
    }

    /// Records that the files are not a map: the time of quiet begins with the first map that follows, for a map that was
    /// away comes back in parts as well.
    pub(crate) fn record_gap(&mut self) {
        self.in_gap = true;
    }

    /// Returns the files that are waited for, and until when, if nothing changes until then; `None` while there are none.
    /// From that time on they are forgotten.
    pub(crate) fn awaited(&mut self, delay: Duration, now: Instant) -> Option<(Awaited, Instant)> {
        let changed = if self.in_gap { now } else { self.changed? };
        let (gone, whole) = (changed + delay, changed + rewritten_quiet(delay));
        if gone <= now {
            self.absent.clear();
        }
        if whole <= now {
            self.rewritten.clear();
        }
        let until = if self.rewritten.is_empty() { gone } else { whole };
        let awaited =
            Awaited { absent: self.absent.keys().cloned().collect(), rewritten: self.rewritten.clone() };
        (!awaited.is_empty()).then_some((awaited, until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_secs(10);

    /// Files by name, each with the number of its inode and its size.
    fn files(of: &str) -> BTreeMap<PathBuf, FileMark> {
        let file = |(inode, word): (usize, &str)| {
            let (name, of) = word.split_once(':').unwrap_or((word, ""));
            let (inode, size) = of
                .split_once('/')
                .map_or((inode as u64, 0), |(inode, size)| (inode.parse().unwrap(), size.parse().unwrap()));
            (PathBuf::from(name), FileMark { inode: (0, inode), content: (size, 0, 0) })
        };
        of.split_whitespace().enumerate().map(file).collect()
    }

    fn absent(names: &str) -> Awaited {
        Awaited { absent: names.split_whitespace().map(PathBuf::from).collect(), ..Awaited::default() }
    }

    fn rewritten(names: &str) -> Awaited {
        Awaited { rewritten: absent(names).absent, ..Awaited::default() }
    }

    fn at(start: Instant) -> impl Fn(u64) -> Instant {
        move |seconds| start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_file_that_comes_back_was_not_gone() {
        let at = at(Instant::now());
        let mut changes = FileChanges::default();
        changes.record(files("a b"), true, at(0));
        assert_eq!(changes.awaited(DELAY, at(0)), None);
        changes.record(files("a"), true, at(1));
        assert_eq!(changes.awaited(DELAY, at(2)), Some((absent("b"), at(11))));
        changes.record(files("a b"), true, at(3));
        assert_eq!(changes.awaited(DELAY, at(3)), None);
    }

    /// Whatever inode it has: that of the file that went away may be given out again.
    #[test]
    fn a_file_that_comes_back_by_being_written_may_be_written_on() {
        for inode in [1, 3] {
            let at = at(Instant::now());
            let mut changes = FileChanges::default();
            changes.record(files("a:1/8 b:2/8"), true, at(0));
            changes.record(files("b:2/8"), true, at(1));
            changes.record(files("b:2/8"), false, at(2));
            changes.record(files(&format!("a:{inode}/4 b:2/8")), true, at(3));
            assert_eq!(changes.awaited(DELAY, at(3)), Some((rewritten("a"), at(6))));
            changes.record(files(&format!("a:{inode}/8 b:2/8")), true, at(5));
            // A new inode is a file that replaced it, unless it went on in place.
            assert_eq!(changes.awaited(DELAY, at(5)), Some((rewritten("a"), at(8))));
            assert_eq!(changes.awaited(DELAY, at(8)), None);
        }
    }

    #[test]
    fn an_absence_counts_after_a_time_of_quiet() {
        let at = at(Instant::now());
        let mut changes = FileChanges::default();
        changes.record(files("a b c"), true, at(0));
        // The whole folder is copied: nothing is there at first, and then one file after another.
        changes.record(files(""), true, at(1));
        changes.record(files("a"), true, at(8));
        // A change of the kernel is none of the files.
        changes.record(files("a"), false, at(17));
        assert_eq!(changes.awaited(DELAY, at(17)), Some((absent("b c"), at(18))));
        assert_eq!(changes.awaited(DELAY, at(18)), None);
        // It is over, whatever changes then.
        changes.record(files("a:0/1"), false, at(19));
        assert_eq!(changes.awaited(DELAY, at(19)), None);
    }

    /// A folder that was moved away, or a map with an error in it, comes back one file after another.
    #[test]
    fn an_absence_counts_from_the_first_map_after_a_gap() {
        for gap in ["", "a"] {
            let at = at(Instant::now());
            let mut changes = FileChanges::default();
            changes.record(files("a b c"), true, at(0));
            changes.record(files(gap), true, at(1));
            changes.record_gap();
            assert!(changes.awaited(DELAY, at(100)).is_some(), "{gap:?}");
            // Whether the content is another than in the gap or not.
            changes.record(files("a"), gap.is_empty(), at(200));
            assert_eq!(changes.awaited(DELAY, at(200)), Some((absent("b c"), at(210))), "{gap:?}");
            changes.record(files("a b"), true, at(205));
            let _ = changes.awaited(DELAY, at(208));
            changes.record(files("a b"), false, at(209));
            assert_eq!(changes.awaited(DELAY, at(209)).unwrap().0.absent, absent("c").absent, "{gap:?}");
            assert_eq!(changes.awaited(DELAY, at(215)), None, "{gap:?}");
        }
    }

    #[test]
    fn a_file_that_is_written_in_place_may_be_written_on() {
        let at = at(Instant::now());
        let mut changes = FileChanges::default();
        changes.record(files("a:1/8 b:2/8"), true, at(0));
        changes.record(files("a:1/4 b:2/8"), true, at(1));
        assert_eq!(changes.awaited(DELAY, at(1)), Some((rewritten("a"), at(4))));
        // It goes on, and the time begins again.
        changes.record(files("a:1/8 b:2/8"), true, at(3));
        assert_eq!(changes.awaited(DELAY, at(5)), Some((rewritten("a"), at(6))));
        assert_eq!(changes.awaited(Duration::from_secs(1), at(5)), None);
        // A file that is touched has the same content.
        changes.record(files("a:1/9 b:2/8"), false, at(16));
        assert_eq!(changes.awaited(DELAY, at(16)), None);
    }

    #[test]
    fn a_file_that_replaces_another_is_whole() {
        let at = at(Instant::now());
        let mut changes = FileChanges::default();
        changes.record(files("a:1/8"), true, at(0));
        changes.record(files("a:1/4"), true, at(1));
        changes.record(files("a:3/6"), true, at(2));
        assert_eq!(changes.awaited(DELAY, at(2)), None);
    }
}
