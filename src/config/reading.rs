//! Reads the text of a map: from files, directories of files, pipes.
//!
//! A source that is too large, not text, or not a file at all is refused before it is parsed.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::source::Source;
use super::source_error::{MAX_BYTES, MAX_VALUES, SourceError};
use crate::files::{self, FileKind, FindError, Folder, Found, Guard, Laxness, Place};

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

/// Reads every file that `paths` name: a file as it is, a directory as its `*.toml` files in name order, `-`
/// as standard input. Reports every file that can't be read.
pub(crate) fn read(paths: &[PathBuf], rules: Rules) -> (Vec<Source>, Vec<SourceError>) {
    let mut reading = Reading {
        rules,
        argument: PathBuf::new(),
        bytes: MAX_BYTES,
        values: MAX_VALUES,
        sources: Vec::new(),
        errors: Vec::new(),
    };
    if paths.is_empty() {
        reading.errors.push(SourceError::Nothing);
    }
    for path in paths {
        reading.argument.clone_from(path);
        let read = if is_standard_input(path, rules) { reading.standard_input() } else { reading.path(path) };
        reading.errors.extend(read.err());
    }
    (reading.sources, reading.errors)
}

/// Whether a path names standard input. The names of it in /dev are read like `-`, but where no pipe is read: there each is a
/// file like any other.
fn is_standard_input(path: &Path, rules: Rules) -> bool {
    let names = ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];
    path == Path::new("-") || (rules.pipes == Pipes::Read && names.iter().any(|name| path == Path::new(name)))
}

/// The files of one map, while they are read.
struct Reading {
    rules: Rules,
    /// The path that is read, as it was given.
    argument: PathBuf,
    /// The bytes that may still be read.
    bytes: u64,
    /// The values that may still be read.
    values: usize,
    sources: Vec<Source>,
    errors: Vec<SourceError>,
}

impl Reading {
    fn path(&mut self, path: &Path) -> Result<(), SourceError> {
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
        // Neither a pipe nor a file is judged: the user who started dmctl opened it, and has given this text. A FIFO with a name
        // holds none until a program writes into it, and that may be another user's.
        let is_named = metadata.file_type().is_fifo() && !files::is_pipe(&file, &metadata);
        let guards =
            Vec::from_iter(is_named.then(|| Arc::new(Guard::of(Place::File, path, &file, &metadata))));
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
            let is_known = |error: &SourceError| matches!(error, SourceError::Lax { laxness: known, .. } if *known == laxness);
            if !self.errors.iter().any(is_known) {
                self.errors.push(SourceError::Lax { laxness, argument: self.argument.clone() });
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
        let mut source = Source::new(shown(path), bytes, guards);
        source.path = read_from;
        self.sources.push(source);
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
        fs::set_permissions(&path, fs::Permissions::from_mode(0o602)).unwrap();
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
