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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(SmolStr);

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
        let kernel: SmolStr = match unmangle(plain) {
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

    /// Takes a name from the kernel, whatever it holds. Where it is not UTF-8, the bytes beyond ASCII are mangled.
    pub fn from_kernel(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(name) => Self(name.into()),
            Err(_) => Self(
                bytes
                    .iter()
                    .map(|b| if b.is_ascii() { char::from(*b).to_string() } else { format!("\\x{b:02x}") })
                    .collect(),
            ),
        }
    }

    /// Returns the temporary name of a mapping whose name is swapped with another's. After a crash the
    /// mapping is found by its uuid.
    pub fn temporary(owner: &Owner, key: &Key) -> Self {
        Self(format_smolstr!("{TEMPORARY_PREFIX}{owner}-{key}"))
    }

    /// Returns the mangled form, which the kernel stores.
    pub fn kernel(&self) -> &str {
        &self.0
    }

    /// Returns the plain form as text that is cheap to clone.
    pub fn plain_text(&self) -> SmolStr {
        unmangle(&self.0).map_or_else(|| self.0.clone(), SmolStr::from)
    }

    /// Returns the plain form.
    pub fn plain(&self) -> Cow<'_, str> {
        match unmangle(&self.0) {
            Some(plain) => Cow::Owned(plain),
            None => Cow::Borrowed(&self.0),
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

fn mangle(plain: &str) -> String {
    let mut mangled = String::with_capacity(plain.len());
    for byte in plain.bytes() {
        if is_whitelisted(byte) {
            mangled.push(char::from(byte));
        } else {
            push!(mangled, "\\x{byte:02x}");
        }
    }
    mangled
}

/// Returns the plain form of a text with at least one `\xNN`. `None` when it has none, or another backslash.
fn unmangle(text: &str) -> Option<String> {
    if !text.contains('\\') {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'\\' {
            let hex = tail.strip_prefix(b"x").and_then(|hex| hex.get(..2))?;
            let hex = std::str::from_utf8(hex).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &tail[3..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
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
        ] {
            let name = Name::new(plain).unwrap();
            assert_eq!(name.kernel(), kernel);
        }
        assert_eq!(Name::new("a\\x20b").unwrap().plain(), "a b");
        assert_eq!(Name::new("a\\x20b c"), Err(IdentityError::MixedMangling("a\\x20b c".into())));
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
