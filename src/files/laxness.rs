//! Tells who could have written a file, or put another one in its place; and who could have read it.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::getxattr;
use rustix::io::Errno;
use thiserror::Error;

use super::handle::path_of;
use super::way_out::{Closing, is_roots, word};
use crate::identity::printable_path;

/// The bits of a mode by which users other than the owner may write: those of the group and of all.
const OTHERS_WRITE: u32 = 0o022;

/// The bits of a mode that are for every user.
const EVERY_USER: u32 = 0o007;

/// The bit by which the group may write.
const GROUP_WRITES: u32 = 0o020;

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

/// One way in which a file is open to others. Its `Display` names the file and the users; and the command that mends it,
/// where the file is root's or the user's to change, and not part of a home or a checkout of another user.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Laxness {
    /// Its group or everyone may write.
    #[error("{} is writable by users other than its owner, by {} (mode {mode:04o}), who could {}{}",
        shown(*.place, .path), users(.mode & OTHERS_WRITE), harm(*.place), closed(.path, *.closing))]
    Writable {
        /// Whether it is the file, or a folder on the way.
        place: Place,
        /// The file or folder.
        path: PathBuf,
        /// The permission bits of the file or folder.
        mode: u32,
        /// How it is closed; `None` where that is not for this user to do.
        closing: Option<Closing>,
    },
    /// The owner is neither root nor the reading user.
    #[error("{} belongs to user {owner}, who could {}{}",
        shown(*.place, .path), harm(*.place), closed(.path, *.closing))]
    Foreign {
        /// Whether it is the file, or on the way to it.
        place: Place,
        /// The file, folder or link.
        path: PathBuf,
        /// The user number of the owner.
        owner: u32,
        /// How it is given to root; `None` where that would take it from its user.
        closing: Option<Closing>,
    },
    /// The file holds a key, and its group or everyone may read it.
    #[error("`{}` holds a key and is readable by users other than its owner, by {} (mode {mode:04o}){}",
        printable_path(.path), users(.mode & OTHERS_READ), closed(.path, *.closing))]
    Readable {
        /// The file.
        path: PathBuf,
        /// The permission bits of the file.
        mode: u32,
        /// How it is closed; `None` where it is another user's.
        closing: Option<Closing>,
    },
    /// It has more names than one, in a folder where others can give names to files. link(2) gives one to a file of any
    /// user where `fs.protected_hardlinks` is 0, as the kernel has it (proc(5)).
    #[error("{} has {names} names (hard links), this one in a folder to which others can write, who could have made it to {}",
        shown(*.place, .path), harm(*.place))]
    Linked {
        /// Whether it is the file, or a link on the way.
        place: Place,
        /// The file or link.
        path: PathBuf,
        /// How many names it has.
        names: u64,
    },
}

impl Laxness {
    /// Whether what is open is another user's to change, so that the file can only be copied.
    pub(crate) fn is_to_copy(&self) -> bool {
        match self {
            Self::Writable { closing, .. }
            | Self::Foreign { closing, .. }
            | Self::Readable { closing, .. } => closing.is_none(),
            Self::Linked { .. } => true,
        }
    }

    /// Whether the file itself is open to others, not its name or what is on the way to it.
    pub(crate) fn is_of_the_file(&self) -> bool {
        match self {
            Self::Writable { place, .. } | Self::Foreign { place, .. } => *place == Place::File,
            Self::Readable { .. } => true,
            Self::Linked { .. } => false,
        }
    }
}

fn shown(place: Place, path: &Path) -> String {
    let path = printable_path(path);
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

/// Writes the command that closes a file, where there is one.
fn closed(path: &Path, closing: Option<Closing>) -> String {
    closing.map_or_else(String::new, |closing| format!("; run `{closing} {}`", word(path)))
}

/// The owner and the permissions of a file, or of what is on the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guard {
    place: Place,
    path: PathBuf,
    owner: u32,
    group: u32,
    mode: u32,
    /// Whether an access control list may let more users in than the owner and the group.
    is_listed: bool,
    /// How many names it has, where others could have made the one that was followed; 1 elsewhere.
    names: u64,
}

impl Guard {
    /// Takes owner and permissions of `file`, opened with `O_PATH` or for reading, which is called `path` in messages.
    pub(crate) fn of(place: Place, path: &Path, file: &File, metadata: &Metadata) -> Self {
        let mode = metadata.mode() & 0o7777;
        let (owner, group) = (metadata.uid(), metadata.gid());
        // The list is of interest only where the group decides.
        let is_listed = mode & GROUP_WRITES != 0 && place != Place::Link && has_list(file);
        Self { place, path: path.to_path_buf(), owner, group, mode, is_listed, names: 1 }
    }

