//! Walks a path, a folder and a link at a time, as `path_resolution(7)` tells, and notes what is on the way.
//!
//! Each step is opened with `O_PATH` below the folder before it, which opens no file and starts no device. So nothing
//! can be put into the place of what was looked at.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{self, Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, fstatfs, openat, readlinkat};
use rustix::io::Errno;
use thiserror::Error;

use super::found::{Found, Handle};
use super::handle::is_same;
use super::laxness::{Guard, Place};
use crate::identity::printable_path;

/// The most links that a path may lead through: `MAXSYMLINKS` of the kernel (include/linux/namei.h).
const MAX_LINKS: usize = 40;

/// The type of the file system of /proc: `PROC_SUPER_MAGIC` of the kernel (include/uapi/linux/magic.h).
const PROC: u64 = 0x9fa0;

/// Why a path leads nowhere.
#[derive(Debug, Error)]
pub(crate) enum FindError {
    /// The system refuses a step.
    #[error(transparent)]
    Failed(#[from] io::Error),
    /// The path leads through a link to this path, where nothing is.
    #[error("it leads to {}, which does not exist", printable_path(.0))]
    Dangling(PathBuf),
}

impl From<FindError> for io::Error {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Failed(error) => error,
            dangling @ FindError::Dangling(_) => Self::new(io::ErrorKind::NotFound, dangling),
        }
    }
}

/// Finds what `path` leads to. Nothing is opened.
pub(crate) fn find(path: &Path) -> Result<Found, FindError> {
    let absolute = path::absolute(path)?;
    Walk::from_root()?.to(path, &absolute)
}

/// A folder that a walk has come to.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    pub folder: Arc<File>,
    /// Its path, without links.
    pub path: PathBuf,
    /// What is on the way, this folder last.
    pub guards: Vec<Arc<Guard>>,
    /// The links that were followed, with their owners.
    pub links: Vec<(PathBuf, u32)>,
}

/// One step: a file, folder or link that is not opened.
pub(super) struct Step {
    pub handle: File,
    pub metadata: Metadata,
}

