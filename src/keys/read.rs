//! Reading keys from files and credentials.
//!
//! A key file is refused when users other than its owner can read or write it, or when its owner is neither root
//! nor the reader: a file that others can read is not a secret, and one that others can write is not to be trusted. For
//! root so is a key file in whose place others can put another one. It is judged before it is opened.
//! No copy of a key is left in memory: the buffer has its full size from the start, so that it never moves, and is
//! wiped.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::source::check_hex;
use super::{Encoding, Key, KeyError, KeySizes, KeySlot, KeySource, KeySyntax, MAX_KEY, SizeHint, SlotForm};
use crate::files::{self, Found, Laxness};
use crate::secret::Secret;

/// The bits of a mode that a key file must not have: those of users other than its owner.
const OTHERS: u32 = 0o077;

/// The places that keys are read from, and the user that reads them.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The directory of the credentials of this service (`$CREDENTIALS_DIRECTORY`, see systemd.exec(5)).
    pub credentials: Option<PathBuf>,
    /// The effective uid of the reader. Key files must belong to this user or to root.
    pub user: u32,
}

/// Reads all keys of a target that come from files and credentials. Returns an error for each field whose key
/// cannot be read; such a key stays unread, and the target must not be loaded.
pub fn read_all(slots: Vec<KeySlot<'_>>, places: &Places) -> Vec<(&'static str, KeyError)> {
    let mut errors = Vec::new();
    for KeySlot { field, key, sizes, form } in slots {
        if form == SlotForm::Word && key.source == KeySource::Withheld {
            errors.push((field, KeyError::WithheldWord));
            continue;
        }
        match resolve(&key.source, &sizes, places) {
            Ok(read) => key.read = read,
            Err(error) => errors.push((field, error)),
        }
    }
    errors
}

/// Refuses all keys of a target that come from files and credentials, as [`read_all`] does for those that it can't read.
pub(crate) fn refuse_all(slots: Vec<KeySlot<'_>>, lax: &Laxness) -> Vec<(&'static str, KeyError)> {
    let is_read =
        |slot: &KeySlot<'_>| matches!(slot.key.source, KeySource::File { .. } | KeySource::Credential { .. });
    slots.into_iter().filter(is_read).map(|slot| (slot.field, KeyError::LaxMap(lax.clone()))).collect()
}

/// Judges the key file at `path` as [`read_all`] does for `user`, and opens nothing. A file that is not there is not judged.
///
/// # Errors
///
/// [`KeyError::NotRegular`], [`KeyError::Owner`], [`KeyError::Open`] and [`KeyError::Lax`], and [`KeyError::Unreadable`] for a
/// path that can't be followed.
pub(crate) fn judge_file(path: &Path, user: u32) -> Result<(), KeyError> {
    match files::find(path).map_err(io::Error::from) {
        Ok(found) => Reader { path, refused_mode: OTHERS, user }.check_access(&found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(KeyError::Unreadable { path: path.to_path_buf(), error }),
    }
}

/// Reads one key, as lower-case hex. Returns `None` where the source needs no reading.
///
/// Compares the length with `sizes` for every source whose length is known.
///
/// # Errors
///
/// Any [`KeyError`], none of which carries a part of the key.
pub fn resolve(source: &KeySource, sizes: &KeySizes, places: &Places) -> Result<Option<Secret>, KeyError> {
    let (secret, likely) = match source {
        KeySource::Withheld => return Err(KeyError::Withheld),
        KeySource::File { path, encoding } => {
            Reader { path: Path::new(path), refused_mode: OTHERS, user: places.user }.read(*encoding)?
        }
        KeySource::Credential { name } => {
            let directory =
                places.credentials.as_ref().ok_or_else(|| KeyError::NoCredentials(name.clone()))?;
            // systemd grants a service its credentials through the group bits; only it can enter the directory.
            let path = &directory.join(name);
            Reader { path, refused_mode: 0o007, user: places.user }.read(Encoding::Raw)?
        }
        KeySource::None | KeySource::Hex(_) | KeySource::Keyring(_) | KeySource::Random { .. } => {
            let bytes = Key::from(source.clone()).bytes();
            return match bytes.filter(|bytes| !sizes.accepts(*bytes)) {
                Some(bytes) => Err(KeyError::Size { bytes, sizes: sizes.clone(), hint: None }),
                None => Ok(None),
            };
        }
    };
    let bytes = secret.len() / 2;
    if sizes.accepts(bytes) {
        return Ok(Some(secret));
    }
    let hint = likely.filter(|likely| sizes.accepts(likely.bytes)).map(|likely| likely.cause);
    Err(KeyError::Size { bytes, sizes: sizes.clone(), hint })
}

/// How a file of the wrong length can be read otherwise, and the length of the key then, in bytes.
struct Likely {
    cause: SizeHint,
    bytes: usize,
}

/// A key file, and the rules it is held to.
struct Reader<'a> {
    path: &'a Path,
    /// The permission bits that the file must not have.
    refused_mode: u32,
    user: u32,
}

