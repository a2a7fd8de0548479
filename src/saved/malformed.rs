//! Why a text or a file is not a saved plan.

use thiserror::Error;

use super::FORMAT_VERSION;
use crate::files::FileKind;
use crate::identity::printable;

/// Why a text or a file is not a saved plan.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// It is a directory, a device or a pipe.
    #[error("it is {}not a regular file", .0.map(|kind| format!("{kind}, ")).unwrap_or_default())]
    NotRegular(Option<FileKind>),
    /// It is larger than [`MAX_FILE`](super::MAX_FILE).
    #[error("it is larger than 64 MiB, the most that is read")]
    TooLarge,
    /// The byte at this offset is not UTF-8.
    #[error("byte {0} is not UTF-8")]
    NotText(usize),
    /// It is not JSON, or its fields are not those of a saved plan.
    #[error("{}", printable(&.0.to_string()))]
    Json(#[source] serde_json::Error),
    /// It does not tell its format.
    #[error("it has no format_version")]
    NoFormat,
    /// It has the format of another version of dmctl.
    #[error("it has format {}, this version of dmctl reads format {FORMAT_VERSION}", printable(&.0.to_string()))]
    OtherFormat(serde_json::Value),
    /// It does not have a digest.
    #[error("it has no digest; `dmctl plan --out` writes saved plans, `--json` prints plans")]
    NoDigest,
}
