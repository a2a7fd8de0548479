//! Files and folders of this program's own that no other user may open: locks, and records of an apply.
//!
//! A process that can open a file for reading can lock it with flock(2), and keep every dmctl waiting. So these have mode 0600
//! and 0700. What another user has put in the place of one is neither opened nor waited for.

use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::geteuid;
use thiserror::Error;

use super::handle::{is_own, is_same, path_of, reopen};
use super::kind::FileKind;

/// The mode of a file that only its owner may open.
pub(super) const PRIVATE: u32 = 0o600;

/// The mode of a folder that only its owner may enter.
const PRIVATE_FOLDER: u32 = 0o700;

/// The bits of a mode that are for users other than the owner.
const OTHERS: u32 = 0o077;

/// How an own file is opened: never through a link, never waited for.
const OPEN: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// What another program has put in the place of a file or folder of dmctl's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unfit {
    /// Something else than a regular file, or than a folder.
    #[error("it is {0}")]
    Kind(FileKind),
    /// Something of a kind without a name here.
    #[error("it is not a file")]
    Unknown,
    /// Its owner is another user than root and the one that runs dmctl.
    #[error("it belongs to user {0}")]
    Owner(u32),
    /// A file with several names, one of which may be that of another program.
    #[error("it has {0} names (hard links)")]
    Names(u64),
    /// A file that others can open, where dmctl has just made one that they can't.
    #[error("other users can open it (mode {0:04o})")]
    Mode(u32),
}

/// Why an own file is not opened.
#[derive(Debug, Error)]
pub(crate) enum OwnError {
    #[error(transparent)]
    Failed(#[from] io::Error),
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

impl From<Errno> for OwnError {
    fn from(error: Errno) -> Self {
        Self::Failed(error.into())
    }
}

/// Opens an own file, or makes it with mode 0600. `also` is a user besides root and this one that may be its owner.
pub(crate) fn open_or_create(path: &Path, also: Option<u32>) -> Result<File, OwnError> {
    loop {
        if let Some(file) = open(path, OFlags::RDWR, also)? {
            return Ok(file);
        }
        let flags = OPEN | OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        match openat(CWD, path, flags, Mode::from_raw_mode(PRIVATE)) {
            Ok(file) => {
                let file = File::from(file);
                // The mask of the process may have taken more.
                file.set_permissions(Permissions::from_mode(PRIVATE))?;
                return Ok(file);
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Opens an own file for reading. `None` where there is not one.
pub(crate) fn open_to_read(path: &Path, also: Option<u32>) -> Result<Option<File>, OwnError> {
    open(path, OFlags::RDONLY, also)
}

/// Refuses a file that other users could have opened, and may have open still.
pub(crate) fn judge_mode(file: &File) -> Result<(), OwnError> {
    match file.metadata()?.mode() & 0o7777 {
        mode if mode & OTHERS == 0 => Ok(()),
        mode => Err(Unfit::Mode(mode).into()),
    }
}

/// Whether this user owns the file, and so may change its mode or put another in its place.
pub(crate) fn is_of_this_user(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.uid() == geteuid().as_raw())
}

/// Whether `path` still leads to this file.
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(now) => Ok(is_same(&now, &file.metadata()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn open(path: &Path, access: OFlags, also: Option<u32>) -> Result<Option<File>, OwnError> {
    loop {
        // It is looked at before it is opened: a pipe would be waited for, a device would start.
        let found = match look(path) {
            Err(Errno::NOENT) => return Ok(None),
            found => found?,
        };
        let metadata = found.metadata()?;
        judge(&metadata, also)?;
        let by_name = || openat(CWD, path, access | OPEN, Mode::empty()).map(File::from);
        match reopen(&found, access | OPEN.difference(OFlags::NOFOLLOW), by_name) {
            // It is another one by now, which is looked at again.
            Ok(None) => {}
            Err(error) if is_gone(&error) => {}
            opened => return Ok(opened?),
        }
    }
}

/// Whether nothing, or a link, has come into the place of a file that was looked at.
fn is_gone(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOENT | Errno::LOOP))
}

/// Refuses what can't be an own file.
fn judge(metadata: &Metadata, also: Option<u32>) -> Result<(), Unfit> {
    judge_kind(metadata, FileKind::Regular)?;
    judge_owner(metadata.uid(), also)?;
    match metadata.nlink() {
        0 | 1 => Ok(()),
        names => Err(Unfit::Names(names)),
    }
}

fn judge_kind(metadata: &Metadata, wanted: FileKind) -> Result<(), Unfit> {
    match FileKind::of(metadata.file_type()) {
        Some(kind) if kind == wanted => Ok(()),
        Some(kind) => Err(Unfit::Kind(kind)),
        None => Err(Unfit::Unknown),
    }
}

fn judge_owner(owner: u32, also: Option<u32>) -> Result<(), Unfit> {
    if is_own(owner) || Some(owner) == also { Ok(()) } else { Err(Unfit::Owner(owner)) }
}

/// Makes a folder that only this user enters, or makes the one that is there so.
pub(crate) fn make_folder(path: &Path) -> Result<(), OwnError> {
    match DirBuilder::new().mode(PRIVATE_FOLDER).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    let folder = look(path)?;
    let metadata = judge_folder(&folder)?;
    if metadata.mode() & 0o777 != PRIVATE_FOLDER {
        fs::set_permissions(path_of(&folder), Permissions::from_mode(PRIVATE_FOLDER))?;
    }
    Ok(())
}

/// Whether there is an own folder at `path`. What is there and is not one is an error.
pub(crate) fn has_folder(path: &Path) -> Result<bool, OwnError> {
    match look(path) {
        Err(Errno::NOENT) => Ok(false),
        found => judge_folder(&found?).map(|_| true),
    }
}

/// Refuses what can't be an own folder.
fn judge_folder(found: &File) -> Result<Metadata, OwnError> {
    let metadata = found.metadata()?;
    judge_kind(&metadata, FileKind::Folder)?;
    judge_owner(metadata.uid(), None)?;
    Ok(metadata)
}

/// Finds what is at `path`, which may be a link, without opening it.
fn look(path: &Path) -> Result<File, Errno> {
    openat(CWD, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).map(File::from)
}
