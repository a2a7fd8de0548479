//! Why the text of a map is not read, and how much of it may be.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::files::{FileKind, Laxness};
use crate::identity::printable;

/// The most bytes that the files of a map may hold together.
pub(crate) const MAX_BYTES: u64 = 64 << 20;

/// The most values that the files of a map may hold together: each costs some 300 bytes of memory while the map is
/// read, however short its text is.
pub(super) const MAX_VALUES: usize = 3_000_000;

/// Why a map could not be read.
#[derive(Debug, Error)]
pub(crate) enum SourceError {
    /// The system refuses to read it.
    #[error("can't read `{}`: {error}", printable(.path))]
    Read {
        /// The file or directory.
        path: String,
        error: io::Error,
    },
    /// Another user could have written it or put it in its place.
    #[error("{laxness}")]
    Lax {
        laxness: Laxness,
        /// The path that was given: the file, or the folder that it is in.
        argument: PathBuf,
    },
    /// The path is a link to a path where nothing is.
    #[error("`{}` leads to {}, which does not exist", printable(.path), printable(.to))]
    Dangling {
        path: String,
        /// The path to which the last link leads.
        to: String,
    },
    /// A file of a directory is named as a map, and is none.
    #[error(
        "`{}` is {kind}: in a directory only regular files are maps; move it, or give it a name that does not end in `.toml`",
        printable(.path)
    )]
    KindInDirectory {
        path: String,
        /// The kind of file.
        kind: FileKind,
    },
    /// The directory does not hold a map.
    #[error("the directory `{}` holds no `*.toml` file", printable(.0))]
    EmptyDirectory(String),
    /// The path names a terminal, a disk, or another file without an end.
    #[error("`{}` is {kind}: a map is a regular file, a pipe or a directory of `*.toml` files", printable(.path))]
    Kind {
        path: String,
        /// The kind of file.
        kind: FileKind,
    },
    /// The files of the map are larger than [`MAX_BYTES`].
    #[error("with `{}` the map holds more than 64 MiB, the most a map may hold", printable(.0))]
    TooLarge(String),
    /// The files of the map hold more than [`MAX_VALUES`] values.
    #[error("with `{}` the map holds more than {MAX_VALUES} values, the most a map may hold", printable(.0))]
    TooManyValues(String),
    /// A FIFO is named where none is read.
    #[error("`{}` is a FIFO, which is read once only: name a regular file, or a directory", printable(.0))]
    Pipe(String),
    /// The list of paths is empty.
    #[error("no map is named: give a file, a directory of `*.toml` files, or `-` for standard input")]
    Nothing,
}
