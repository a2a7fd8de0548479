//! The file that is written beside another one, before it takes its place.
//!
//! It is locked as long as its process writes it. So one that is not locked is left over, and is [swept](super::sweep).

use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, openat, renameat, unlinkat};
use rustix::io::Errno;

/// The letters of the end of a name.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The count of letters at the end of a name.
pub(super) const RANDOM: usize = 6;

/// How often another name is tried where another process has the lock of a file that was just made.
const TRIES: usize = 4;

/// A file without the name it is for. It is removed unless it gets that one.
pub(super) struct Temporary {
    folder: Arc<File>,
    name: OsString,
    pub(super) file: File,
    is_done: bool,
}

impl Temporary {
    /// Makes a file in `folder` whose name begins with `prefix`.
    pub(super) fn create(folder: &Arc<File>, prefix: &str, mode: u32) -> io::Result<Self> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut tries = 0;
        loop {
            let name = Self::name(prefix)?;
            let file = match openat(&**folder, &name, flags, Mode::from_raw_mode(mode)) {
                Err(Errno::EXIST) => continue,
                file => File::from(file?),
            };
            let this = Self { folder: folder.clone(), name, file, is_done: false };
            // Between the two calls a sweep may have found it.
            let locked = flock(&this.file, FlockOperation::NonBlockingLockExclusive);
            let swept = locked == Err(Errno::WOULDBLOCK) || this.file.metadata()?.nlink() == 0;
            tries += 1;
            if !swept || tries == TRIES {
                return Ok(this);
            }
        }
    }

    /// Returns a name that begins with `prefix` and ends at random.
    pub(super) fn name(prefix: &str) -> io::Result<OsString> {
        let mut random = [0; RANDOM];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let letters = random.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
        Ok(prefix.chars().chain(letters).collect::<String>().into())
    }

    /// Writes its content and its mode. With `durable`, it is on disk afterwards.
    pub(super) fn fill(&mut self, content: &[u8], mode: Option<u32>, durable: bool) -> io::Result<()> {
        if let Some(mode) = mode {
            self.file.set_permissions(Permissions::from_mode(mode))?;
        }
        self.file.write_all(content)?;
        if durable { self.file.sync_all() } else { Ok(()) }
    }

    /// Gives it the name `name`, in place of what has it.
    pub(super) fn rename(mut self, name: &OsStr) -> io::Result<()> {
        renameat(&*self.folder, &self.name, &*self.folder, name)?;
        self.is_done = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_done {
            // What stays is swept by the next run.
            let _ = unlinkat(&*self.folder, &self.name, AtFlags::empty());
        }
    }
}

/// Opens a folder for reading below one that is open.
pub(super) fn open_folder(folder: &File, name: &OsStr) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(openat(folder, name, flags, Mode::empty())?))
}
