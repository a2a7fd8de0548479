//! The name of a device: plain in maps and messages, mangled in the kernel.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use smol_str::{SmolStr, format_smolstr};

use super::{IdentityError, Key, Owner, printable};
use crate::text::push;

/// The longest name that the kernel stores, in bytes (`DM_NAME_LEN` in `include/uapi/linux/dm-ioctl.h` less the NUL).
pub const MAX_NAME: usize = 127;
/// The prefix of the temporary names by which two devices swap names (`a <-> b`).
pub const TEMPORARY_PREFIX: &str = "dmctl-moving-";

/// The name of a device, in the form the kernel stores.
///
/// The kernel takes any bytes but `/` and the NUL (`check_name` in `drivers/md/dm-ioctl.c`). A name that is not UTF-8 is
/// kept in mangled form, and differs from a name that has that form itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(
    /// The text, with [`BYTES`] before one whose `\xNN` stand for one byte each. A field of its own would make every name
    /// larger by a third.
    SmolStr,
);

/// Marks the mangled form of a name that is not UTF-8. A name holds no NUL.
const BYTES: char = '\0';

impl Name {
    /// Reads a plain name, and mangles it where libdevmapper would (`mangle_string` in `libdm-common.c` of lvm2). A name
    /// that is mangled already stays as it is.
    ///
    /// ```
    /// use dmctl::identity::Name;
    /// let name = Name::new("my disk").unwrap();
    /// assert_eq!(name.kernel(), "my\\x20disk");
    /// assert_eq!(name.plain(), "my disk");
    /// ```
    ///
    /// # Errors
    ///
    /// [`IdentityError`] for a name that is empty or reserved, holds a slash or a control character, is mangled in part,
    /// or takes more than [`MAX_NAME`] bytes in mangled form.
    pub fn new(plain: &str) -> Result<Self, IdentityError> {
        if plain.is_empty() {
            return Err(IdentityError::Empty("name"));
        }
        if matches!(plain, "." | ".." | "control") {
            return Err(IdentityError::Reserved(plain.to_string()));
        }
        if let Some(bad) = plain.chars().find(|c| *c == '/' || c.is_control()) {
            return Err(IdentityError::Character(plain.to_string(), bad));
        }
        let kernel: SmolStr = match unmangled(plain) {
            None if plain.bytes().all(is_whitelisted) => plain.into(),
            None => mangle(plain).into(),
            // Already in the kernel's form: leave it, as libdevmapper's automatic mode does.
            Some(_) if plain.bytes().all(|b| b == b'\\' || is_whitelisted(b)) => plain.into(),
            Some(_) => return Err(IdentityError::MixedMangling(plain.to_string())),
        };
        if kernel.len() > MAX_NAME {
            return Err(IdentityError::TooLong {
                what: "name",
                length: kernel.len(),
                limit: MAX_NAME,
                mangled: kernel.len() != plain.len(),
            });
        }
        Ok(Self(kernel))
    }

    /// Takes a name from the kernel, whatever it holds.
    pub fn from_kernel(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(name) if !name.starts_with(BYTES) => Self(name.into()),
            _ => Self(format_smolstr!("{BYTES}{}", mangle(bytes))),
        }
    }

    /// Reads the mangled form of a name that is not UTF-8. `None` for any other text.
    pub(crate) fn from_mangled_bytes(text: &str) -> Option<Self> {
        unmangled(text).map(|bytes| Self::from_kernel(&bytes)).filter(Self::is_bytes)
    }

    /// Returns the temporary name of a mapping whose name is swapped with another's. After a crash the
    /// mapping is found by its uuid.
    pub fn temporary(owner: &Owner, key: &Key) -> Self {
        Self(format_smolstr!("{TEMPORARY_PREFIX}{owner}-{key}"))
    }

    /// Returns the mangled form, which the kernel stores unless [`is_bytes`](Self::is_bytes).
    pub fn kernel(&self) -> &str {
        self.0.strip_prefix(BYTES).unwrap_or(&self.0)
    }

    /// Whether the name is not UTF-8: the kernel stores a byte for each `\xNN` of the mangled form.
    pub fn is_bytes(&self) -> bool {
        self.0.starts_with(BYTES)
    }

    /// Returns the bytes that the kernel stores.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        let decoded = self.is_bytes().then(|| unmangled(self.kernel())).flatten();
        decoded.map_or(Cow::Borrowed(self.kernel().as_bytes()), Cow::Owned)
    }

    /// Whether a text is the mangled form of these bytes, in lower or upper case, all of it or a part.
    pub(crate) fn is_spelled(&self, mangled: &str) -> bool {
        unmangled(mangled).is_some_and(|bytes| bytes == *self.bytes())
    }

    /// Returns the name as one word of a shell's command: quoted where that is needed, and mangled where the plain form
    /// can't be shown.
    pub fn word(&self) -> String {
        let (plain, kernel) = (self.plain(), self.kernel());
        let shown = if printable(&plain) == plain {
            plain
        } else if printable(kernel) == kernel {
            Cow::Borrowed(kernel)
        } else {
            // Another tool gave it as it is: `\xNN` finds it all the same.
            Cow::Owned(mangle(kernel))
        };
        shlex::try_quote(&shown).map_or_else(|_| mangle(kernel), Cow::into_owned)
    }

    /// Returns the plain form, or the mangled one where that is not UTF-8, as text that is cheap to clone.
    pub fn plain_text(&self) -> SmolStr {
        match unmangle(self.kernel()) {
            Some(plain) => plain.into(),
            None if self.is_bytes() => self.kernel().into(),
            None => self.0.clone(),
        }
    }

    /// Returns the plain form, or the mangled one where that is not UTF-8.
    pub fn plain(&self) -> Cow<'_, str> {
        match unmangle(self.kernel()) {
            Some(plain) => Cow::Owned(plain),
            None => Cow::Borrowed(self.kernel()),
        }
    }
}

