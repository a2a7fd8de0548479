//! Files that are replaced atomically: the state of a simulated kernel, a saved plan, a record.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;

use rustix::process::geteuid;

use super::attempt::Attempt;
use super::handle::is_own;
use super::place::Place;
use super::temporary::{Temporary, open_folder};

use super::private::PRIVATE;

/// The mode of a new file, before the umask(2) of the process takes more bits away: a unit or a kernel that all users may
/// write is not what a mask of 0 asks for.
const DEFAULT: u32 = 0o644;

/// The mode of a file that is replaced, and its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileMode {
    /// Only the owner may read and write the file.
    Private,
    /// The mode stays; a new file, and one in the place of another user's, gets the default of the process (umask(2)).
    Keep,
    /// The mode and the owner stay, as when the file is written into: root works on a file of another user's.
    KeepOwner,
    /// The owner stays, and only the owner may read and write the file.
    PrivateOfOwner,
}

/// Whether a file is on disk before it takes the place of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It is: after a crash the old file is there, or the new one.
    Synced,
    /// The system writes it when it likes: it can be made again.
    Cached,
}

/// Replaces the file that `path` leads to; [`NotReplaced`](super::NotReplaced) tells what is refused. After an error it has its
/// old content. `prefix` begins the name of the temporary file beside it.
pub(crate) fn replace(
    path: &Path,
    content: &[u8],
    prefix: &str,
    mode: FileMode,
    durability: Durability,
) -> Result<(), (Attempt, io::Error)> {
    let failed = |attempt| move |error| (attempt, error);
    let place = Place::find(path).map_err(failed(Attempt::Write))?;
    let keeps_owner = matches!(mode, FileMode::KeepOwner | FileMode::PrivateOfOwner);
    let existing = place.existing.as_ref().filter(|there| keeps_owner || is_own(there.uid()));
    let kept = existing.map(|metadata| metadata.mode() & 0o777);
    let owner = existing.filter(|there| keeps_owner && geteuid().is_root() && there.uid() != 0);
    let (created, changed) = match mode {
        FileMode::Private | FileMode::PrivateOfOwner => (PRIVATE, Some(PRIVATE)),
        FileMode::Keep | FileMode::KeepOwner => (if kept.is_some() { PRIVATE } else { DEFAULT }, kept),
    };
    let mut file = Temporary::create(&place.folder, prefix, created).map_err(failed(Attempt::WriteBeside))?;
    if let Some(owner) = owner {
        fchown(&file.file, Some(owner.uid()), Some(owner.gid())).map_err(failed(Attempt::Write))?;
    }
    let is_durable = durability == Durability::Synced;
    file.fill(content, changed, is_durable).map_err(failed(Attempt::Write))?;
    file.rename(&place.name).map_err(failed(Attempt::Replace))?;
    if is_durable {
        let synced = open_folder(&place.folder, OsStr::new(".")).and_then(|folder| folder.sync_all());
        synced.map_err(failed(Attempt::SyncFolder))?;
    }
    Ok(())
}