    /// Notes that it is in `folder`. The number of its names is of interest only where others can make one: elsewhere a
    /// backup that makes one changes nothing.
    pub(super) fn directly_in(self, folder: Option<&Arc<Self>>, metadata: &Metadata) -> Self {
        let is_open = !metadata.is_dir() && folder.is_some_and(|folder| folder.others_write(0) != 0);
        Self { names: if is_open { metadata.nlink() } else { 1 }, ..self }
    }

    /// Returns the bits by which users other than the owner and `user` may write. Group 0 is root's own; so is a user's
    /// the group of the same number, which useradd(8) makes for that user alone. Where there is an access control list,
    /// the bits of the group are the most that any entry of the list allows (acl(5)), so the group tells nothing.
    fn others_write(&self, user: u32) -> u32 {
        let is_private = self.owner == user && self.group == user;
        let is_own = !self.is_listed && (self.group == 0 || is_private);
        self.mode & if is_own { OTHERS_WRITE & !GROUP_WRITES } else { OTHERS_WRITE }
    }

    /// Whether all users may add entries to this folder, each of which only its owner may replace.
    pub(super) fn is_shared(&self) -> bool {
        self.place == Place::Folder && self.others_write(0) != 0 && self.mode & STICKY != 0
    }

    /// Returns the bits by which users other than the owner may write. A link has no mode, and in a sticky folder an entry
    /// is its owner's.
    fn open_bits(&self, user: u32) -> u32 {
        if self.place == Place::Link || self.is_shared() { 0 } else { self.others_write(user) }
    }

    fn is_foreign(&self, user: u32) -> bool {
        self.owner != user && self.owner != 0
    }

    /// Whether `user` and root alone decide what is there. Unlike by `writers`, the way is judged for each user.
    pub(super) fn is_closed(&self, user: u32) -> bool {
        self.open_bits(user) == 0 && !self.is_foreign(user) && self.names <= 1
    }

    /// Lists the ways in which users other than `user` and root may write. What is on the way to a file is judged for
    /// root alone: another user gains nothing by another file.
    pub(crate) fn writers(&self, user: u32) -> impl Iterator<Item = Laxness> {
        let Self { place, mode, .. } = *self;
        let is_judged = place == Place::File || user == 0;
        let path = || self.path.clone();
        let bits = self.open_bits(user);
        let closing = || self.mode_closing(user, bits);
        let writable =
            (bits != 0).then(|| Laxness::Writable { place, path: path(), mode, closing: closing() });
        let names = self.names;
        let linked = (names > 1 && user == 0).then(|| Laxness::Linked { place, path: path(), names });
        let foreign = self.foreign(user);
        writable.into_iter().chain(foreign).chain(linked).filter(move |_| is_judged)
    }

    /// Returns the way in which users other than `user` and root may read a file, if there is one.
    pub(crate) fn readers(&self, user: u32) -> Option<Laxness> {
        if self.place != Place::File {
            None
        } else if self.mode & OTHERS_READ != 0 {
            Some(Laxness::Readable {
                path: self.path.clone(),
                mode: self.mode,
                closing: (self.has_name() && !self.is_foreign(user)).then_some(Closing::Private),
            })
        } else {
            self.foreign(user)
        }
    }

    /// Whether a command can name it: standard input, and the numbers of open files, are other files there.
    fn has_name(&self) -> bool {
        let unnamed = ["/dev/stdin", "/dev/fd", "/proc"].iter().any(|folder| self.path.starts_with(folder));
        !unnamed && self.path != Path::new("<stdin>")
    }

    /// Tells that the owner is neither `user` nor root, where that is so.
    fn foreign(&self, user: u32) -> Option<Laxness> {
        let Self { place, owner, .. } = *self;
        let give = if place == Place::Link { Closing::GiveLink } else { Closing::Give };
        let closing = || (user == 0 && self.has_name() && is_roots(&self.path)).then_some(give);
        let path = || self.path.clone();
        self.is_foreign(user).then(|| Laxness::Foreign { place, path: path(), owner, closing: closing() })
    }

    /// Returns the command that takes the right to write, by `bits`, from others. A folder that a group shares is left to
    /// the group, and what another user owns to that user.
    fn mode_closing(&self, user: u32, bits: u32) -> Option<Closing> {
        let is_of_a_group = self.place == Place::Folder && bits & EVERY_USER == 0 && self.group != 0;
        if !self.has_name() || self.is_foreign(user) || (is_of_a_group && !is_roots(&self.path)) {
            return None;
        }
        let is_for_all = ["/tmp", "/var/tmp", "/dev/shm"].iter().any(|shared| self.path == Path::new(shared));
        Some(if is_for_all { Closing::Sticky } else { Closing::Write(self.mode & OTHERS_WRITE) })
    }
}

