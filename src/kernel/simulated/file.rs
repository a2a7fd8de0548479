//! Reads and writes the file of a simulated kernel.

use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use super::state::State;
use crate::files::{self, Attempt, Durability, FileMode, ReadError};
use crate::identity::printable_path;
use crate::kernel::KernelError;

/// The largest file that is read, in bytes.
pub const MAX_FILE: u64 = 256 << 20;

/// Begins the names of the files that are written beside a state.
const TEMPORARY: &str = ".dmctl-state-";

/// Writes a path for a message: a line end in it would add a line.
pub(super) fn shown(path: &Path) -> String {
    printable_path(path).into_owned()
}

fn failed(attempt: Attempt, path: &Path, source: io::Error) -> KernelError {
    KernelError::Io { what: format!("cannot {attempt} {}", shown(path)), source }
}

/// Reads the state in the file at `path`.
pub(super) fn read(path: &Path) -> Result<State, KernelError> {
    let not = |what: &str| KernelError::State(format!("{}: {what}", shown(path)));
    let bytes = files::read(path, MAX_FILE).map_err(|error| match error {
        ReadError::Failed(attempt, error) => failed(attempt, path, error),
        ReadError::NotRegular(_) => {
            not("not a regular file: a simulated kernel is a JSON file, see `dmctl simulate`")
        }
        ReadError::TooLarge => not("larger than the 256 MiB that are read of a simulated kernel"),
    })?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        not(&format!("byte {} is not UTF-8: a simulated kernel is a JSON file", error.valid_up_to()))
    })?;
    State::parse(text, &shown(path)).map_err(KernelError::State)
}

/// Whether a kernel was read from the file into which it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// It was: the file keeps its owner, as the lock beside it does.
    Back,
    /// It is a new kernel.
    New,
}

/// Writes `state` into the file at `path`. After an error or a crash the file has its old content. It keeps its mode,
/// unless the state may hold a key: then only its owner can read it.
pub(super) fn write(path: &Path, state: &State, written: Written) -> Result<(), KernelError> {
    let mode = match (state.may_hold_a_key(), written) {
        (true, Written::New) => FileMode::Private,
        (true, Written::Back) => FileMode::PrivateOfOwner,
        (false, Written::New) => FileMode::Keep,
        (false, Written::Back) => FileMode::KeepOwner,
    };
    let text = Zeroizing::new(state.to_json());
    files::sweep(path, TEMPORARY);
    files::replace(path, text.as_bytes(), TEMPORARY, mode, Durability::Synced)
        .map_err(|(attempt, error)| failed(attempt, path, error))
}
