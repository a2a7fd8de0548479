//! What failed on a file that is read or replaced.

use std::fmt;

/// A call that failed on a file. Its `Display` is a verb, which the path follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Read the file or its metadata.
    Read,
    Open,
    /// Create a temporary file in the folder.
    WriteBeside,
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
            Self::Write => "write",
            Self::Replace => "replace",
            Self::SyncFolder => "write the folder of",
        })
    }
}
