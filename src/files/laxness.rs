//! Tells who could have written a file, or put another one in its place; and who could have read it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use shlex::try_quote;
use thiserror::Error;

use crate::identity::printable;

/// The bits of a mode by which users other than the owner may write: those of the group and of all.
const OTHERS_WRITE: u32 = 0o022;

/// The bits of a mode by which users other than the owner may read.
const OTHERS_READ: u32 = 0o044;

/// The bit of a folder in which only the owner of an entry may replace it: `S_ISVTX`.
const STICKY: u32 = 0o1000;

/// What a path leads through, or to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// What is read.
    File,
    /// A folder on the way to it, which decides what file a name is.
    Folder,
    /// A symbolic link on the way to it, in a folder to which every user may add entries.
    Link,
}

/// One way in which a file is open to others. Its `Display` names the file, the users, and the command that mends it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Laxness {
    /// Its group or everyone may write.
    #[error("{} is writable by users other than its owner, by {} (mode {mode:04o}), who could {}; run `chmod {} {}`",
        shown(*.place, .path), users(.mode & OTHERS_WRITE), harm(*.place), taken(.mode & OTHERS_WRITE, 'w'), word(.path))]
    Writable {
        /// Whether it is the file, or a folder on the way.
        place: Place,
        /// The file or folder.
        path: PathBuf,
        /// The permission bits of the file or folder.
        mode: u32,
    },
    /// The owner is neither root nor the reading user.
    #[error("{} belongs to user {owner}, who could {}; run `chown {}root {}`",
        shown(*.place, .path), harm(*.place), if *.place == Place::Link { "-h " } else { "" }, word(.path))]
    Foreign {
        /// Whether it is the file, or on the way to it.
        place: Place,
        /// The file, folder or link.
        path: PathBuf,
        /// The user number of the owner.
        owner: u32,
    },
    /// The file holds a key, and its group or everyone may read it.
    #[error("`{}` holds a key and is readable by users other than its owner, by {} (mode {mode:04o}); run `chmod go-rwx {}`",
        printable(&.path.to_string_lossy()), users(.mode & OTHERS_READ), word(.path))]
    Readable {
        /// The file.
        path: PathBuf,
        /// The permission bits of the file.
        mode: u32,
    },
}

impl Laxness {
    /// Whether the file itself is open to others, not what is on the way to it.
    pub(crate) fn is_of_the_file(&self) -> bool {
        match self {
            Self::Writable { place, .. } | Self::Foreign { place, .. } => *place == Place::File,
            Self::Readable { .. } => true,
        }
    }
}

fn shown(place: Place, path: &Path) -> String {
    let path = path.to_string_lossy();
    let path = printable(&path);
    match place {
        Place::File => format!("`{path}`"),
        Place::Folder => format!("the folder `{path}`"),
        Place::Link => format!("the link `{path}`"),
    }
}

fn harm(place: Place) -> &'static str {
    match place {
        Place::File => "decide what dmctl does",
        Place::Folder => "put another file in the place of one below it",
        Place::Link => "decide where it leads",
    }
}

/// Names the users that some bits of a mode are for.
fn users(bits: u32) -> &'static str {
    if bits & 0o007 != 0 { "every user" } else { "its group" }
}

/// Returns the argument of chmod(1) that takes these bits away.
fn taken(bits: u32, letter: char) -> String {
    let group = if bits & 0o070 != 0 { "g" } else { "" };
    let all = if bits & 0o007 != 0 { "o" } else { "" };
    format!("{group}{all}-{letter}")
}

/// Writes a path as a word of a shell.
pub(crate) fn word(path: &Path) -> String {
    let path = path.to_string_lossy();
    printable(&try_quote(&path).unwrap_or_default()).into_owned()
}

/// The owner and the permissions of a file, or of what is on the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guard {
    place: Place,
    path: PathBuf,
    owner: u32,
    mode: u32,
}

impl Guard {
    /// Takes owner and permissions of what is called `path` in messages.
    pub(crate) fn of(place: Place, path: &Path, metadata: &Metadata) -> Self {
        Self { place, path: path.to_path_buf(), owner: metadata.uid(), mode: metadata.mode() & 0o7777 }
    }

    /// Whether all users may add entries to this folder, each of which only its owner may replace.
    pub(super) fn is_shared(&self) -> bool {
        self.place == Place::Folder && self.mode & OTHERS_WRITE != 0 && self.mode & STICKY != 0
    }