impl fmt::Display for Name {
    /// Writes the plain form with control characters escaped: a name from the kernel may hold any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&printable(&self.plain()))
    }
}

impl Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.plain())
    }
}

/// Whether libdevmapper leaves the byte as it is (`_is_whitelisted_char` in `libdm-common.c` of lvm2).
fn is_whitelisted(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"#+-.:=@_".contains(&byte)
}

/// Writes bytes in mangled form.
pub(super) fn mangle(bytes: impl AsRef<[u8]>) -> String {
    let mut mangled = String::with_capacity(bytes.as_ref().len());
    for byte in bytes.as_ref() {
        if is_whitelisted(*byte) {
            mangled.push(char::from(*byte));
        } else {
            push!(mangled, "\\x{byte:02x}");
        }
    }
    mangled
}

/// Returns the plain form of a text with at least one `\xNN`. `None` when it has none, or another backslash, or when the
/// plain form is not UTF-8.
fn unmangle(text: &str) -> Option<String> {
    unmangled(text).and_then(|bytes| String::from_utf8(bytes).ok())
}

/// Returns the bytes of a text with at least one `\xNN`. `None` when it has none, or another backslash.
pub(super) fn unmangled(text: &str) -> Option<Vec<u8>> {
    if !text.contains('\\') {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'\\' {
            let hex = tail.strip_prefix(b"x").and_then(|hex| hex.get(..2))?;
            if !hex.iter().all(u8::is_ascii_hexdigit) {
                return None;
            }
            bytes.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
            rest = &tail[3..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_mangled_like_libdevmapper_does() {
        for (plain, kernel) in [
            ("data", "data"),
            ("a b", "a\\x20b"),
            ("a\\x20b", "a\\x20b"),
            ("ü", "\\xc3\\xbc"),
            ("#+-.:=@_09azAZ", "#+-.:=@_09azAZ"),
            ("a\\b", "a\\x5cb"),
            ("a\\x+1", "a\\x5cx+1"),
            // Mangled from bytes that are not UTF-8: left alone, as libdevmapper leaves them.
            ("a\\xff", "a\\xff"),
        ] {
            let name = Name::new(plain).unwrap();
            assert_eq!(name.kernel(), kernel);
        }
        assert_eq!(Name::new("a\\x20b").unwrap().plain(), "a b");
        assert_eq!(Name::new("a\\x20b c"), Err(IdentityError::MixedMangling("a\\x20b c".into())));
    }

    #[test]
    fn a_name_for_a_command_is_plain_and_finds_the_device() {
        for (kernel, word) in [
            ("data", "data"),
            ("my\\x20disk", "'my disk'"),
            ("a\\x1b", "\"a\\\\x1b\""),
            ("a\u{1b}b", "\"a\\\\x1bb\""),
            ("\u{202e}", "\"\\\\xe2\\\\x80\\\\xae\""),
        ] {
            let name = Name::from_kernel(kernel.as_bytes());
            assert_eq!(name.word(), word);
            let argument = shlex::split(word).unwrap().remove(0);
            assert!(argument == name.plain() || argument == kernel || name.is_spelled(&argument), "{word}");
        }
    }

    #[test]
    fn a_name_that_is_not_utf_8_keeps_its_bytes() {
        for bytes in [&b"a\xff"[..], b"a b\\\xff\x1b", b"\xc3", b"\\xff\xff"] {
            let name = Name::from_kernel(bytes);
            assert_eq!(*name.bytes(), *bytes);
            assert!(name.is_bytes() && name.kernel().is_ascii() && name.plain() == name.kernel());
            assert!(
                name.is_spelled(name.kernel()) && name.is_spelled(&name.kernel().replace("\\xff", "\\xFF"))
            );
            assert_ne!(
                Name::from_kernel(name.kernel().as_bytes()),
                name,
                "a name that has the mangled form itself"
            );
        }
        assert_eq!(Name::from_kernel(b"a b\xff").to_string(), "a\\x20b\\xff");
        assert!(!Name::from_kernel("ü".as_bytes()).is_bytes());
    }

    #[test]
    fn bad_names_are_refused() {
        for bad in ["", ".", "..", "control", "a/b", "a\nb", "a\u{7f}"] {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
        assert!(Name::new(&"a".repeat(127)).is_ok());
        assert!(Name::new(&"a".repeat(128)).is_err());
        assert!(Name::new(&" ".repeat(31)).is_ok());
        assert!(Name::new(&" ".repeat(32)).is_err());
    }
}
