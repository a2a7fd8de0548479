//! The file of a saved plan.

use std::fs;
use std::io;
use std::path::Path;

use super::{Malformed, Saved, SavedError};
use crate::whole_file::{self, Attempt, FileMode, ReadError};

/// The largest file that is read, in bytes.
pub const MAX_FILE: u64 = 64 << 20;

fn failed(attempt: Attempt, path: &Path, error: io::Error) -> SavedError {
    SavedError::File { attempt: attempt.to_string(), path: path.display().to_string(), error }
}

/// Reads the saved plan in the file at `path`.
///
/// # Errors
///
/// [`SavedError::File`] when the file can't be read; [`SavedError::NotAPlan`] and [`SavedError::Altered`] for its
/// content.
pub fn read(path: &Path) -> Result<Saved, SavedError> {
    let shown = path.display().to_string();
    let not = |reason| SavedError::NotAPlan { path: shown.clone(), reason };
    let bytes = whole_file::read(path, MAX_FILE).map_err(|error| match error {
        ReadError::Failed(attempt, error) => failed(attempt, path, error),
        ReadError::NotRegular => not(Malformed::NotRegular),
        ReadError::TooLarge => not(Malformed::TooLarge),
    })?;
    let text = std::str::from_utf8(&bytes).map_err(|error| not(Malformed::NotText(error.valid_up_to())))?;
    Saved::parse(&shown, text)
}

/// Writes a saved plan into the file at `path`, readable by its owner only. After an error or a crash the file has its
/// old content.
///
/// # Errors
///
/// [`SavedError::File`] when the file can't be written, or is not a regular file.
pub fn write(path: &Path, saved: &Saved) -> Result<(), SavedError> {
    let path = &whole_file::behind_links(path);
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        let kind = io::Error::other("it is there already, and no regular file");
        return Err(failed(Attempt::Write, path, kind));
    }
    whole_file::replace(path, saved.to_json().as_bytes(), ".dmctl-plan-", FileMode::Private)
        .map_err(|(attempt, error)| failed(attempt, path, error))
}
