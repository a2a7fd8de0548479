//! Follows files by the kernel's inotify: those of a map, and that of a simulated kernel.
//!
//! Folders are watched, never files: an editor puts a new file in the place of the old one. Of the events of a folder
//! only those at a watched entry (`path_watch`) count. Reading a file does not: each comparison would cause the next.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use thiserror::Error;

use super::debounce::{self, Cause};
use super::path_watch::{WatchedEntry, watched_entries};
use super::wake::{Sender, Waker};
use crate::identity::printable_path;
use crate::sync::Mutex;

/// The number of attempts to watch folders that vanish meanwhile.
const MAX_TRIES: usize = 5;

/// Why files can't be followed.
#[derive(Debug, Error)]
pub(crate) enum WatchError {
    /// inotify can't be used at all.
    #[error("files can't be followed: {0}; `sysctl fs.inotify` shows the limits of this host")]
    Notify(notify::Error),
    /// A folder can't be watched.
    #[error("`{}` can't be watched: {why}", printable_path(.folder))]
    Folder {
        folder: PathBuf,
        /// What the system answered.
        why: String,
    },
    /// The folder that relative paths begin at is gone.
    #[error("the current folder can't be found: {0}")]
    Here(#[from] io::Error),
}

/// The entries that count, each with the cause that an event there is.
type Entries = Arc<Mutex<Vec<(WatchedEntry, Cause)>>>;

/// Follows files, and wakes when one of them may have changed.
pub(crate) struct Files {
    watcher: RecommendedWatcher,
    entries: Entries,
    folders: BTreeSet<PathBuf>,
    /// The paths as they were named, each with the cause that a change of it is.
    paths: Vec<(PathBuf, Cause)>,
    /// The paths of lower devices that are not there and may come.
    expected: BTreeSet<PathBuf>,
}

impl Files {
    /// Follows `paths`, each with the cause that a change of it is. They need not exist.
    pub(crate) fn new(paths: Vec<(PathBuf, Cause)>, waker: &Waker) -> Result<Self, WatchError> {
        let entries = Entries::default();
        let listener = Listener { entries: Arc::clone(&entries), sender: waker.sender() };
        let watcher = notify::recommended_watcher(move |event| listener.handle(event));
        let watcher = watcher.map_err(WatchError::Notify)?;
        let mut files = Self { watcher, entries, folders: BTreeSet::new(), paths, expected: BTreeSet::new() };
        files.follow()?;
        Ok(files)
    }

    /// Resolves all paths again: after a change they may resolve to other files. A change from here on is an event, so
    /// what is read after this is not older than the last event.
    pub(crate) fn follow(&mut self) -> Result<(), WatchError> {
        for _ in 1..MAX_TRIES {
            match self.try_follow() {
                // The folder was there a moment ago, so the way to it has changed once more.
                Err(WatchError::Folder { folder, .. }) if !folder.exists() => {}
                outcome => return outcome,
            }
        }
        self.try_follow()
    }

    /// Follows the paths of lower devices that are not there yet, in place of those that were expected before. Returns
    /// whether they are others than before; then one may have come before it was followed.
    pub(crate) fn expect(&mut self, paths: BTreeSet<PathBuf>) -> Result<bool, WatchError> {
        if self.expected == paths {
            return Ok(false);
        }
        self.expected = paths;
        self.follow().map(|()| true)
    }

    fn try_follow(&mut self) -> Result<(), WatchError> {
        let mut entries = Vec::new();
        let expected = self.expected.iter().map(|path| (path, Cause::Kernel));
        for (path, cause) in self.paths.iter().map(|(path, cause)| (path, *cause)).chain(expected) {
            entries.extend(watched_entries(path)?.into_iter().map(|entry| (entry, cause)));
        }
        let folders = entries.iter().map(|(entry, _)| entry.folder.clone()).collect();
        *self.entries.lock() = entries;
        for old in std::mem::replace(&mut self.folders, folders) {
            // All folders, for another one may be at that path now. A folder that is gone is not watched any more.
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

/// Handles the events of the folders, in the thread of the watcher.
struct Listener {
    entries: Entries,
    sender: Sender,
}

impl Listener {
    fn handle(&self, event: notify::Result<Event>) {
        let entries = self.entries.lock();
        let Some(event) = event.ok().filter(|event| !event.need_rescan()) else {
            // The kernel dropped events, so every file may have changed.
            let all: BTreeSet<Cause> = entries.iter().map(|(_, cause)| *cause).collect();
            for cause in all {
                self.sender.send(debounce::Event::Changed(cause));
            }
            return;
        };
        let seen: fn(Cause) -> debounce::Event = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => debounce::Event::Changed,
            EventKind::Access(_) => return,
            EventKind::Modify(ModifyKind::Data(_)) => |_| debounce::Event::Writing,
            _ => debounce::Event::Changed,
        };
        let hit = |cause: Cause| {
            let mut own = entries.iter().filter(|(_, other)| *other == cause);
            own.any(|(entry, _)| event.paths.iter().any(|path| concerns(path, entry)))
        };
        for cause in [Cause::Map, Cause::Kernel].into_iter().filter(|cause| hit(*cause)) {
            self.sender.send(seen(cause));
        }
    }
}

/// Whether an event at `path` may change `entry`: it is the entry, or its folder.
fn concerns(path: &Path, entry: &WatchedEntry) -> bool {
    let inside = path.parent().zip(path.file_name()).is_some_and(|(folder, name)| entry.is_at(folder, name));
    inside || path == entry.folder
}