impl Reader<'_> {
    fn read(&self, encoding: Encoding) -> Result<(Secret, Option<Likely>), KeyError> {
        let unreadable = |error| KeyError::Unreadable { path: self.path.to_path_buf(), error };
        let found = files::find(self.path).map_err(|error| unreadable(error.into()))?;
        self.check_access(&found)?;
        let file = found.open().map_err(unreadable)?;
        let (buffer, filled) = fill(file).map_err(unreadable)?;
        let bytes = &buffer[..filled];
        match encoding {
            Encoding::Raw if bytes.is_empty() => Err(KeyError::Empty(self.path.to_path_buf())),
            Encoding::Raw if bytes.len() > MAX_KEY => Err(KeyError::TooLong(self.path.to_path_buf())),
            Encoding::Raw => Ok((Secret::hex(bytes), likely(bytes))),
            Encoding::Hex => self.decode_hex(bytes).map(|secret| (secret, None)),
        }
    }

    /// Judges a file that is not opened yet.
    fn check_access(&self, found: &Found) -> Result<(), KeyError> {
        let metadata = found.metadata();
        let (mode, owner, user) = (metadata.mode() & 0o7777, metadata.uid(), self.user);
        let path = self.path.to_path_buf();
        if !metadata.is_file() {
            Err(KeyError::NotRegular { path, kind: found.kind(), owner, user })
        } else if owner != 0 && owner != user {
            Err(KeyError::Owner { path, owner, user })
        } else if mode & self.refused_mode != 0 {
            Err(KeyError::Open { path, mode })
        } else {
            // A credential is in a folder that systemd made for this service.
            let is_on_the_way = |laxness: &Laxness| !laxness.is_of_the_file();
            found
                .laxness(user)
                .into_iter()
                .find(is_on_the_way)
                .map_or(Ok(()), |lax| Err(KeyError::Lax { path, lax }))
        }
    }

    /// Reads hex digits; white space between and behind them is ignored, as `xxd -p` wraps its lines.
    fn decode_hex(&self, bytes: &[u8]) -> Result<Secret, KeyError> {
        // The full capacity at once: what grows leaves copies of itself behind.
        let mut digits = Zeroizing::new(Vec::with_capacity(bytes.len()));
        digits.extend(bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()));
        let digits = digits.as_slice();
        check_hex(digits).map_err(|error| match error {
            KeySyntax::Long => KeyError::TooLong(self.path.to_path_buf()),
            KeySyntax::Count(0) => KeyError::Empty(self.path.to_path_buf()),
            error => KeyError::NotHex { path: self.path.to_path_buf(), error },
        })?;
        let mut text = String::with_capacity(digits.len());
        text.extend(digits.iter().map(|digit| char::from(digit.to_ascii_lowercase())));
        Ok(Secret::new(text))
    }
}

/// Reads the file into a buffer that is wiped; of a file that is too long only as much as shows it.
fn fill(mut file: File) -> io::Result<(Zeroizing<Vec<u8>>, usize)> {
    // The longest key in hex, as much white space, a line end, and one byte more.
    let mut buffer = Zeroizing::new(vec![0; 4 * MAX_KEY + 3]);
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((buffer, filled))
}

