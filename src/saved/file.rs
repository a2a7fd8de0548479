//! The file of a saved plan.

use std::io;
use std::path::{Path, PathBuf};

use super::{Malformed, Saved, SavedError};
use crate::files::{self, Attempt, Durability, FileMode, Found, Laxness, ReadError};

/// The largest file that is read, in bytes.
pub const MAX_FILE: u64 = 64 << 20;

/// Begins the names of the files that are written beside a saved plan.
const TEMPORARY: &str = ".dmctl-plan-";

fn failed(attempt: Attempt, path: &Path, error: io::Error) -> SavedError {
    SavedError::File { attempt: attempt.to_string(), path: path.to_path_buf(), error }
}

/// A file that was found, is not opened yet, and may hold a saved plan.
#[derive(Debug)]
pub struct PlanFile {
    path: PathBuf,
    found: Found,
}

impl PlanFile {
    /// Finds the file at `path`.
    ///
    /// # Errors
    ///
    /// [`SavedError::File`] when the path leads nowhere.
    pub fn find(path: &Path) -> Result<Self, SavedError> {
        let found = files::find(path).map_err(|error| failed(Attempt::Read, path, error.into()))?;
        Ok(Self { path: path.to_path_buf(), found })
    }

    /// Lists the ways in which users other than `user` and root could have written the plan: such a plan is theirs. Its
    /// digest is not a signature.
    pub fn laxness(&self, user: u32) -> Vec<Laxness> {
        self.found.laxness(user)
    }

    /// Reads the saved plan.
    ///
    /// # Errors
    ///
    /// [`SavedError::File`] when the file can't be read; [`SavedError::NotAPlan`] and [`SavedError::Altered`] for its
    /// content.
    pub fn read(self) -> Result<Saved, SavedError> {
        let shown = self.path.to_string_lossy().into_owned();
        let not = |reason| SavedError::NotAPlan { path: shown.clone(), reason };
        let bytes = self.found.read(MAX_FILE).map_err(|error| match error {
            ReadError::Failed(attempt, error) => failed(attempt, &self.path, error),
            ReadError::NotRegular(kind) => not(Malformed::NotRegular(kind)),
            ReadError::TooLarge => not(Malformed::TooLarge),
        })?;
        let text =
            std::str::from_utf8(&bytes).map_err(|error| not(Malformed::NotText(error.valid_up_to())))?;
        Saved::parse(&shown, text)
    }
}

/// Reads the saved plan in the file at `path`, whichever user could have written it.
///
/// # Errors
///
/// As [`PlanFile::find`] and [`PlanFile::read`].
pub fn read(path: &Path) -> Result<Saved, SavedError> {
    PlanFile::find(path)?.read()
}

/// Writes a saved plan into the file at `path`, readable by its owner only. After an error or a crash the file has its
/// old content.
///
/// # Errors
///
/// [`SavedError::File`] when the file can't be written, is not a regular file, or is behind a link of another user's.
pub fn write(path: &Path, saved: &Saved) -> Result<(), SavedError> {
    files::sweep(path, TEMPORARY);
    files::replace(path, saved.to_json().as_bytes(), TEMPORARY, FileMode::Private, Durability::Synced)
        .map_err(|(attempt, error)| failed(attempt, path, error))
}
