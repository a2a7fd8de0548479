//! The files that dmctl reads, the files that it replaces, and those of its own that it locks.
//!
//! A map decides what root's kernel does, a plan is carried out, a key file decides who reads a disk. Each is believed
//! only as far as it is out of reach of other users, so each is opened here, in this order:
//!
//! 1. The path is walked, a folder and a link at a time, and nothing is opened yet: `walk`.
//! 2. What was found is judged: its kind, its owner and mode, and those of each folder on the way: `laxness`.
//! 3. Only then is it opened, without waiting, and read up to a limit: `found`.
//!
//! The many files of a folder that this user and root alone can change are opened at once where the list of the folder
//! tells that they are regular; each is judged by what was opened, before a byte is read: `folder`.
//!
//! The file that is opened is the one that was judged, whatever its path leads to by then. Locks and records are opened
//! in the same order, and no other user can open them: `private`.
//!
//! A file that is written is replaced: `place` finds its folder, through no link of another user's; `temporary` writes beside
//! it; `replace` renames; and `sweep` takes away what killed runs left there.

mod attempt;
mod folder;
mod found;
mod handle;
mod kind;
mod laxness;
mod place;
pub(crate) mod private;
mod replace;
mod sweep;
mod temporary;
mod walk;
mod way_out;
mod wiped;

use std::path::Path;

pub(crate) use attempt::Attempt;
pub(crate) use folder::Folder;
pub(crate) use found::{Found, ReadError};
pub(crate) use handle::is_pipe;
pub use kind::FileKind;
pub(crate) use laxness::Guard;
pub use laxness::{Laxness, Place};
pub(crate) use place::{folder_of as folder, link, make_folder};
pub use private::Unfit;
pub(crate) use replace::{Durability, FileMode, replace};
pub(crate) use sweep::{sweep, sweep_in};
pub(crate) use walk::{FindError, find};
pub use way_out::Closing;
pub(crate) use way_out::{Copied, is_roots, word};
pub(crate) use wiped::{WipedBuffer, read_wiped, text as wiped_text};

use zeroize::Zeroizing;

/// Reads a regular file of at most `limit` bytes, into a buffer that is wiped.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, ReadError> {
    find(path).map_err(|error| ReadError::Failed(Attempt::Read, error.into()))?.read(limit)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod writing_tests;
