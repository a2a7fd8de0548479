//! A file or folder that was found, and how it is opened and read once it is judged.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, openat};
use zeroize::Zeroizing;

use super::attempt::Attempt;
use super::handle::{is_pipe, reopen};
use super::kind::FileKind;
use super::laxness::{Guard, Laxness, Place};
use super::wiped::read_wiped;

/// How a file is opened: it is not waited for, it does not become the terminal of this process, and a program that is
/// started does not get it.
pub(super) const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Why a file is not read.
#[derive(Debug)]
pub(crate) enum ReadError {
    Failed(Attempt, io::Error),
    /// The path leads to a folder, a device or a pipe.
    NotRegular(Option<FileKind>),
    /// The file is larger than the limit.
    TooLarge,
}

/// What a path leads to.
#[derive(Debug)]
pub(crate) struct Found {
    /// The path in messages.
    pub(super) named: PathBuf,
    /// The folder that it is in, and what is on the way to that, the folder itself last.
    pub(super) folder: Arc<File>,
    pub(super) way: Vec<Arc<Guard>>,
    /// The links that were followed, with their owners.
    pub(super) links: Vec<(PathBuf, u32)>,
    /// The name in that folder.
    pub(super) name: OsString,
    pub(super) handle: Handle,
    pub(super) metadata: Metadata,
}

/// The file itself, whatever its path leads to by now.
#[derive(Debug)]
pub(super) enum Handle {
    /// Opened with `O_PATH`, which lets it be looked at alone.
    Looked(File),
    /// A regular file, opened for reading. Nothing is read yet.
    Opened(File),
}

impl Handle {
    fn file(&self) -> &File {
        let (Self::Looked(file) | Self::Opened(file)) = self;
        file
    }
}

impl Found {
    /// Returns its type, owner and mode.
    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns its kind; `None` for one that has no name.
    pub(crate) fn kind(&self) -> Option<FileKind> {
        FileKind::of(self.metadata.file_type())
    }

    /// Returns the owners and modes that decide who could have written it, its own first. A pipe has none of its own,
    /// only those of the way to it: it belongs to the user of the program that made it, and it is
    /// reached by the number that it has in a process.
    pub(crate) fn guards(&self) -> Vec<Arc<Guard>> {
        let file = self.handle.file();
        let own = || {
            let guard = Guard::of(Place::File, &self.named, file, &self.metadata);
            Arc::new(guard.directly_in(self.way.last(), &self.metadata))
        };
        let own = (!is_pipe(file, &self.metadata)).then(own);
        own.into_iter().chain(self.way.iter().rev().cloned()).collect()
    }

    /// Lists the ways in which users other than `user` and root could have written it or put it in its place.
    pub(crate) fn laxness(&self, user: u32) -> Vec<Laxness> {
        self.guards().iter().flat_map(|guard| guard.writers(user)).collect()
    }

    /// Opens it for reading. Nothing is waited for, but for the writer of a pipe.
    pub(crate) fn open(self) -> io::Result<File> {
        let looked_at = match self.handle {
            Handle::Opened(file) => return Ok(file),
            Handle::Looked(handle) => handle,
        };
        let flags =
            if self.metadata.file_type().is_fifo() { READ.difference(OFlags::NONBLOCK) } else { READ };
        let by_name = || {
            let flags = flags.union(OFlags::NONBLOCK).union(OFlags::NOFOLLOW);
            openat(&*self.folder, &self.name, flags, Mode::empty()).map(File::from)
        };
        let opened = reopen(&looked_at, flags, by_name)?;
        opened.ok_or_else(|| io::Error::other("it was replaced while it was opened"))
    }

    /// Reads a regular file of at most `limit` bytes, into a buffer that is wiped.
    pub(crate) fn read(self, limit: u64) -> Result<Zeroizing<Vec<u8>>, ReadError> {
        if self.kind() != Some(FileKind::Regular) {
            return Err(ReadError::NotRegular(self.kind()));
        }
        let size = self.metadata.len();
        let file = self.open().map_err(|error| ReadError::Failed(Attempt::Open, error))?;
        let bytes =
            read_wiped(file, size, limit + 1).map_err(|error| ReadError::Failed(Attempt::Read, error))?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
            return Err(ReadError::TooLarge);
        }
        Ok(bytes)
    }
}