impl Walk {
    fn from_root() -> io::Result<Self> {
        let folder =
            File::from(openat(CWD, "/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?);
        let metadata = folder.metadata()?;
        Ok(Self { folder: Arc::new(folder), path: "/".into(), guards: Vec::new(), links: Vec::new() }
            .noting(Path::new("/"), &metadata))
    }

    fn noting(mut self, path: &Path, metadata: &Metadata) -> Self {
        self.guards.push(Arc::new(Guard::of(Place::Folder, path, &self.folder, metadata)));
        self
    }

    /// Walks on along `way`, and returns what is at its end, called `named` in messages.
    pub(super) fn to(mut self, named: &Path, way: &Path) -> Result<Found, FindError> {
        let mut left: VecDeque<PathBuf> = steps(way);
        let (mut links, mut is_link_to_it) = (0, false);
        while let Some(name) = left.pop_front() {
            if name == Path::new("/") {
                let root = Self::from_root()?;
                // The last guard is always that of the folder that the next step is in.
                self.guards.extend(root.guards);
                self.guards.dedup();
                self = Self { guards: self.guards, links: self.links, folder: root.folder, path: root.path };
                continue;
            }
            let at = self.path_of(&name);
            let step = self.step(&name, !left.is_empty()).map_err(|error| match error {
                Errno::NOENT if is_link_to_it => {
                    // Joined to nothing, it would end in a slash as a folder does.
                    FindError::Dangling(left.iter().fold(at.clone(), |path, part| path.join(part)))
                }
                error => FindError::Failed(error.into()),
            })?;
            if !step.metadata.is_symlink() {
                if left.is_empty() {
                    return Ok(self.found(named, name.as_os_str(), step));
                }
                self = self.below(&at, step);
                continue;
            }
            is_link_to_it |= left.is_empty();
            links += 1;
            if links > MAX_LINKS {
                return Err(FindError::Failed(Errno::LOOP.into()));
            }
            self.links.push((at.clone(), step.metadata.uid()));
            if self.guards.last().is_some_and(|folder| folder.is_shared()) {
                let guard = Guard::of(Place::Link, &at, &step.handle, &step.metadata);
                self.guards.push(Arc::new(guard.directly_in(self.guards.last(), &step.metadata)));
                let folder = self.guards.len() - 1;
                self.guards.swap(folder - 1, folder);
            }
            let to = readlinkat(&step.handle, "", Vec::new()).map_err(io::Error::from)?;
            let to = PathBuf::from(OsStr::from_bytes(to.as_bytes()));
            if is_of_the_kernel(&step.handle, &to)
                && let Some(step) = self.through(&name, &to)?
            {
                if left.is_empty() {
                    return Ok(self.found(named, name.as_os_str(), step));
                }
                self = self.below(&to, step);
                continue;
            }
            for name in steps(&to).into_iter().rev() {
                left.push_front(name);
            }
        }
        // The path is that of a folder that was passed: `/`, or one that ends in `..`.
        let handle = self.folder.try_clone()?;
        let metadata = handle.metadata()?;
        Ok(self.found(named, OsStr::new("."), Step { handle, metadata }))
    }

    fn path_of(&self, name: &Path) -> PathBuf {
        if name == Path::new("..") {
            return self.path.parent().unwrap_or(&self.path).to_path_buf();
        }
        self.path.join(name)
    }

    /// Looks at an entry of the folder. One that is `passed` is looked at as a folder first, which mounts what autofs
    /// mounts on demand.
    fn step(&self, name: &Path, passed: bool) -> Result<Step, Errno> {
        let look = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let as_folder = || openat(&*self.folder, name, look | OFlags::DIRECTORY, Mode::empty());
        let handle = match if passed { as_folder() } else { Err(Errno::NOTDIR) } {
            Err(Errno::NOTDIR) => openat(&*self.folder, name, look, Mode::empty())?,
            opened => opened?,
        };
        let handle = File::from(handle);
        let metadata = handle.metadata().map_err(|_| Errno::IO)?;
        Ok(Step { handle, metadata })
    }

    /// Follows a link of /proc by its entry. `None` where its text is the path of the same file, which can be walked.
    fn through(&self, name: &Path, text: &Path) -> Result<Option<Step>, FindError> {
        let opened = openat(&*self.folder, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let handle = File::from(opened.map_err(io::Error::from)?);
        let metadata = handle.metadata()?;
        let is_path = text.metadata().is_ok_and(|found| is_same(&found, &metadata));
        Ok((!is_path).then_some(Step { handle, metadata }))
    }

    /// Goes into the folder `step`.
    pub(super) fn below(self, path: &Path, step: Step) -> Self {
        let walk = Self { folder: Arc::new(step.handle), path: path.to_path_buf(), ..self };
        walk.noting(path, &step.metadata)
    }

    fn found(self, named: &Path, name: &OsStr, step: Step) -> Found {
        self.found_as(named, name, Handle::Looked(step.handle), step.metadata)
    }

    /// Names what is in the folder as what is found.
    pub(super) fn found_as(self, named: &Path, name: &OsStr, handle: Handle, metadata: Metadata) -> Found {
        let (named, name) = (named.to_path_buf(), name.to_os_string());
        Found { named, folder: self.folder, way: self.guards, links: self.links, name, handle, metadata }
    }
}

/// Lists the steps of a path: names, `..`, and `/` for an absolute one.
fn steps(way: &Path) -> VecDeque<PathBuf> {
    way.components()
        .filter(|component| !matches!(component, Component::CurDir))
        .map(|component| PathBuf::from(component.as_os_str()))
        .collect()
}

/// Whether a link is one of those in /proc whose text is not a path but a description, such as `/proc/self/fd/0`. The
/// text of the others there, such as `/proc/self`, is relative.
fn is_of_the_kernel(link: &File, text: &Path) -> bool {
    let is_described = text.is_absolute() || text.to_string_lossy().contains(':');
    is_described && fstatfs(link).is_ok_and(|found| found.f_type.cast_unsigned() == PROC)
}
