//! Where a file is written that dmctl replaces: the folder, and the name in it.
//!
//! A link of the user, or of root, is followed, and the file that it leads to is replaced. A link of another user decides
//! where root writes, so it is refused, wherever on the way it is. The folder stays open from then on: what its path leads
//! to later does not matter.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, mkdirat, readlinkat, renameat, statat, symlinkat};
use rustix::io::Errno;
use thiserror::Error;

use super::folder::Folder;
use super::found::Found;
use super::handle::is_own;
use super::kind::FileKind;
use super::temporary::Temporary;
use super::walk::{FindError, find};
use super::way_out::word;
use crate::identity::printable_path;

/// Why nothing is written at a path.
#[derive(Debug, Error)]
pub(crate) enum NotReplaced {
    /// A link on the way belongs to another user.
    #[error("the link `{}` belongs to user {owner}, who could decide which file is replaced; remove it with `rm {}`, or name the file that it leads to",
        printable_path(.path), word(.path))]
    ForeignLink { path: PathBuf, owner: u32 },
    /// It is not a file that could be replaced.
    #[error("it is there already and is {0}, which is not replaced by a file")]
    Kind(FileKind),
}

/// Returns the folder of a file.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The place of a file, which may be there.
pub(super) struct Place {
    pub(super) folder: Arc<File>,
    pub(super) name: OsString,
    /// The owner and mode of the file that is there.
    pub(super) existing: Option<Metadata>,
}

impl Place {
    /// Finds the place that `path` leads to.
    pub(super) fn find(path: &Path) -> io::Result<Self> {
        match find(path) {
            Ok(found) => {
                judge(&found)?;
                if let Some(kind) = found.kind().filter(|kind| *kind != FileKind::Regular) {
                    return Err(io::Error::other(NotReplaced::Kind(kind)));
                }
                Ok(Self { folder: found.folder, name: found.name, existing: Some(found.metadata) })
            }
            Err(FindError::Failed(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
            // A link that leads nowhere is replaced itself.
            Err(_) => Self::entry(path),
        }
    }

    /// Finds the place of the entry that `path` names, whatever that is.
    pub(super) fn entry(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = find(folder_of(path)).map_err(io::Error::from)?;
        judge(&parent)?;
        let folder = Folder::enter(parent)?.into_handle();
        if let Ok(entry) = statat(&*folder, name, AtFlags::SYMLINK_NOFOLLOW)
            && FileType::from_raw_mode(entry.st_mode) == FileType::Symlink
        {
            permit(path, entry.st_uid)?;
        }
        Ok(Self { folder, name: name.to_os_string(), existing: None })
    }
}

/// Refuses what is reached through a link of another user.
fn judge(found: &Found) -> io::Result<()> {
    found.links.iter().try_for_each(|(path, owner)| permit(path, *owner))
}

fn permit(path: &Path, owner: u32) -> io::Result<()> {
    if is_own(owner) {
        return Ok(());
    }
    Err(io::Error::other(NotReplaced::ForeignLink { path: path.to_path_buf(), owner }))
}

/// Makes a folder, and those above it, unless it is there.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    match find(path) {
        Ok(found) => {
            judge(&found)?;
            if found.metadata().is_dir() { Ok(()) } else { Err(Errno::NOTDIR.into()) }
        }
        Err(FindError::Failed(error)) if error.kind() == io::ErrorKind::NotFound => {
            make_folder(folder_of(path))?;
            let Place { folder, name, .. } = Place::entry(path)?;
            match mkdirat(&*folder, &name, Mode::from_raw_mode(0o755)) {
                Err(Errno::EXIST) => make_folder(path),
                made => Ok(made?),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes `path` a link to `to`, in place of a file or another link that is there.
pub(crate) fn link(to: &Path, path: &Path, prefix: &str) -> io::Result<()> {
    let Place { folder, name, .. } = Place::entry(path)?;
    match symlinkat(to, &*folder, &name) {
        Err(Errno::EXIST) => {}
        made => return Ok(made?),
    }
    let there = readlinkat(&*folder, &name, Vec::new());
    if there.is_ok_and(|there| there.as_bytes() == to.as_os_str().as_encoded_bytes()) {
        return Ok(());
    }
    loop {
        let beside = Temporary::name(prefix)?;
        match symlinkat(to, &*folder, &beside) {
            Err(Errno::EXIST) => {}
            made => {
                made?;
                return Ok(renameat(&*folder, &beside, &*folder, &name)?);
            }
        }
    }
}
