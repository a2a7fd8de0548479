//! Takes away what killed runs left: temporary files of this user that no process holds the lock of.

use std::ffi::{CStr, OsStr};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, flock, openat, unlinkat};
use rustix::process::geteuid;

use super::folder::Folder;
use super::place::Place;
use super::temporary::{RANDOM, open_folder};
use super::walk::find;

/// Removes the temporary files of this user in the folder of `path` that no process writes any more. One that can't be
/// removed stays.
pub(crate) fn sweep(path: &Path, prefix: &str) {
    let folder = match Place::find(path) {
        Ok(place) => place.folder,
        Err(_) => return,
    };
    let _ = sweep_folder(&folder, prefix);
}

/// Does what [`sweep`] does, in the folder at `path`.
pub(crate) fn sweep_in(path: &Path, prefix: &str) {
    if let Ok(found) = find(path)
        && let Ok(folder) = Folder::enter(found)
    {
        let _ = sweep_folder(&folder.into_handle(), prefix);
    }
}

fn sweep_folder(folder: &File, prefix: &str) -> io::Result<()> {
    for entry in Dir::new(open_folder(folder, OsStr::new("."))?)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        let random = name.strip_prefix(prefix.as_bytes());
        if random.is_some_and(|random| random.len() == RANDOM && random.iter().all(u8::is_ascii_alphanumeric))
        {
            remove_leftover(folder, entry.file_name())?;
        }
    }
    Ok(())
}

/// Removes a file of this user that is not locked.
fn remove_leftover(folder: &File, name: &CStr) -> io::Result<()> {
    let look = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let is_leftover = |file: &File| {
        let owned = |metadata: &Metadata| {
            metadata.is_file() && metadata.uid() == geteuid().as_raw() && metadata.nlink() == 1
        };
        file.metadata().is_ok_and(|metadata| owned(&metadata))
    };
    let Ok(found) = openat(folder, name, look, Mode::empty()).map(File::from) else { return Ok(()) };
    if !is_leftover(&found) {
        return Ok(());
    }
    let Ok(file) = openat(folder, name, open, Mode::empty()).map(File::from) else { return Ok(()) };
    if is_leftover(&file) && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
        unlinkat(folder, name, AtFlags::empty())?;
    }
    Ok(())
}
