//! Reads the text of a map: from files, directories of files, pipes.
//!
//! TOML is not understood here. The result is text with a name, and who could have written it; a source that
//! is too large, not text, or not a file at all is refused before it is parsed.

use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::trust::{Guard, Laxness};
use crate::identity::printable;
use crate::kernel::live::destination;

/// The most bytes that a map may hold.
pub(crate) const MAX_BYTES: u64 = 64 << 20;

/// One file of a map.
#[derive(Debug, Clone)]
pub struct Source {
    /// The name of the file in messages.
    pub name: String,
    /// The text of the file. Bytes that are not UTF-8 are replaced.
    pub text: String,
    /// The place of the first byte that is not UTF-8, if there is one.
    pub(super) broken_at: Option<usize>,
    /// Whether the file holds a key in clear.
    pub(super) holds_keys: bool,
    /// Where the text was read; `None` for standard input and for text in memory.
    pub(crate) path: Option<PathBuf>,
    guards: Vec<Guard>,
}

/// Why a map could not be read.
#[derive(Debug, Error)]
pub(crate) enum SourceError {
    /// The system refuses to read it.
    #[error("can't read `{}`: {error}", .path.escape_debug())]
    Read {
        /// The file or directory.
        path: String,
        error: io::Error,
    },
    /// The path is a link to a path where nothing is.
    #[error("`{}` leads to {}, which does not exist", .path.escape_debug(), printable(.to))]
    Dangling {
        path: String,
        /// The path to which the last link leads.
        to: String,
    },
    /// A file of a directory is named as a map, and is none.
    #[error(
        "`{}` is {kind}: in a directory only regular files are maps; move it, or give it a name that does not end in `.toml`",
        .path.escape_debug()
    )]
    KindInDirectory {
        path: String,
        /// The kind of file.
        kind: &'static str,
    },
    /// The directory does not hold a map.
    #[error("the directory `{}` holds no `*.toml` file", .0.escape_debug())]
    EmptyDirectory(String),
    /// The path names a terminal, a disk, or another file without an end.
    #[error("`{}` is {kind}: a map is a regular file, a pipe or a directory of `*.toml` files", .path.escape_debug())]
    Kind {
        path: String,
        /// The kind of file.
        kind: &'static str,
    },
    /// The map is larger than [`MAX_BYTES`].
    #[error("`{}` holds more than 64 MiB, the most a map may hold", .0.escape_debug())]
    TooLarge(String),
    /// The list of paths is empty.
    #[error("no map is named: give a file, a directory of `*.toml` files, or `-` for standard input")]
    Nothing,
}

impl Source {
    /// Makes a source of text that is in memory already: it does not have a file that others could have
    /// written.
    pub fn from_text(name: &str, text: &str) -> Self {
        Self::new(name.to_string(), text.as_bytes().to_vec(), Vec::new())
    }

    fn new(name: String, bytes: Vec<u8>, guards: Vec<Guard>) -> Self {
        let (text, broken_at) = match String::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(error) => (
                String::from_utf8_lossy(error.as_bytes()).into_owned(),
                Some(error.utf8_error().valid_up_to()),
            ),
        };
        Self { name, text, broken_at, holds_keys: false, path: None, guards }
    }

    /// Adds name, text and permissions to a hash.
    pub(super) fn feed(&self, hash: &mut Sha256) {
        for part in [&self.name, &self.text, &format!("{:?}", self.guards)] {
            // The length is added too, or the parts of two sources could make those of two others.
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
    }

    /// Lists the ways in which users other than `user` and root could have written this file or put it in its
    /// place; and, when it holds a key in clear, could have read it. The caller decides whether that is
    /// refused or only reported.
    pub fn laxness(&self, user: u32) -> Vec<Laxness> {
        let written = self.guards.iter().flat_map(|guard| guard.writers(user));
        let read = self.guards.first().filter(|_| self.holds_keys).and_then(|guard| guard.readers(user));
        written.chain(read).collect()
    }
}

/// Reads every file that `paths` name: a file as it is, a directory as its `*.toml` files in name order, `-`
/// as standard input. Reports every file that can't be read.
pub(crate) fn read(paths: &[PathBuf]) -> (Vec<Source>, Vec<SourceError>) {
    let mut sources = Vec::new();
    let mut errors = Vec::new();
    if paths.is_empty() {
        errors.push(SourceError::Nothing);
    }
    for path in paths {
        match read_argument(path) {
            Ok(results) => results.into_iter().for_each(|result| match result {
                Ok(source) => sources.push(source),
                Err(error) => errors.push(error),
            }),
            Err(error) => errors.push(error),
        }
    }
    (sources, errors)
}

