//! Why a key cannot be read. No error carries any of the key.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::files::{self, Copied, FileKind, Laxness, word};
use crate::identity::printable_path;

use super::{KeySizes, KeySyntax, MAX_KEY};

/// Why a key cannot be read. It never carries any of the key.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The key file cannot be opened or read.
    #[error("the key file {} can't be read: {error}", printable_path(path))]
    Unreadable {
        /// The path of the key file.
        path: PathBuf,
        /// The answer of the system.
        #[source]
        error: io::Error,
    },
    /// The path is that of a directory, a device or a pipe.
    #[error("the key file {} is not a regular file, but {} of user {owner}: put the key into a file of mode 0400 that is root's or of user {user}",
        printable_path(path), kind.map_or_else(|| "something else".to_string(), |kind| kind.to_string()))]
    NotRegular {
        /// The path of the key file.
        path: PathBuf,
        /// What is there; `None` where that has no name here.
        kind: Option<FileKind>,
        /// The uid of its owner.
        owner: u32,
        /// The effective uid of the reader.
        user: u32,
    },
    /// The permissions of the file let users other than its owner read or write it.
    #[error(
        "the key file {} is open to others (mode {mode:04o}): a key must be its owner's alone; run `chmod 0400 {}`",
        printable_path(path),
        word(path)
    )]
    Open {
        /// The path of the key file.
        path: PathBuf,
        /// The permission bits of the file, set-uid, set-gid and sticky bits included.
        mode: u32,
    },
    /// The owner of the file is neither root nor the user that reads it.
    #[error("the key file {} belongs to user {owner}: it must belong to root or to user {user}, who reads it{}",
        printable_path(path), given(path, *user))]
    Owner {
        /// The path of the key file.
        path: PathBuf,
        /// The uid of the owner of the file.
        owner: u32,
        /// The effective uid of the reader.
        user: u32,
    },
    /// Another user could put another file in the place of the key file.
    #[error("the key file {} is not opened: {lax}{}",
        printable_path(path), if lax.is_to_copy() { format!("; {}", Copied::Key(path)) } else { String::new() })]
    Lax {
        /// The path of the key file.
        path: PathBuf,
        /// How.
        lax: Laxness,
    },
    /// Another user could have written the map that names the key.
    #[error("the key is not read, for another user could have written the map: {0}{map}",
        map = if .0.is_to_copy() { "; copy the map to a folder of root's, and name the copy" } else { "" })]
    LaxMap(Laxness),
    /// The file holds more than [`MAX_KEY`] bytes.
    #[error(
        "{} holds more than {MAX_KEY} bytes, the longest key there is: a key file holds the key and nothing else",
        printable_path(.0)
    )]
    TooLong(PathBuf),
    /// The file is empty.
    #[error("{} is empty", printable_path(.0))]
    Empty(PathBuf),
    /// The map declares the file as hex, and its content is not the hex of a key.
    #[error("{} is not the hex of a key: {error}", printable_path(path))]
    NotHex {
        /// The path of the key file.
        path: PathBuf,
        /// What is wrong with the content.
        error: KeySyntax,
    },
    /// The cipher takes keys of other lengths.
    #[error("the key has {bytes} bytes, the cipher takes {sizes}{}", hint_text(*.hint))]
    Size {
        /// The length of the key, in bytes.
        bytes: usize,
        /// The lengths that the cipher takes.
        sizes: KeySizes,
        /// The likely cause, where the content of the file shows one.
        hint: Option<SizeHint>,
    },
    /// dmctl was started without credentials ([`Places::credentials`](super::Places::credentials) is `None`).
    #[error(
        "the credential `{0}` can't be read: dmctl was started without credentials, see `LoadCredential=` in systemd.exec(5)"
    )]
    NoCredentials(String),
    /// An export replaced the key by a placeholder.
    #[error(
        "the key was left out when this was exported: say where it comes from, as `file`, `keyring` or `credential`"
    )]
    Withheld,
    /// An export replaced a word that may be a key, in the row of a type that dmctl does not know.
    #[error(
        "a word that may be a key was left out when this was exported: write it in place of `<secret>`, in a file that only its owner can read"
    )]
    WithheldWord,
}

/// Why a key file probably has the wrong length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeHint {
    /// The file holds hex digits, and the map declares it as raw bytes.
    LooksLikeHex,
    /// An editor or `echo` put a newline behind the key.
    TrailingNewline,
}

/// Tells how a key file of another user becomes one that this user reads.
fn given(path: &Path, user: u32) -> String {
    match user {
        0 if files::is_roots(path) => format!("; run `chown root {}`", word(path)),
        0 => format!("; {}", Copied::Key(path)),
        _ => String::new(),
    }
}

fn hint_text(hint: Option<SizeHint>) -> &'static str {
    match hint {
        Some(SizeHint::LooksLikeHex) => "; it looks like hex, say `encoding = \"hex\"`",
        Some(SizeHint::TrailingNewline) => "; the last byte is a newline, which is a part of the key",
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::hides;

    #[test]
    fn the_path_of_a_key_file_stays_on_its_line() {
        let path = || PathBuf::from("/run/a\nerror: z\u{1b}[2J\u{9b}2J\u{202e}");
        let error = || io::Error::from(io::ErrorKind::NotFound);
        for error in [
            KeyError::Unreadable { path: path(), error: error() },
            KeyError::NotRegular { path: path(), kind: Some(FileKind::Fifo), owner: 7, user: 0 },
            KeyError::Open { path: path(), mode: 0o644 },
            KeyError::Owner { path: path(), owner: 7, user: 0 },
            KeyError::Owner { path: Path::new("/etc").join(path().file_name().unwrap()), owner: 7, user: 0 },
            KeyError::TooLong(path()),
            KeyError::Empty(path()),
            KeyError::NotHex { path: path(), error: KeySyntax::Count(3) },
        ] {
            let text = error.to_string();
            assert!(
                !text.contains(hides) && text.contains(r"a\u{a}error: z\u{1b}[2J\u{9b}2J\u{202e}"),
                "{text:?}"
            );
        }
    }
}
