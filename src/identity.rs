//! Who a device is: its name, its uuid, its owner and its key; every name dmctl gives is built here.
//!
//! The kernel knows a device by a name (at most 127 bytes) and by a uuid that can be set once and never
//! changed. dmctl keeps ownership in the uuid, `DMCTL-<owner>-<key>`, so there is no state file to lose.
//! Names outside libdevmapper's whitelist are written to the kernel in mangled form (`\xNN`), as every
//! other tool expects them, and shown plain.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};
use thiserror::Error;

/// The longest name the kernel keeps (`DM_NAME_LEN` less the NUL).
pub const MAX_NAME: usize = 127;
/// The longest uuid the kernel keeps (`DM_UUID_LEN` less the NUL).
pub const MAX_UUID: usize = 128;
/// What every uuid of a device that dmctl owns starts with.
pub const UUID_PREFIX: &str = "DMCTL-";
/// What the name of a device starts with while renames pass through it (`a <-> b`).
pub const TEMPORARY_PREFIX: &str = "dmctl-moving-";
/// The owner of a map that names none.
pub const DEFAULT_OWNER: &str = "dmctl";

/// Prefixes of uuids by which other subsystems mark their devices, and who they are.
const SUBSYSTEMS: &[(&str, &str)] = &[
    ("LVM-", "LVM"),
    ("CRYPT-", "cryptsetup"),
    ("mpath-", "multipath"),
    ("DMRAID-", "dmraid"),
    ("stratis-", "Stratis"),
];

/// Why a name, key, owner or uuid is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// Nothing there.
    #[error("a {0} can't be empty")]
    Empty(&'static str),
    /// A name the kernel or every tool treats specially.
    #[error("`{0}` can't be the name of a device: the kernel keeps it for itself")]
    Reserved(String),
    /// A slash or a control character.
    #[error("`{}` can't be the name of a device: it holds {}", .0.escape_debug(), describe(*.1))]
    Character(String, char),
    /// Longer than the kernel keeps.
    #[error("this {what} takes {length} bytes{}, the kernel keeps at most {limit}", if *.mangled { " in mangled form" } else { "" })]
    TooLong {
        /// What is too long: a name or a uuid.
        what: &'static str,
        /// Its length in bytes, as the kernel would store it.
        length: usize,
        /// The most the kernel keeps.
        limit: usize,
        /// Whether mangling made it that long.
        mangled: bool,
    },
    /// A name in which some characters are mangled and others are not.
    #[error("`{0}` mixes mangled (`\\xNN`) and plain characters: write it plain")]
    MixedMangling(String),
    /// A key outside its alphabet.
    #[error("`{}` can't be a key: use 1 to 64 of A-Z a-z 0-9 _ . - and put anything else into `name`", .0.escape_debug())]
    Key(String),
    /// An owner outside its alphabet.
    #[error("`{}` can't be an owner: use 1 to 32 of a-z 0-9 _", .0.escape_debug())]
    Owner(String),
    /// A uuid with a control character.
    #[error("`{}` can't be a uuid: it holds a control character", .0.escape_debug())]
    Uuid(String),
}

fn describe(character: char) -> String {
    if character == '/' { "`/`".to_string() } else { "a control character".to_string() }
}

/// The name of a device, in the form the kernel stores.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(SmolStr);

impl Name {
    /// From what a person writes: mangled where libdevmapper would.
    ///
    /// ```
    /// use dmctl::identity::Name;
    /// let name = Name::new("my disk").unwrap();
    /// assert_eq!(name.kernel(), "my\\x20disk");
    /// assert_eq!(name.plain(), "my disk");
    /// ```
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

    /// From the kernel: whatever it holds, bytes that are no UTF-8 mangled so that they can be shown.
    #[must_use]
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

    /// The name a mapping carries while renames pass through each other. Its uuid tells whoever finds it
    /// after a crash what it should be called.
    #[must_use]
    pub fn temporary(owner: &Owner, key: &Key) -> Self {
        Self(format_smolstr!("{TEMPORARY_PREFIX}{owner}-{key}"))
    }

