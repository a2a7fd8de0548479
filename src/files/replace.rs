//! Files that are replaced atomically: the state of a simulated kernel, a saved plan, a record.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::private::PRIVATE;

/// A call that failed on a file. Its `Display` is a verb, which the path follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Read the file or its metadata.
    Read,
    Open,
    /// Create a temporary file in the folder.
    WriteBeside,
    /// Set the mode of the temporary file.
    SetMode,
    /// Write the temporary file to disk.
    Write,
    /// Rename the temporary file.
    Replace,
    /// Write the folder to disk.
    SyncFolder,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Open => "open",
            Self::WriteBeside => "write beside",
            Self::SetMode => "set the mode of",
            Self::Write => "write",
            Self::Replace => "replace",
            Self::SyncFolder => "write the folder of",
        })
    }
}

/// The mode of a file that is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileMode {
    /// Only the owner may read and write the file.
    Private,
    /// The mode stays; a new file gets the default of the process (umask(2)).
    Keep,
}

/// Returns the path of the file that is replaced for `path`: a symbolic link stays, and the file it leads to is
/// replaced.
pub(crate) fn behind_links(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Replaces the file at `path`, which is not a link. After an error or a crash it has its old content. `prefix` begins
/// the name of the temporary file beside it.
pub(crate) fn replace(
    path: &Path,
    content: &[u8],
    prefix: &str,
    mode: FileMode,
) -> Result<(), (Attempt, io::Error)> {
    let failed = |attempt| move |error| (attempt, error);
    let (created, changed) = match mode {
        FileMode::Private => (Permissions::from_mode(PRIVATE), None),
        FileMode::Keep => {
            (Permissions::from_mode(0o666), fs::metadata(path).ok().map(|metadata| metadata.permissions()))
        }
    };
    let mut file = tempfile::Builder::new()
        .prefix(prefix)
        .permissions(created)
        .tempfile_in(folder(path))
        .map_err(failed(Attempt::WriteBeside))?;
    if let Some(mode) = changed {
        file.as_file().set_permissions(mode).map_err(failed(Attempt::SetMode))?;
    }
    file.write_all(content).map_err(failed(Attempt::Write))?;
    file.as_file().sync_all().map_err(failed(Attempt::Write))?;
    file.persist(path).map_err(|error| (Attempt::Replace, error.error))?;
    let synced = File::open(folder(path)).and_then(|folder| folder.sync_all());
    synced.map_err(failed(Attempt::SyncFolder))
}

/// Returns the folder of a file.
pub(crate) fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