/// Looks for the usual mistakes in a file that was read as raw bytes.
fn likely(bytes: &[u8]) -> Option<Likely> {
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if check_hex(text).is_ok() {
        Some(Likely { cause: SizeHint::LooksLikeHex, bytes: text.len() / 2 })
    } else if text.len() < bytes.len() {
        Some(Likely { cause: SizeHint::TrailingNewline, bytes: text.len() })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn places(&self) -> Places {
            let user = fs::metadata(self.0.path()).unwrap().uid();
            Places { credentials: Some(self.0.path().to_path_buf()), user }
        }

        fn write(&self, name: &str, content: &[u8], mode: u32) -> String {
            let path = self.0.path().join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path.to_str().unwrap().to_string()
        }

        fn read(&self, content: &[u8], encoding: Encoding, sizes: &KeySizes) -> Result<Secret, KeyError> {
            let path = self.write("key", content, 0o600);
            resolve(&KeySource::File { path, encoding }, sizes, &self.places()).map(Option::unwrap)
        }
    }

    fn raw(path: String) -> KeySource {
        KeySource::File { path, encoding: Encoding::Raw }
    }

    #[test]
    fn all_bytes_of_a_file_are_the_key() {
        let folder = Folder::new();
        let key = folder.read(b"\x00\xffab\n", Encoding::Raw, &KeySizes::Any).unwrap();
        assert_eq!(key.reveal(), "00ff61620a");
        for text in ["00FFab", "00ffab\n", "00ffAB\r\n", "00\nff\nab\n", " 00 ff\tAB \r\n\n"] {
            let key = folder.read(text.as_bytes(), Encoding::Hex, &KeySizes::Any).unwrap();
            assert_eq!(key.reveal(), "00ffab");
        }
        let longest = folder.read(&[7; MAX_KEY], Encoding::Raw, &KeySizes::Any).unwrap();
        assert_eq!(longest.len(), 2 * MAX_KEY);
        let longest = format!("{}\r\n", "ab".repeat(MAX_KEY));
        assert!(folder.read(longest.as_bytes(), Encoding::Hex, &KeySizes::Any).is_ok());
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        let folder = Folder::new();
        let long = vec![b'a'; MAX_KEY + 1];
        let longer = vec![b'a'; 100_000];
        for (content, encoding, expected) in [
            (&b""[..], Encoding::Raw, "is empty"),
            (b"\n", Encoding::Hex, "is empty"),
            (b"secretsecret", Encoding::Hex, "character 1"),
            (b"cafeba", Encoding::Raw, "has 6 bytes, the cipher takes 32 or 64 bytes"),
            (b"cafeb", Encoding::Hex, "has 5 digits"),
            (&long, Encoding::Raw, "more than 4096 bytes"),
            (&longer, Encoding::Raw, "more than 4096 bytes"),
            (&longer, Encoding::Hex, "more than 4096 bytes"),
        ] {
            let sizes = KeySizes::of_cipher("aes-xts-plain64", None);
            let message = folder.read(content, encoding, &sizes).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
            assert!(!message.contains("secretsecret") && !message.contains("cafeb"), "{message}");
        }
    }

    #[test]
    fn a_wrong_length_says_what_was_probably_meant() {
        let folder = Folder::new();
        let sizes = KeySizes::of_cipher("aes-xts-plain64", None);
        let newline = [&[0x80; 64][..], b"\n"].concat();
        let hex = format!("{}\n", "ab".repeat(64));
        for (content, expected) in [(&newline[..], "newline"), (hex.as_bytes(), "encoding = \"hex\"")] {
            let message = folder.read(content, Encoding::Raw, &sizes).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = Folder::new();
        let places = folder.places();
        for mode in [0o640, 0o604, 0o620, 0o601, 0o644] {
            let source = raw(folder.write("key", b"0123456789abcdef", mode));
            let error = resolve(&source, &KeySizes::Any, &places).unwrap_err();
            assert!(
                matches!(error, KeyError::Open { mode: shown, .. } if shown == mode),
                "{mode:o}: {error}"
            );
        }
        let source = raw(folder.write("key", b"0123456789abcdef", 0o400));
        assert!(resolve(&source, &KeySizes::Any, &places).is_ok());
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let folder = Folder::new();
        let path = folder.write("key", b"0123456789abcdef", 0o600);
        if folder.places().user == 0 {
            chown(&path, Some(12_345), None).unwrap();
        }
        let places = Places { credentials: None, user: 54_321 };
        assert!(matches!(resolve(&raw(path), &KeySizes::Any, &places), Err(KeyError::Owner { .. })));
    }

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let folder = Folder::new();
        let places = folder.places();
        let missing = raw("/nonexistent/key".to_string());
        assert!(matches!(resolve(&missing, &KeySizes::Any, &places), Err(KeyError::Unreadable { .. })));
        let directory = raw(folder.0.path().to_str().unwrap().to_string());
        assert!(matches!(resolve(&directory, &KeySizes::Any, &places), Err(KeyError::NotRegular { .. })));
        let pipe = folder.0.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        let pipe = raw(pipe.to_str().unwrap().to_string());
        assert!(matches!(resolve(&pipe, &KeySizes::Any, &places), Err(KeyError::NotRegular { .. })));
    }

    #[test]
    fn credentials_come_from_their_directory() {
        let folder = Folder::new();
        folder.write("disk", b"0123456789abcdef", 0o440);
        let source = KeySource::Credential { name: "disk".to_string() };
        let key = resolve(&source, &KeySizes::Any, &folder.places()).unwrap().unwrap();
        assert_eq!(key.reveal(), "30313233343536373839616263646566");
        let message = resolve(&source, &KeySizes::Any, &Places::default()).unwrap_err().to_string();
        assert!(message.contains("LoadCredential"), "{message}");
    }

    #[test]
    fn one_call_reads_all_keys_of_a_target() {
        let folder = Folder::new();
        let path = folder.write("key", &[0xab; 32], 0o600);
        let mut good = Key::from(raw(path));
        let mut bad = Key::from(raw("/nonexistent/key".to_string()));
        let mut kept = Key::parse("c0ffee11").unwrap();
        let before = kept.clone();
        let slot = |field, key| KeySlot { field, key, sizes: KeySizes::Any, form: SlotForm::Source };
        let slots = vec![slot("one", &mut good), slot("two", &mut bad), slot("three", &mut kept)];
        let errors = read_all(slots, &folder.places());
        assert_eq!(errors.iter().map(|(field, _)| *field).collect::<Vec<_>>(), ["two"]);
        assert_eq!(good.material().unwrap().reveal(), "ab".repeat(32));
        assert_eq!((good.bytes(), bad.bytes()), (Some(32), None));
        assert_eq!(kept, before);
        assert!(!format!("{good:?}").contains("abab"));
    }

    #[test]
    fn a_withheld_key_cannot_be_read() {
        let message =
            resolve(&KeySource::Withheld, &KeySizes::Any, &Places::default()).unwrap_err().to_string();
        assert!(message.contains("exported"), "{message}");
    }
}
