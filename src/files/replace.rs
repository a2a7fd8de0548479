//! Files that are replaced atomically: the state of a simulated kernel, a saved plan, a record.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::attempt::Attempt;
use super::handle::is_own;
use super::place::Place;
use super::temporary::{Temporary, open_folder};

use super::private::PRIVATE;

/// The mode of a new file, before the umask(2) of the process takes bits away.
const DEFAULT: u32 = 0o666;

/// The mode of a file that is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileMode {
    /// Only the owner may read and write the file.
    Private,
    /// The mode stays; a new file, and one in the place of another user's, gets the default of the process (umask(2)).
    Keep,
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
    let kept = place.existing.filter(|there| is_own(there.uid())).map(|metadata| metadata.mode() & 0o777);
    let (created, changed) = match mode {
        FileMode::Private => (PRIVATE, Some(PRIVATE)),
        FileMode::Keep => (if kept.is_some() { PRIVATE } else { DEFAULT }, kept),
    };
    let mut file = Temporary::create(&place.folder, prefix, created).map_err(failed(Attempt::WriteBeside))?;
    let is_durable = durability == Durability::Synced;
    file.fill(content, changed, is_durable).map_err(failed(Attempt::Write))?;
    file.rename(&place.name).map_err(failed(Attempt::Replace))?;
    if is_durable {
        let synced = open_folder(&place.folder, OsStr::new(".")).and_then(|folder| folder.sync_all());
        synced.map_err(failed(Attempt::SyncFolder))?;
    }
    Ok(())
}