type Results = Vec<Result<Source, SourceError>>;

fn read_argument(path: &Path) -> Result<Results, SourceError> {
    if path == Path::new("-") {
        return Ok(vec![read_standard_input()]);
    }
    let metadata = fs::metadata(path).map_err(|error| unreadable(path, error))?;
    if metadata.is_dir() { read_directory(path) } else { Ok(vec![read_file(path, None)]) }
}

fn read_directory(path: &Path) -> Result<Results, SourceError> {
    let fail = |error| unreadable(path, error);
    let guard = Guard::of(&shown(path), &fs::metadata(path).map_err(fail)?);
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name();
        // As a shell reads `*.toml`: a name that starts with a dot belongs to an editor.
        let bytes = name.as_encoded_bytes();
        if bytes.ends_with(b".toml") && !bytes.starts_with(b".") {
            files.push(path.join(name));
        }
    }
    if files.is_empty() {
        return Err(SourceError::EmptyDirectory(shown(path)));
    }
    files.sort();
    Ok(files.iter().map(|file| read_file(file, Some(guard.clone()))).collect())
}

fn read_file(path: &Path, directory: Option<Guard>) -> Result<Source, SourceError> {
    let fail = |error| unreadable(path, error);
    let check = |file_type| match &directory {
        None => check_kind(path, file_type),
        Some(_) => check_kind_in_directory(path, file_type),
    };
    // The type is checked before the file is opened: opening a device can set it in motion.
    check(fs::metadata(path).map_err(fail)?.file_type())?;
    // A FIFO that took the place of a file since would be waited for.
    let flags = if directory.is_some() { OFlag::O_NONBLOCK } else { OFlag::empty() };
    let file = File::options().read(true).custom_flags(flags.bits()).open(path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    check(metadata.file_type())?;
    let mut guards = vec![Guard::of(&shown(path), &metadata)];
    guards.extend(directory);
    let source = Source::new(shown(path), read_whole(path, file)?, guards);
    Ok(Source { path: Some(path.to_path_buf()), ..source })
}

fn read_standard_input() -> Result<Source, SourceError> {
    let path = Path::new("<stdin>");
    let fail = |error| unreadable(path, error);
    let file = File::from(io::stdin().as_fd().try_clone_to_owned().map_err(fail)?);
    let metadata = file.metadata().map_err(fail)?;
    if !metadata.file_type().is_socket() {
        check_kind(path, metadata.file_type())?;
    }
    // The owner of a pipe is not judged: the user who started dmctl put it there.
    let guards = if metadata.is_file() { vec![Guard::of(&shown(path), &metadata)] } else { Vec::new() };
    Ok(Source::new(shown(path), read_whole(path, file)?, guards))
}

fn read_whole(path: &Path, file: File) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(SourceError::TooLarge(shown(path)));
    }
    Ok(bytes)
}

/// Checks what is named as a map: a pipe is one as well, such as that of `<(...)` in a shell.
fn check_kind(path: &Path, file_type: FileType) -> Result<(), SourceError> {
    match kind(file_type) {
        Some(kind) if !file_type.is_fifo() => Err(SourceError::Kind { path: shown(path), kind }),
        _ => Ok(()),
    }
}

/// Checks a file that a directory holds. A FIFO among them would be read until a writer comes, at boot as well.
fn check_kind_in_directory(path: &Path, file_type: FileType) -> Result<(), SourceError> {
    kind(file_type).map_or(Ok(()), |kind| Err(SourceError::KindInDirectory { path: shown(path), kind }))
}

/// Names the kind of a file; `None` for a regular file.
fn kind(file_type: FileType) -> Option<&'static str> {
    Some(if file_type.is_file() {
        return None;
    } else if file_type.is_dir() {
        "a directory"
    } else if file_type.is_fifo() {
        "a FIFO"
    } else if file_type.is_block_device() {
        "a block device"
    } else if file_type.is_char_device() {
        "a character device"
    } else if file_type.is_socket() {
        "a socket"
    } else {
        "no file"
    })
}

