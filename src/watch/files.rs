//! Follows files by the kernel's inotify: those of a map, and that of a simulated kernel.
//!
//! Folders are watched, never files: an editor puts a new file in the place of the old one. Of what happens in a
//! folder only what is at a spot of a `trail` counts, and reading a file is no event, or each look would be
//! followed by the next.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use thiserror::Error;

use super::bell::{Bell, Ringer};
use super::pace::{Cause, Heard};
use super::trail::{self, Spot};
use crate::identity::printable;
use crate::sync::Mutex;

/// How often a folder that vanished while it was being watched is looked for again.
const TRIES: usize = 5;

/// Why files can't be followed.
#[derive(Debug, Error)]
pub enum WatchError {
    /// inotify can't be used at all.
    #[error("files can't be followed: {0}; `sysctl fs.inotify` shows the limits of this host")]
    Notify(notify::Error),
    /// A folder can't be watched.
    #[error("`{}` can't be watched: {why}", printable(&.folder.to_string_lossy()))]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system answered.
        why: String,
    },
    /// The folder that relative paths begin at is gone.
    #[error("the current folder can't be found: {0}")]
    Here(#[from] io::Error),
}

/// The spots that count, and what an event there means.
type Spots = Arc<Mutex<Vec<(Spot, Cause)>>>;

/// Follows files, and rings a bell when one of them may have changed.
pub struct Files {
    watcher: RecommendedWatcher,
    spots: Spots,
    folders: BTreeSet<PathBuf>,
    /// The paths, as they were named, each with what a change of it means.
    paths: Vec<(PathBuf, Cause)>,
    /// What is not there and may come.
    expected: BTreeSet<PathBuf>,
}

impl Files {
    /// Follows `paths`, each with what a change of it means. They need not exist.
    pub fn new(paths: Vec<(PathBuf, Cause)>, bell: &Bell) -> Result<Self, WatchError> {
        let spots = Spots::default();
        let listener = Listener { spots: Arc::clone(&spots), ringer: bell.ringer() };
        let watcher = notify::recommended_watcher(move |event| listener.hear(event));
        let watcher = watcher.map_err(WatchError::Notify)?;
        let mut files = Self { watcher, spots, folders: BTreeSet::new(), paths, expected: BTreeSet::new() };
        files.follow()?;
        Ok(files)
    }

    /// Goes along all paths anew: after a change they may lead elsewhere. What changes from here on is heard, so
    /// whatever is read after this is not older than the last event.
    pub fn follow(&mut self) -> Result<(), WatchError> {
        for _ in 1..TRIES {
            match self.try_follow() {
                // It was there a moment ago: then the way there has changed once more.
                Err(WatchError::Folder { folder, .. }) if !folder.exists() => {}
                outcome => return outcome,
            }
        }
        self.try_follow()
    }

    /// Follows these, too, in place of those that were expected before: lower devices that are not there yet. Says
    /// whether they are others than before; then one may have come before it was followed.
    pub fn expect(&mut self, paths: BTreeSet<PathBuf>) -> Result<bool, WatchError> {
        if self.expected == paths {
            return Ok(false);
        }
        self.expected = paths;
        self.follow().map(|()| true)
    }

    fn try_follow(&mut self) -> Result<(), WatchError> {
        let mut spots = Vec::new();
        let expected = self.expected.iter().map(|path| (path, Cause::Kernel));
        for (path, cause) in self.paths.iter().map(|(path, cause)| (path, *cause)).chain(expected) {
            spots.extend(trail::spots(path)?.into_iter().map(|spot| (spot, cause)));
        }
        let folders = spots.iter().map(|(spot, _)| spot.folder.clone()).collect();
        *self.spots.lock() = spots;
        for old in std::mem::replace(&mut self.folders, folders) {
            // All of them, for another folder may be at that path now. One that is gone is watched no more.
            let _ = self.watcher.unwatch(&old);
        }
        for folder in &self.folders {
            self.watcher.watch(folder, RecursiveMode::NonRecursive).map_err(|error| WatchError::Folder {
                folder: folder.clone(),
                why: match error.kind {
                    notify::ErrorKind::MaxFilesWatch => {
                        "too many watches; raise `sysctl fs.inotify.max_user_watches`".to_string()
                    }
                    notify::ErrorKind::Io(error) => error.to_string(),
                    kind => format!("{kind:?}"),
                },
            })?;
        }
        Ok(())
    }
}

/// Hears all that happens in the folders. Called by the thread of the watcher.
struct Listener {
    spots: Spots,
    ringer: Ringer,
}

impl Listener {
    fn hear(&self, event: notify::Result<Event>) {
        let spots = self.spots.lock();
        let Some(event) = event.ok().filter(|event| !event.need_rescan()) else {
            // Something was missed, so anything may have changed.
            let all: BTreeSet<Cause> = spots.iter().map(|(_, cause)| *cause).collect();
            for cause in all {
                self.ringer.changed(cause);
            }
            return;
        };
        let heard: fn(Cause) -> Heard = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => Heard::Changed,
            EventKind::Access(_) => return,
            EventKind::Modify(ModifyKind::Data(_)) => |_| Heard::Writing,
            _ => Heard::Changed,
        };
        let hit = |cause: Cause| {
            let mut own = spots.iter().filter(|(_, other)| *other == cause);
            own.any(|(spot, _)| event.paths.iter().any(|path| concerns(path, spot)))
        };
        for cause in [Cause::Map, Cause::Kernel].into_iter().filter(|cause| hit(*cause)) {
            self.ringer.ring(heard(cause));
        }
    }
}

/// Whether what happened at `path` may change what is at `spot`: it is there, or is its folder.
fn concerns(path: &Path, spot: &Spot) -> bool {
    let inside = path.parent().zip(path.file_name()).is_some_and(|(folder, name)| spot.is_at(folder, name));
    inside || path == spot.folder
}
