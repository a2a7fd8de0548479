//! A folder that was found, and the files in it.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Dir, DirEntry, FileType, Mode, OFlags, openat};
use rustix::process::geteuid;

use super::found::{Found, Handle, READ};
use super::laxness::Laxness;
use super::walk::{FindError, Step, Walk};

/// A folder, and what is on the way to it.
#[derive(Debug)]
pub(crate) struct Folder {
    walk: Walk,
    /// Whether this user and root alone decide what is in it.
    is_closed: bool,
}

/// An entry of a folder, as its list tells.
#[derive(Debug)]
pub(crate) struct Entry {
    pub name: OsString,
    /// Whether it is known to be a regular file; not all file systems tell.
    is_regular: bool,
}

impl Folder {
    /// Goes into a folder that was found.
    pub(crate) fn enter(found: Found) -> io::Result<Self> {
        // Again as a folder, which mounts what autofs mounts on demand.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = File::from(openat(&*found.folder, &found.name, flags, Mode::empty())?);
        let metadata = handle.metadata()?;
        let walk = Walk { folder: found.folder, path: PathBuf::new(), guards: found.way, links: found.links };
        let walk = walk.below(&found.named, Step { handle, metadata });
        let user = geteuid().as_raw();
        let is_shared = walk.guards.last().is_none_or(|folder| folder.is_shared());
        let is_closed = !is_shared && walk.guards.iter().all(|guard| guard.is_closed(user));
        Ok(Self { walk, is_closed })
    }

    /// Whether all users may make files in it.
    pub(crate) fn is_shared(&self) -> bool {
        self.walk.guards.last().is_some_and(|folder| folder.is_shared())
    }

    /// Returns the folder itself, opened with `O_PATH`.
    pub(super) fn into_handle(self) -> Arc<File> {
        self.walk.folder
    }

    /// Lists its entries, in no order.
    pub(crate) fn entries(&self) -> io::Result<Vec<Entry>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let entries = Dir::new(openat(&*self.walk.folder, ".", flags, Mode::empty())?)?;
        let entry = |entry: DirEntry| Entry {
            name: OsStr::from_bytes(entry.file_name().to_bytes()).to_os_string(),
            is_regular: entry.file_type() == FileType::RegularFile,
        };
        entries.map(|found| Ok(entry(found?))).collect()
    }

    /// Finds an entry, called `named` in messages. A regular file is opened where this user and root alone could have put
    /// anything else into its place since it was listed; it is judged before it is read, as any other.
    pub(crate) fn find(&self, named: &Path, entry: &Entry) -> Result<Found, FindError> {
        if self.is_closed
            && entry.is_regular
            && let Some(found) = self.open(named, &entry.name)
        {
            return Ok(found);
        }
        self.walk.clone().to(named, Path::new(&entry.name))
    }

    /// Opens a regular file. `None` where that is refused, or it is another kind of file by now.
    fn open(&self, named: &Path, name: &OsStr) -> Option<Found> {
        let file = openat(&*self.walk.folder, name, READ.union(OFlags::NOFOLLOW), Mode::empty());
        let file = file.map(File::from).ok()?;
        let metadata = file.metadata().ok().filter(Metadata::is_file)?;
        Some(self.walk.clone().found_as(named, name, Handle::Opened(file), metadata))
    }

    /// Lists the ways in which users other than `user` and root could have put another file into it, or another folder in
    /// its place.
    pub(crate) fn laxness(&self, user: u32) -> Vec<Laxness> {
        self.walk.guards.iter().rev().flat_map(|guard| guard.writers(user)).collect()
    }
}