/// Whether a file has an access control list. One that can't be asked for may be there.
fn has_list(file: &File) -> bool {
    match getxattr(path_of(file), "system.posix_acl_access", &mut [0_u8; 0][..]) {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => false,
        Err(_) | Ok(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(place: Place, owner: u32, mode: u32) -> Guard {
        Guard { place, path: "/srv/a map".into(), owner, group: 50, mode, is_listed: false, names: 1 }
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
            ["`/srv/a map` belongs to user 1000, who could decide what dmctl does"]
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
        assert!(
            writers(Place::Link, 7, 0o777, 0)[0]
                .ends_with("belongs to user 7, who could decide where it leads")
        );
    }

    #[test]
    fn keys_are_for_their_owner() {
        let guard = |owner, mode| guard(Place::File, owner, mode);
        assert_eq!(guard(0, 0o600).readers(0), None);
        assert!(matches!(guard(0, 0o640).readers(0), Some(Laxness::Readable { .. })));
        assert!(matches!(guard(5, 0o600).readers(0), Some(Laxness::Foreign { .. })));
    }

    #[test]
    fn a_group_of_one_user_is_that_user() {
        let told = |place, owner, group, user, is_listed| {
            let mode = 0o664;
            let guard = Guard { group, is_listed, ..guard(place, owner, mode) };
            guard.writers(user).count()
        };
        assert_eq!(told(Place::File, 0, 0, 0, false), 0);
        assert_eq!(told(Place::Folder, 0, 0, 0, false), 0);
        assert_eq!(told(Place::File, 1000, 1000, 1000, false), 0);
        assert_eq!(told(Place::File, 1000, 0, 1000, false), 0);
        // A group of others, a group of that number for another owner, and one that a list stands in for.
        assert_eq!(told(Place::File, 0, 50, 0, false), 1);
        assert_eq!(told(Place::File, 1000, 50, 1000, false), 1);
        assert_eq!(told(Place::File, 0, 1000, 1000, false), 1);
        assert_eq!(told(Place::File, 0, 0, 0, true), 1);
        assert_eq!(told(Place::File, 1000, 1000, 1000, true), 1);
        // Root does not believe the private group of another user.
        assert_eq!(told(Place::File, 1000, 1000, 0, false), 2);
        // Nor is a folder with the sticky bit shared that root's group alone can write to.
        let folder = |group| Guard { group, ..guard(Place::Folder, 0, 0o1775) };
        assert!(!folder(0).is_shared() && folder(50).is_shared());
        let all = Guard { group: 0, ..guard(Place::File, 0, 0o666) };
        assert!(all.writers(0).next().unwrap().to_string().ends_with("run `chmod go-w '/srv/a map'`"));
    }

    #[test]
    fn a_command_takes_nothing_from_its_user() {
        let told = |path: &str, place, owner, mode| {
            let guard = Guard { path: path.into(), ..guard(place, owner, mode) };
            guard.writers(0).map(|lax| lax.to_string()).collect::<Vec<_>>()
        };
        for (path, place) in [
            ("/home/alice", Place::Folder),
            ("/home/alice/lab/map.toml", Place::File),
            ("/srv/checkout", Place::Folder),
            ("/tmp/link.toml", Place::Link),
            ("/dev/stdin", Place::File),
        ] {
            let told = told(path, place, 1000, 0o777);
            assert!(told.iter().all(|lax| !lax.contains("run `")), "{told:?}");
        }
        // Standard input has no name, though it is root's.
        for path in ["<stdin>", "/dev/stdin", "/dev/fd/9", "/proc/self/fd/9"] {
            assert!(!told(path, Place::File, 0, 0o666)[0].contains("run `"), "{path}");
        }
        // A folder of root's that a group works in is the group's.
        assert!(!told("/srv/checkout", Place::Folder, 0, 0o2775)[0].contains("run `"));
        // What is root's to change.
        for (path, place, mode, command) in [
            ("/etc/dmctl", Place::Folder, 0o755, "chown root /etc/dmctl"),
            ("/etc/dmctl/a.toml", Place::File, 0o644, "chown root /etc/dmctl/a.toml"),
            ("/root/l.toml", Place::Link, 0o777, "chown -h root /root/l.toml"),
        ] {
            assert!(told(path, place, 1000, mode)[0].ends_with(&format!("run `{command}`")), "{path}");
        }
        assert!(told("/etc/dmctl", Place::Folder, 0, 0o770)[0].ends_with("run `chmod g-w /etc/dmctl`"));
        assert!(told("/srv/maps", Place::Folder, 0, 0o777)[0].ends_with("run `chmod go-w /srv/maps`"));
        assert!(told("/tmp", Place::Folder, 0, 0o777)[0].ends_with("run `chmod +t /tmp`"));
    }
}
