//! What a path leads to.

use std::fmt;
use std::fs::FileType;
use std::os::unix::fs::FileTypeExt;

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file, such as the image of a disk.
    Regular,
    /// A folder.
    Folder,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharacterDevice,
    /// A FIFO.
    Fifo,
    /// A socket.
    Socket,
    /// A symbolic link, where links are not followed.
    Link,
}

impl FileKind {
    /// Returns the kind of what was found; `None` for one that has no name here.
    pub(crate) fn of(found: FileType) -> Option<Self> {
        let kinds = [
            (found.is_file(), Self::Regular),
            (found.is_dir(), Self::Folder),
            (found.is_block_device(), Self::BlockDevice),
            (found.is_char_device(), Self::CharacterDevice),
            (found.is_fifo(), Self::Fifo),
            (found.is_socket(), Self::Socket),
            (found.is_symlink(), Self::Link),
        ];
        kinds.into_iter().find_map(|(is, kind)| is.then_some(kind))
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Regular => "a regular file",
            Self::Folder => "a folder",
            Self::BlockDevice => "a block device",
            Self::CharacterDevice => "a character device",
            Self::Fifo => "a FIFO",
            Self::Socket => "a socket",
            Self::Link => "a symbolic link",
        })
    }
}
