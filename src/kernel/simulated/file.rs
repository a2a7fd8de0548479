//! The file that a simulated kernel is kept in: read with a limit, written whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::state::State;
use crate::kernel::KernelError;

/// The largest file that is read, in bytes.
pub const MAX_FILE: u64 = 256 << 20;

/// Its owner may read and write it, nobody else.
const PRIVATE: u32 = 0o600;

fn failed(what: &str, path: &Path) -> impl FnOnce(io::Error) -> KernelError {
    let what = format!("{what} {}", path.display());
    move |source| KernelError::Io { what, source }
}

/// Reads the state in the file at `path`.
pub(super) fn read(path: &Path) -> Result<State, KernelError> {
    let says = |what: &str| KernelError::State(format!("{}: {what}", path.display()));
    // Looked at before it is opened: opening a pipe would wait for its other end.
    let file_type = fs::metadata(path).map_err(failed("cannot read", path))?.file_type();
    if !file_type.is_file() {
        return Err(says("not a regular file: a simulated kernel is a JSON file, see `dmctl simulate`"));
    }
    let file = File::open(path).map_err(failed("cannot open", path))?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed("cannot read", path))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE) {
        return Err(says("larger than the 256 MiB that are read of a simulated kernel"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        says(&format!("byte {} is no UTF-8: a simulated kernel is a JSON file", error.valid_up_to()))
    })?;
    State::parse(text, &path.display().to_string()).map_err(KernelError::State)
}

/// Writes `state` into the file at `path`: afterwards it holds all of the new state, or, after an error or
/// a crash, all of the old one. It keeps its mode; a new one that may hold keys is for its owner alone.
pub(super) fn write(path: &Path, state: &State) -> Result<(), KernelError> {
    // A link stays a link: what it leads to is replaced.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let mode = fs::metadata(path).ok().map(|metadata| metadata.permissions());
    let mut file = tempfile::Builder::new()
        .prefix(".dmctl-state-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder(path))
        .map_err(failed("cannot write beside", path))?;
    let mode = if state.may_hold_a_key() { Some(Permissions::from_mode(PRIVATE)) } else { mode };
    if let Some(mode) = mode {
        file.as_file().set_permissions(mode).map_err(failed("cannot set the mode of", path))?;
    }
    let text = Zeroizing::new(state.to_json());
    file.write_all(text.as_bytes()).map_err(failed("cannot write", path))?;
    file.as_file().sync_all().map_err(failed("cannot write", path))?;
    file.persist(path).map_err(|error| failed("cannot replace", path)(error.error))?;
    let synced = File::open(folder(path)).and_then(|folder| folder.sync_all());
    synced.map_err(failed("cannot write the folder of", path))
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}