    /// Whether users other than the owner may write. A link has no mode, and in a sticky folder an entry is its owner's.
    fn is_writable(&self) -> bool {
        self.mode & OTHERS_WRITE != 0 && self.place != Place::Link && !self.is_shared()
    }

    fn is_foreign(&self, user: u32) -> bool {
        self.owner != user && self.owner != 0
    }

    /// Whether `user` and root alone decide what is there. Unlike by `writers`, the way is judged for each user.
    pub(super) fn is_closed(&self, user: u32) -> bool {
        !self.is_writable() && !self.is_foreign(user)
    }

    /// Lists the ways in which users other than `user` and root may write. What is on the way to a file is judged for
    /// root alone: another user gains nothing by another file.
    pub(crate) fn writers(&self, user: u32) -> impl Iterator<Item = Laxness> {
        let Self { place, mode, owner, .. } = *self;
        let is_judged = place == Place::File || user == 0;
        let path = || self.path.clone();
        let writable = self.is_writable().then(|| Laxness::Writable { place, path: path(), mode });
        let foreign = self.is_foreign(user).then(|| Laxness::Foreign { place, path: path(), owner });
        writable.into_iter().chain(foreign).filter(move |_| is_judged)
    }

    /// Returns the way in which users other than `user` and root may read a file, if there is one.
    pub(crate) fn readers(&self, user: u32) -> Option<Laxness> {
        if self.place != Place::File {
            None
        } else if self.mode & OTHERS_READ != 0 {
            Some(Laxness::Readable { path: self.path.clone(), mode: self.mode })
        } else if self.is_foreign(user) {
            Some(Laxness::Foreign { place: self.place, path: self.path.clone(), owner: self.owner })
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(place: Place, owner: u32, mode: u32) -> Guard {
        Guard { place, path: "/srv/a map".into(), owner, mode }
    }

    fn writers(place: Place, owner: u32, mode: u32, user: u32) -> Vec<String> {
        guard(place, owner, mode).writers(user).map(|laxness| laxness.to_string()).collect()
    }

    #[test]
    fn only_the_owner_and_root_are_believed() {
        let told = |owner, mode, user| writers(Place::File, owner, mode, user);
        assert!(told(0, 0o644, 0).is_empty() && told(1000, 0o600, 1000).is_empty());
        assert!(told(0, 0o600, 1000).is_empty());
        assert_eq!(
            told(1000, 0o600, 0),
            [
                "`/srv/a map` belongs to user 1000, who could decide what dmctl does; run `chown root '/srv/a map'`"
            ]
        );
        assert_eq!(
            told(0, 0o664, 0),
            [
                "`/srv/a map` is writable by users other than its owner, by its group (mode 0664), who could decide what dmctl does; run `chmod g-w '/srv/a map'`"
            ]
        );
        assert!(told(0, 0o602, 0)[0].contains("by every user (mode 0602)"));
        assert!(told(0, 0o666, 0)[0].ends_with("run `chmod go-w '/srv/a map'`"));
    }

    #[test]
    fn a_folder_on_the_way_is_judged_for_root() {
        let told = |owner, mode, user| writers(Place::Folder, owner, mode, user);
        assert!(told(0, 0o755, 0).is_empty() && told(0, 0o1777, 0).is_empty());
        assert!(
            told(0, 0o777, 0)[0].starts_with(
                "the folder `/srv/a map` is writable by users other than its owner, by every user"
            )
        );
        assert!(told(7, 0o1777, 0)[0].contains("belongs to user 7"));
        assert!(told(7, 0o777, 1000).is_empty());
    }

    #[test]
    fn a_link_in_a_folder_of_all_is_its_owner_s() {
        assert!(writers(Place::Link, 0, 0o777, 0).is_empty());
        assert!(writers(Place::Link, 7, 0o777, 0)[0].ends_with("run `chown -h root '/srv/a map'`"));
    }

    #[test]
    fn keys_are_for_their_owner() {
        let guard = |owner, mode| guard(Place::File, owner, mode);
        assert_eq!(guard(0, 0o600).readers(0), None);
        assert!(matches!(guard(0, 0o640).readers(0), Some(Laxness::Readable { .. })));
        assert!(matches!(guard(5, 0o600).readers(0), Some(Laxness::Foreign { .. })));
    }
}
