//! Where the record of an apply is, and its token.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::files::private::{self, OwnError};
use crate::files::{Unfit, folder, word};
use crate::identity::printable_path;

/// The folder of record and token for the running kernel, in the one that its lock is in.
const FOLDER: &str = "dmctl";

/// The name of the record there.
const FILE: &str = "confirm.json";

/// The path of a record, and who may have written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordPlace {
    path: PathBuf,
    /// A user besides root and this one that may own the record.
    owner: Option<u32>,
    /// Whether the folder holds nothing else, and only this user enters it.
    is_own_folder: bool,
}

/// Why a record is not read or written.
#[derive(Debug, Error)]
pub(crate) enum RecordError {
    /// The system refuses.
    #[error("{}: {source}", printable_path(.path))]
    Failed { path: PathBuf, source: io::Error },
    /// Something else is in the place of the record or of its folder.
    #[error("{} is in the place of the record of an apply: {unfit}; run `mv -T {} {}.old`",
        printable_path(.path), word(.path), word(.path))]
    Unfit { path: PathBuf, unfit: Unfit },
}

impl RecordPlace {
    /// For the running kernel: `folder` is that of its lock.
    pub(crate) fn below(folder: &Path) -> Self {
        Self { path: folder.join(FOLDER).join(FILE), owner: None, is_own_folder: true }
    }

    /// For a simulated kernel whose file has this `owner`.
    pub(crate) fn at(path: PathBuf, owner: Option<u32>) -> Self {
        Self { path, owner, is_own_folder: false }
    }

    /// Returns the path of the record.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn owner(&self) -> Option<u32> {
        self.owner
    }

    /// Makes the folder, or shuts it to other users.
    pub(super) fn prepare(&self) -> Result<(), RecordError> {
        if !self.is_own_folder {
            return Ok(());
        }
        let folder = folder(&self.path);
        private::make_folder(folder).map_err(|error| RecordError::of(folder, error))
    }

    /// Whether a record may be there: something else in the place of its folder is an error.
    pub(super) fn has_folder(&self) -> Result<bool, RecordError> {
        let folder = folder(&self.path);
        if self.is_own_folder {
            private::has_folder(folder).map_err(|error| RecordError::of(folder, error))
        } else {
            Ok(true)
        }
    }

    /// Returns the path of a file beside the record. Of `name` only the last part counts: a forged record must not name
    /// another folder.
    pub(super) fn beside(&self, name: &Path) -> PathBuf {
        folder(&self.path).join(name.file_name().unwrap_or_default())
    }

    /// Makes the error of a call that the system refuses.
    pub(super) fn failed(&self) -> impl Fn(io::Error) -> RecordError {
        |source| RecordError::Failed { path: self.path.clone(), source }
    }
}

impl RecordError {
    pub(super) fn of(path: &Path, error: OwnError) -> Self {
        let path = path.to_path_buf();
        match error {
            OwnError::Failed(source) => Self::Failed { path, source },
            OwnError::Unfit(unfit) => Self::Unfit { path, unfit },
        }
    }
}