    /// The form the kernel stores, mangled.
    #[must_use]
    pub fn kernel(&self) -> &str {
        &self.0
    }

    /// The form a person reads, to keep.
    #[must_use]
    pub fn plain_text(&self) -> SmolStr {
        unmangle(&self.0).map_or_else(|| self.0.clone(), SmolStr::from)
    }

    /// The form a person reads.
    #[must_use]
    pub fn plain(&self) -> Cow<'_, str> {
        match unmangle(&self.0) {
            Some(plain) => Cow::Owned(plain),
            None => Cow::Borrowed(&self.0),
        }
    }
}

impl fmt::Display for Name {
    /// The plain form, with control characters escaped: a name out of the kernel may hold any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&printable(&self.plain()))
    }
}

impl Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.plain())
    }
}

/// Text from outside with everything that could move a cursor or turn the writing direction escaped.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let hides = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    // Most texts are plain, and every one that is drawn comes through here.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    if text.contains(hides) {
        let mut escaped = String::with_capacity(text.len() + 8);
        for c in text.chars() {
            if hides(c) { escaped.extend(c.escape_unicode()) } else { escaped.push(c) }
        }
        Cow::Owned(escaped)
    } else {
        Cow::Borrowed(text)
    }
}

/// libdevmapper's whitelist.
fn is_whitelisted(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"#+-.:=@_".contains(&byte)
}

fn mangle(plain: &str) -> String {
    let mut mangled = String::with_capacity(plain.len());
    for byte in plain.bytes() {
        if is_whitelisted(byte) {
            mangled.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(mangled, "\\x{byte:02x}");
        }
    }
    mangled
}

/// The plain form of a string that holds at least one `\xNN`, or none when it holds none or is no mangling.
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

/// The identity of a mapping inside its map: `[mappings.KEY]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Key(SmolStr);

impl Key {
    /// Checks the alphabet: 1 to 64 of `A-Z a-z 0-9 _ . -`.
    pub fn new(text: &str) -> Result<Self, IdentityError> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        if text.is_empty() || text.len() > 64 || !text.bytes().all(legal) {
            return Err(IdentityError::Key(text.to_string()));
        }
        Ok(Self(text.into()))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key as text, to keep.
    #[must_use]
    pub fn text(&self) -> &SmolStr {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whose devices a map describes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Owner(SmolStr);

impl Owner {
    /// Checks the alphabet: 1 to 32 of `a-z 0-9 _`. A hyphen ends the owner inside a uuid.
    pub fn new(text: &str) -> Result<Self, IdentityError> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if text.is_empty() || text.len() > 32 || !text.bytes().all(legal) {
            return Err(IdentityError::Owner(text.to_string()));
        }
        Ok(Self(text.into()))
    }

    /// The owner as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Owner {
    fn default() -> Self {
        Self(DEFAULT_OWNER.into())
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The uuid of a device: any text of at most 128 bytes, set once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Uuid(SmolStr);

impl Uuid {
    /// A uuid as someone wrote it.
    pub fn new(text: &str) -> Result<Self, IdentityError> {
        if text.is_empty() {
            return Err(IdentityError::Empty("uuid"));
        }
        if text.len() > MAX_UUID {
            return Err(IdentityError::TooLong {
                what: "uuid",
                length: text.len(),
                limit: MAX_UUID,
                mangled: false,
            });
        }
        if text.chars().any(char::is_control) {
            return Err(IdentityError::Uuid(text.to_string()));
        }
        Ok(Self(text.into()))
    }

    /// The uuid of the mapping `key` of `owner`.
    #[must_use]
    pub fn owned(owner: &Owner, key: &Key) -> Self {
        Self(format_smolstr!("{UUID_PREFIX}{owner}-{key}"))
    }

    /// From the kernel: none when the device has no uuid.
    #[must_use]
    pub fn from_kernel(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty()).then(|| Self(String::from_utf8_lossy(bytes).into()))
    }

    /// Whose device this is and which of theirs, when a dmctl owner has it.
    #[must_use]
    pub fn parts(&self) -> Option<(Owner, Key)> {
        let (owner, key) = self.0.strip_prefix(UUID_PREFIX)?.split_once('-')?;
        Some((Owner::new(owner).ok()?, Key::new(key).ok()?))
    }

    /// Whether `owner` has this device.
    #[must_use]
    pub fn is_of(&self, owner: &Owner) -> bool {
        self.within(owner).is_some()
    }

    /// Whether it is that of the mapping `key` of `owner`.
    #[must_use]
    pub fn is_owned(&self, owner: &Owner, key: &Key) -> bool {
        self.within(owner) == Some(key.as_str())
    }

    /// What tells it from the others of `owner`.
    fn within(&self, owner: &Owner) -> Option<&str> {
        self.0.strip_prefix(UUID_PREFIX)?.strip_prefix(owner.as_str())?.strip_prefix('-')
    }

    /// The other subsystem that this uuid marks a device of, if one does.
    #[must_use]
    pub fn subsystem(&self) -> Option<&'static str> {
        if self.0.strip_prefix("part").and_then(|rest| rest.split_once("-mpath-")).is_some() {
            return Some("multipath");
        }
        SUBSYSTEMS.iter().find(|(prefix, _)| self.0.starts_with(prefix)).map(|(_, name)| *name)
    }

    /// The uuid as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The uuid as text, to keep.
    #[must_use]
    pub fn text(&self) -> &SmolStr {
        &self.0
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&printable(&self.0))
    }
}

