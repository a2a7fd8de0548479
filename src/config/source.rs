//! Reads the text of a map: from files, directories of files, pipes.
//!
//! TOML is not understood here. The result is text with a name, and who could have written it; a source that
//! is too large, not text, or not a file at all is refused before it is parsed.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::files::{self, FileKind, FindError, Folder, Found, Guard, Laxness, Place};
use crate::identity::printable;

/// The most bytes that the files of a map may hold together.
pub(crate) const MAX_BYTES: u64 = 64 << 20;

/// The most values that the files of a map may hold together: each costs some 300 bytes of memory while the map is
/// read, however short its text is.
const MAX_VALUES: usize = 3_000_000;

/// Which files are read as a map.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rules {
    /// The user that the map is read for: a file that another user than this one and root could have written is refused,
    /// and not opened. `None`: it is read, and [`Source::laxness`] tells.
    pub refused_for: Option<u32>,
    pub pipes: Pipes,
}

/// What becomes of a FIFO that is named as a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Pipes {
    /// It is read, which waits for its writer: the user who named it has one.
    #[default]
    Read,
    /// It is refused: a plan names it, or the map is read again and again.
    Refuse,
}

/// One file of a map.
#[derive(Debug, Clone)]
pub struct Source {
    /// The name of the file in messages.
    pub name: String,
    /// The text of the file, which may hold a key. Bytes that are not UTF-8 are replaced.
    pub text: Zeroizing<String>,
    /// The place of the first byte that is not UTF-8, if there is one.
    pub(super) broken_at: Option<usize>,
    /// Whether the file holds a key in clear.
    pub(super) holds_keys: bool,
    /// Whether the file has settings of the whole map: an owner or a policy.
    pub(super) has_settings: bool,
    /// Where the text was read; `None` for standard input and for text in memory.
    pub(crate) path: Option<PathBuf>,
    /// The owners and modes that decide who could have written it, its own first.
    guards: Vec<Arc<Guard>>,
}

/// What is known of a file of a map, beside its text.
#[derive(Debug, Clone)]
pub(crate) struct MapFile {
    /// Where it was read; `None` for standard input.
    pub path: Option<PathBuf>,
    /// Whether it holds a key in clear.
    pub holds_keys: bool,
    /// Whether it has settings of the whole map.
    pub has_settings: bool,
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
    /// Another user could have written it or put it in its place.
    #[error(transparent)]
    Lax(Laxness),
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
        kind: FileKind,
    },
    /// The directory does not hold a map.
    #[error("the directory `{}` holds no `*.toml` file", .0.escape_debug())]
    EmptyDirectory(String),
    /// The path names a terminal, a disk, or another file without an end.
    #[error("`{}` is {kind}: a map is a regular file, a pipe or a directory of `*.toml` files", .path.escape_debug())]
    Kind {
        path: String,
        /// The kind of file.
        kind: FileKind,
    },
    /// The files of the map are larger than [`MAX_BYTES`].
    #[error("with `{}` the map holds more than 64 MiB, the most a map may hold", .0.escape_debug())]
    TooLarge(String),
    /// The files of the map hold more than [`MAX_VALUES`] values.
    #[error("with `{}` the map holds more than {MAX_VALUES} values, the most a map may hold", .0.escape_debug())]
    TooManyValues(String),
    /// A FIFO is named where none is read.
    #[error("`{}` is a FIFO, which is read once only: name a regular file, or a directory", .0.escape_debug())]
    Pipe(String),
    /// The list of paths is empty.
    #[error("no map is named: give a file, a directory of `*.toml` files, or `-` for standard input")]
    Nothing,
}

impl Source {
    /// Makes a source of text that is in memory already: it does not have a file that others could have
    /// written.
    pub fn from_text(name: &str, text: &str) -> Self {
        Self::new(name.to_string(), text.as_bytes().to_vec().into(), Vec::new())
    }

