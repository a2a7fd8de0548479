//! The file of a saved plan: read up to a limit, written atomically.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{Saved, SavedError};

/// The largest file that is read, in bytes.
pub const MAX_FILE: u64 = 64 << 20;

fn failed(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SavedError {
    let path = path.display().to_string();
    move |error| SavedError::File { attempt, path, error }
}

/// Reads the saved plan in the file at `path`.
///
/// # Errors
///
/// [`SavedError::File`] when the file can't be read; [`SavedError::NotAPlan`] and [`SavedError::Altered`] for its
/// content.
pub fn read(path: &Path) -> Result<Saved, SavedError> {
    let shown = path.display().to_string();
    let not = |reason: &str| SavedError::NotAPlan { path: shown.clone(), reason: reason.to_string() };
    // Checked before it is opened: opening a pipe would block, and opening a device may start it.
    if !fs::metadata(path).map_err(failed("can't read", path))?.is_file() {
        return Err(not("it is not a regular file"));
    }
    let file = File::open(path).map_err(failed("can't open", path))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed("can't read", path))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE) {
        return Err(not("it is larger than 64 MiB, the most that is read"));
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| not(&format!("byte {} is no UTF-8", error.utf8_error().valid_up_to())))?;
    Saved::parse(&shown, &text)
}

/// Writes a saved plan into the file at `path`, readable by its owner only. After an error or a crash the file has its
/// old content.
///
/// # Errors
///
/// [`SavedError::File`] when the file can't be written, or is not a regular file.
pub fn write(path: &Path, saved: &Saved) -> Result<(), SavedError> {
    // A symbolic link stays: the file it leads to is replaced.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        let kind = io::Error::other("it is there already, and no regular file");
        return Err(failed("can't write", path)(kind));
    }
    // A temporary file is created with the mode 0600.
    let mut file = tempfile::Builder::new()
        .prefix(".dmctl-plan-")
        .tempfile_in(folder(path))
        .map_err(failed("can't write beside", path))?;
    file.write_all(saved.to_json().as_bytes()).map_err(failed("can't write", path))?;
    file.as_file().sync_all().map_err(failed("can't write", path))?;
    file.persist(path).map_err(|error| failed("can't replace", path)(error.error))?;
    let synced = File::open(folder(path)).and_then(|folder| folder.sync_all());
    synced.map_err(failed("can't write the folder of", path))
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}