/// The number of a block device, `major:minor`: what the kernel knows a device by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DevNum {
    /// The driver.
    pub major: u32,
    /// The device of that driver.
    pub minor: u32,
}

impl DevNum {
    /// Both parts.
    #[must_use]
    pub fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// Reads `major:minor`, decimal digits only; the kernel takes 12 bits of major and 20 of minor.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |s: &str| !s.is_empty() && s.len() <= 10 && s.bytes().all(|b| b.is_ascii_digit());
        let (major, minor) = text.split_once(':')?;
        if !digits(major) || !digits(minor) {
            return None;
        }
        let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
        (major < 1 << 12 && minor < 1 << 20).then_some(Self { major, minor })
    }
}

impl fmt::Display for DevNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}:{}", self.major, self.minor))
    }
}

impl schemars::JsonSchema for DevNum {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DevNum".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "The number of a block device, major:minor.",
            "pattern": "^[0-9]{1,10}:[0-9]{1,10}$",
        })
    }
}

impl Serialize for DevNum {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DevNum {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is no device number: write `major:minor`"))
        })
    }
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

    #[test]
    fn an_owner_ends_at_its_hyphen() {
        let lab = Owner::new("lab").unwrap();
        let uuid = Uuid::owned(&lab, &Key::new("a-b").unwrap());
        assert_eq!(uuid.as_str(), "DMCTL-lab-a-b");
        assert!(uuid.is_of(&lab));
        assert!(!uuid.is_of(&Owner::new("la").unwrap()));
        assert_eq!(uuid.parts().unwrap().1.as_str(), "a-b");
        assert_eq!(Uuid::new("LVM-abc").unwrap().subsystem(), Some("LVM"));
        assert_eq!(Uuid::new("part1-mpath-3600").unwrap().subsystem(), Some("multipath"));
        assert_eq!(uuid.subsystem(), None);
    }

    #[test]
    fn device_numbers() {
        assert_eq!(DevNum::parse("253:1"), Some(DevNum::new(253, 1)));
        for bad in ["", ":", "1", "1:", ":1", "1:2:3", "+1:2", "4096:0", "1:1048576", "0x1:2"] {
            assert_eq!(DevNum::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn text_from_outside_cannot_move_the_cursor() {
        assert_eq!(printable("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(printable("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(Name::from_kernel(b"a\xffb").kernel(), "a\\xffb");
    }
}