    fn new(name: String, mut bytes: Zeroizing<Vec<u8>>, guards: Vec<Arc<Guard>>) -> Self {
        let (text, broken_at) = match String::from_utf8(std::mem::take(&mut *bytes)) {
            Ok(text) => (Zeroizing::new(text), None),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let bytes = Zeroizing::new(error.into_bytes());
                (Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()), Some(at))
            }
        };
        Self { name, text, broken_at, holds_keys: false, has_settings: false, path: None, guards }
    }

    /// Returns what is known of it beside its text, which may hold a key.
    pub(crate) fn facts(&self) -> MapFile {
        let Self { path, holds_keys, has_settings, .. } = self;
        MapFile { path: path.clone(), holds_keys: *holds_keys, has_settings: *has_settings }
    }

    /// Adds name, text and permissions to a hash.
    pub(super) fn feed(&self, hash: &mut Sha256) {
        for part in [self.name.as_str(), self.text.as_str(), &format!("{:?}", self.guards)] {
            // The length is added too, or the parts of two sources could make those of two others.
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
    }

    /// Lists the ways in which users other than `user` and root could have written this file or put it in its
    /// place; and, when it holds a key in clear, could have read it. The caller decides whether that is
    /// refused or only reported.
    pub fn laxness(&self, user: u32) -> Vec<Laxness> {
        let read = self.guards.first().filter(|_| self.holds_keys).and_then(|guard| guard.readers(user));
        self.writers(user).chain(read).collect()
    }

    /// Lists the ways in which users other than `user` and root could have written this file.
    pub(super) fn writers(&self, user: u32) -> impl Iterator<Item = Laxness> {
        self.guards.iter().flat_map(move |guard| guard.writers(user))
    }
}

/// Reads every file that `paths` name: a file as it is, a directory as its `*.toml` files in name order, `-`
/// as standard input. Reports every file that can't be read.
pub(crate) fn read(paths: &[PathBuf], rules: Rules) -> (Vec<Source>, Vec<SourceError>) {
    let mut reading =
        Reading { rules, bytes: MAX_BYTES, values: MAX_VALUES, sources: Vec::new(), errors: Vec::new() };
    if paths.is_empty() {
        reading.errors.push(SourceError::Nothing);
    }
    for path in paths {
        let read = if path == Path::new("-") { reading.standard_input() } else { reading.argument(path) };
        reading.errors.extend(read.err());
    }
    (reading.sources, reading.errors)
}

/// The files of one map, while they are read.
struct Reading {
    rules: Rules,
    /// The bytes that may still be read.
    bytes: u64,
    /// The values that may still be read.
    values: usize,
    sources: Vec<Source>,
    errors: Vec<SourceError>,
}

impl Reading {
    fn argument(&mut self, path: &Path) -> Result<(), SourceError> {
        let found = files::find(path).map_err(|error| unreadable(path, error))?;
        if found.metadata().is_dir() {
            return self.directory(path, &Folder::enter(found).map_err(|error| failed(path, error))?);
        }
        match found.kind() {
            Some(FileKind::Fifo) if self.rules.pipes == Pipes::Refuse => Err(SourceError::Pipe(shown(path))),
            None | Some(FileKind::Regular | FileKind::Fifo) => self.file(path, found),
            Some(kind) => Err(SourceError::Kind { path: shown(path), kind }),
        }
    }