fn unreadable(path: &Path, error: io::Error) -> SourceError {
    let absent = error.kind() == io::ErrorKind::NotFound;
    match destination(path).filter(|_| absent) {
        Some(to) => SourceError::Dangling { path: shown(path), to: shown(&to) },
        None => SourceError::Read { path: shown(path), error },
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn write(path: &Path, text: &[u8]) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn a_directory_is_its_toml_files_in_name_order() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read(&[folder.path().into()]).1[..], [SourceError::EmptyDirectory(_)]));
        for name in ["b.toml", "a.toml", ".hidden.toml", "notes.txt", "10.toml"] {
            write(&folder.path().join(name), name.as_bytes());
        }
        let (sources, errors) = read(&[folder.path().into()]);
        assert!(errors.is_empty());
        let texts: Vec<&str> = sources.iter().map(|source| source.text.as_str()).collect();
        assert_eq!(texts, ["10.toml", "a.toml", "b.toml"]);
    }

    #[test]
    fn what_has_no_end_is_refused_and_the_rest_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let good = folder.path().join("good.toml");
        write(&good, b"format = 1");
        let (sources, errors) = read(&["/dev/zero".into(), "/nowhere".into(), good]);
        assert_eq!(sources.len(), 1);
        assert!(errors[0].to_string().contains("a character device"), "{}", errors[0]);
        assert!(errors[1].to_string().contains("`/nowhere`"), "{}", errors[1]);
        assert!(matches!(read(&[]).1[..], [SourceError::Nothing]));
    }

    #[test]
    fn only_regular_files_of_a_directory_are_maps() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let at = |name: &str| root.join(name);
        write(&at("good.toml"), b"format = 1");
        nix::unistd::mkfifo(&at("pipe.toml"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket.toml")).unwrap();
        fs::create_dir(at("folder.toml")).unwrap();
        for (to, link) in
            [("/dev/null", "device.toml"), ("pipe.toml", "link.toml"), ("good.toml", "same.toml")]
        {
            std::os::unix::fs::symlink(to, at(link)).unwrap();
        }
        std::os::unix::fs::symlink("far/../gone", at("dangling.toml")).unwrap();
        std::os::unix::fs::symlink("dangling.toml", at("twice.toml")).unwrap();
        let (sources, errors) = read(std::slice::from_ref(&root));
        assert_eq!(sources.len(), 2);
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let expected = [
            ("dangling", "leads to "),
            ("device", "is a character device: in a directory only regular files are maps"),
            ("folder", "is a directory: "),
            ("link", "is a FIFO: "),
            ("pipe", "is a FIFO: "),
            ("socket", "is a socket: "),
            ("twice", "leads to "),
        ];
        assert_eq!(errors.len(), expected.len(), "{errors:?}");
        for (error, (name, kind)) in errors.iter().zip(expected) {
            assert!(
                error.starts_with(&format!("`{}` {kind}", at(&format!("{name}.toml")).display())),
                "{error}"
            );
        }
        assert!(errors[6].ends_with("gone, which does not exist"), "{}", errors[6]);
    }

    #[test]
    fn more_than_the_limit_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.toml");
        let file = File::create(&path).unwrap();
        file.set_len(MAX_BYTES + 1).unwrap();
        assert!(matches!(read(std::slice::from_ref(&path)).1[..], [SourceError::TooLarge(_)]));
        file.set_len(MAX_BYTES).unwrap();
        assert!(read(&[path]).1.is_empty());
    }

    #[test]
    fn a_file_and_its_directory_are_judged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.toml");
        write(&path, b"");
        let user = nix::unistd::geteuid().as_raw();
        let judged = || read(&[folder.path().into()]).0[0].laxness(user);
        assert_eq!(judged(), []);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
        assert!(matches!(judged()[..], [Laxness::Writable { .. }]));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(judged().len(), 2);
    }

    #[test]
    fn a_digest_stands_for_text_and_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.toml");
        let digest = || crate::config::load(std::slice::from_ref(&path)).digest();
        let absent = digest();
        write(&path, b"format = 1");
        let first = digest();
        write(&path, b"format = 1");
        assert!(digest() == first && first != absent);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
        assert_ne!(digest(), first);
        write(&path, b"format = 2");
        assert_ne!(digest(), first);
    }

    #[test]
    fn text_that_is_none_keeps_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.toml");
        write(&path, b"ab\xffc");
        let source = read(&[path]).0.remove(0);
        assert_eq!((source.broken_at, source.text.as_str()), (Some(2), "ab\u{fffd}c"));
    }
}
