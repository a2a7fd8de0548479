//! A file that was looked at with `O_PATH`, and is opened now: the same one, whatever its name leads to by then.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use rustix::fs::{CWD, Mode, OFlags, fstatfs, openat};
use rustix::io::Errno;
use rustix::process::geteuid;

/// The type of the file system of pipes: `PIPEFS_MAGIC` of the kernel (include/uapi/linux/magic.h).
const PIPES: u64 = 0x5049_5045;

/// Whether a file is a pipe without a name, as pipe(2) makes it: a FIFO that has one is on the file system of its folder.
pub(crate) fn is_pipe(file: &File, metadata: &Metadata) -> bool {
    metadata.file_type().is_fifo() && fstatfs(file).is_ok_and(|found| found.f_type.cast_unsigned() == PIPES)
}

/// Opens the file that `handle` is; `by_name` opens its name again where /proc is not there, or not that of the kernel. `None`
/// where that is another file by now.
pub(super) fn reopen(
    handle: &File,
    flags: OFlags,
    by_name: impl FnOnce() -> Result<File, Errno>,
) -> io::Result<Option<File>> {
    let looked_at = handle.metadata()?;
    let is_it = |file: &File| io::Result::Ok(is_same(&file.metadata()?, &looked_at));
    match openat(CWD, path_of(handle), flags, Mode::empty()).map(File::from) {
        // Another file system may be mounted over /proc, in which this is another file.
        Ok(file) if is_it(&file)? => return Ok(Some(file)),
        Err(error) if !matches!(error, Errno::NOENT | Errno::ACCESS | Errno::NOTDIR) => {
            return Err(error.into());
        }
        _ => {}
    }
    let file = by_name()?;
    Ok(if is_it(&file)? { Some(file) } else { None })
}

/// Returns a path to what `handle` is.
pub(super) fn path_of(handle: &File) -> String {
    format!("/proc/self/fd/{}", handle.as_raw_fd())
}

/// Whether a file of this owner is this user's own, or root's.
pub(super) fn is_own(owner: u32) -> bool {
    owner == 0 || owner == geteuid().as_raw()
}

/// Whether both are of one file.
pub(super) fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}