    fn directory(&mut self, path: &Path, folder: &Folder) -> Result<(), SourceError> {
        if self.refuses(|user| folder.laxness(user)) {
            return Ok(());
        }
        let mut entries = folder.entries().map_err(|error| failed(path, error))?;
        entries.retain(|entry| is_map(entry.name.as_encoded_bytes()));
        if entries.is_empty() {
            return Err(SourceError::EmptyDirectory(shown(path)));
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        for entry in entries {
            let path = path.join(&entry.name);
            let found = folder.find(&path, &entry).map_err(|error| unreadable(&path, error));
            let read = found.and_then(|found| match found.kind() {
                None | Some(FileKind::Regular) => self.file(&path, found),
                // A FIFO among them would be read until a writer comes, at boot as well.
                Some(kind) => Err(SourceError::KindInDirectory { path: shown(&path), kind }),
            });
            self.errors.extend(read.err());
        }
        Ok(())
    }

    /// Reads a file that was found, unless it is refused.
    fn file(&mut self, path: &Path, found: Found) -> Result<(), SourceError> {
        if self.refuses(|user| found.laxness(user)) {
            return Ok(());
        }
        let (size, guards) = (found.metadata().len(), found.guards());
        let file = found.open().map_err(|error| failed(path, error))?;
        self.text(path, file, size, guards, Some(path.to_path_buf()))
    }

    fn standard_input(&mut self) -> Result<(), SourceError> {
        let path = Path::new("<stdin>");
        let file = File::from(io::stdin().as_fd().try_clone_to_owned().map_err(|error| failed(path, error))?);
        let metadata = file.metadata().map_err(|error| failed(path, error))?;
        if let Some(kind @ (FileKind::Folder | FileKind::BlockDevice | FileKind::CharacterDevice)) =
            FileKind::of(metadata.file_type())
        {
            return Err(SourceError::Kind { path: shown(path), kind });
        }
        // The owner of a pipe is not judged, nor a folder: the user who started dmctl put it there.
        let guards =
            Vec::from_iter(metadata.is_file().then(|| Arc::new(Guard::of(Place::File, path, &metadata))));
        if self.refuses(|user| guards.iter().flat_map(|guard| guard.writers(user)).collect()) {
            return Ok(());
        }
        self.text(path, file, metadata.len(), guards, None)
    }

    /// Whether what could have been written as `laxness` lists is refused. Notes each reason once.
    fn refuses(&mut self, laxness: impl FnOnce(u32) -> Vec<Laxness>) -> bool {
        let found = self.rules.refused_for.map(laxness).unwrap_or_default();
        let refused = !found.is_empty();
        for laxness in found {
            let is_known =
                |error: &SourceError| matches!(error, SourceError::Lax(known) if *known == laxness);
            if !self.errors.iter().any(is_known) {
                self.errors.push(SourceError::Lax(laxness));
            }
        }
        refused
    }

    fn text(
        &mut self,
        path: &Path,
        file: File,
        size: u64,
        guards: Vec<Arc<Guard>>,
        read_from: Option<PathBuf>,
    ) -> Result<(), SourceError> {
        let bytes = files::read_wiped(file, size, self.bytes + 1).map_err(|error| failed(path, error))?;
        self.bytes =
            (self.bytes.checked_sub(bytes.len() as u64)).ok_or_else(|| SourceError::TooLarge(shown(path)))?;
        self.values =
            self.values.checked_sub(values(&bytes)).ok_or_else(|| SourceError::TooManyValues(shown(path)))?;
        let source = Source::new(shown(path), bytes, guards);
        self.sources.push(Source { path: read_from, ..source });
        Ok(())
    }
}

/// Whether a file of this name in a directory is a map, as a shell reads `*.toml`: a name that starts with a dot belongs
/// to an editor.
pub(crate) fn is_map(name: &[u8]) -> bool {
    name.ends_with(b".toml") && !name.starts_with(b".")
}

/// Returns how many values a TOML text holds at most: each but the first of an array follows a comma, each of a table an
/// equals sign, and the first of an array a bracket.
fn values(text: &[u8]) -> usize {
    text.iter().filter(|byte| matches!(byte, b',' | b'=' | b'[' | b'{')).count()
}

fn unreadable(path: &Path, error: FindError) -> SourceError {
    match error {
        FindError::Dangling(to) => SourceError::Dangling { path: shown(path), to: shown(&to) },
        FindError::Failed(error) => failed(path, error),
    }
}

fn failed(path: &Path, error: io::Error) -> SourceError {
    SourceError::Read { path: shown(path), error }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn write(path: &Path, text: &[u8]) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn a_directory_is_its_toml_files_in_name_order() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            read(&[folder.path().into()], Rules::default()).1[..],
            [SourceError::EmptyDirectory(_)]
        ));
        for name in ["b.toml", "a.toml", ".hidden.toml", "notes.txt", "10.toml"] {
            write(&folder.path().join(name), name.as_bytes());
        }
        let (sources, errors) = read(&[folder.path().into()], Rules::default());
        assert!(errors.is_empty());
        let texts: Vec<&str> = sources.iter().map(|source| source.text.as_str()).collect();
        assert_eq!(texts, ["10.toml", "a.toml", "b.toml"]);
    }

    #[test]
    fn what_has_no_end_is_refused_and_the_rest_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let good = folder.path().join("good.toml");
        write(&good, b"format = 1");
        let (sources, errors) = read(&["/dev/zero".into(), "/nowhere".into(), good], Rules::default());
        assert_eq!(sources.len(), 1);
        assert!(errors[0].to_string().contains("a character device"), "{}", errors[0]);
        assert!(errors[1].to_string().contains("`/nowhere`"), "{}", errors[1]);
        assert!(matches!(read(&[], Rules::default()).1[..], [SourceError::Nothing]));
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
        let (sources, errors) = read(std::slice::from_ref(&root), Rules::default());
        assert_eq!(sources.len(), 2);
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let expected = [
            ("dangling", "leads to "),
            ("device", "is a character device: in a directory only regular files are maps"),
            ("folder", "is a folder: "),
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
        assert!(matches!(
            read(std::slice::from_ref(&path), Rules::default()).1[..],
            [SourceError::TooLarge(_)]
        ));
        file.set_len(MAX_BYTES).unwrap();
        assert!(read(&[path], Rules::default()).1.is_empty());
    }

    #[test]
    fn a_file_and_its_directory_are_judged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.toml");
        write(&path, b"");
        let user = nix::unistd::geteuid().as_raw();
        let judged = || read(&[folder.path().into()], Rules::default()).0[0].laxness(user);
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
        let source = read(&[path], Rules::default()).0.remove(0);
        assert_eq!((source.broken_at, source.text.as_str()), (Some(2), "ab\u{fffd}c"));
    }
}
