//! How a map writes a key: a table that names one of five sources.
//!
//! A value in any other form is refused, and the message does not repeat it: it may be a key.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

use super::source::check_hex;
use super::{Encoding, KeySource, KeySyntax, Keyring, MAX_KEY};
use crate::mistake::{Mistake, to_serde};
use crate::secret::{REDACTED, Secret};

/// The advice of most messages: the forms of a key.
const FORMS: &str = "write `{ file = \"/path\" }`, `{ keyring = \"logon:description\", bytes = 64 }`, \
                     `{ credential = \"name\" }`, `{ random = 64 }` for swap and scratch, or `{ hex = \"...\" }` in a file that only its owner can read";

/// The message about a value that may be a key itself.
const BARE_VALUE: &str =
    "a key must not be written as a bare value: it would be readable by anyone with the file";

/// A text that no message may repeat. A value of another type is refused without being shown.
struct Hidden(Secret);

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HiddenVisitor)
    }
}

/// Reads text, and refuses any other value without showing it.
struct HiddenVisitor;

/// Defines the methods that refuse a value of another type without showing it.
macro_rules! refuse_silently {
    ($message:expr; $($method:ident: $type:ty),*) => {
        $(fn $method<E: de::Error>(self, _: $type) -> Result<Self::Value, E> {
            Err(to_serde($message))
        })*
    };
}

impl Visitor<'_> for HiddenVisitor {
    type Value = Hidden;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hex digits in quotes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Hidden, E> {
        Ok(Hidden(Secret::new(text.to_string())))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Hidden, E> {
        Ok(Hidden(Secret::new(text)))
    }

    refuse_silently!("the key must be hex digits in quotes"; visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_bool: bool);
}

/// A number of bytes. A value of another type is refused without being shown: it may be a key.
struct Count(u32);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

/// Reads a number, and refuses any other value without showing it. A number that no key is long becomes 0.
struct CountVisitor;

impl Visitor<'_> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes")
    }

    fn visit_i64<E: de::Error>(self, count: i64) -> Result<Count, E> {
        Ok(Count(u32::try_from(count).unwrap_or_default()))
    }

    fn visit_u64<E: de::Error>(self, count: u64) -> Result<Count, E> {
        Ok(Count(u32::try_from(count).unwrap_or_default()))
    }

    refuse_silently!("this must be a number of bytes"; visit_str: &str, visit_f64: f64, visit_bool: bool);
}

/// The table as the map has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    file: Option<String>,
    encoding: Option<Encoding>,
    keyring: Option<String>,
    bytes: Option<Count>,
    credential: Option<String>,
    random: Option<Count>,
    hex: Option<Hidden>,
}

impl Form {
    fn into_source(self) -> Result<KeySource, FormError> {
        let source = match (self.file, self.keyring, self.credential, self.random, self.hex) {
            (Some(path), None, None, None, None) => file(path, self.encoding)?,
            (None, Some(name), None, None, None) => {
                keyring(&name, self.bytes.as_ref().ok_or(FormError::KeyringWithoutBytes)?.0)?
            }
            (None, None, Some(name), None, None) => credential(name)?,
            (None, None, None, Some(bytes), None) => random(bytes.0)?,
            (None, None, None, None, Some(Hidden(hex))) => match hex.reveal() {
                REDACTED => KeySource::Withheld,
                digits => {
                    check_hex(digits.as_bytes())?;
                    KeySource::Hex(hex.lower_case())
                }
            },
            (None, None, None, None, None) => return Err(FormError::NoSource),
            _ => return Err(FormError::SeveralSources),
        };
        if self.encoding.is_some() && !matches!(source, KeySource::File { .. }) {
            return Err(FormError::EncodingWithoutFile);
        }
        if self.bytes.is_some() && !matches!(source, KeySource::Keyring(_)) {
            return Err(FormError::BytesWithoutKeyring);
        }
        Ok(source)
    }
}

/// Why a table in a map is not a source of a key. It never carries a value of the table.
#[derive(Debug, Error)]
enum FormError {
    #[error("this key comes from nowhere")]
    NoSource,
    #[error("a key comes from one place only")]
    SeveralSources,
    #[error("`encoding` says what is in a key file, and goes with `file` only")]
    EncodingWithoutFile,
    #[error("`bytes` goes with `keyring` only: other keys are as long as they are")]
    BytesWithoutKeyring,
    #[error("a key of a keyring needs `bytes`: how long the key is")]
    KeyringWithoutBytes,
    #[error("`bytes` must be from 1 to {MAX_KEY}")]
    KeyringBytes,
    #[error("`random` is the length of the key in bytes, from 1 to {MAX_KEY}")]
    RandomBytes,
    #[error(
        "`keyring` must be `type:description`, with the type logon, user, encrypted or trusted, and neither blanks nor backslashes in the description"
    )]
    KeyringName,
    #[error("the path of a key file must be absolute: a service starts in another directory")]
    RelativePath,
    #[error("the path of a key file holds a control character")]
    PathControl,
    #[error(
        "the name of a credential is that of a file, of at most 255 characters of printable ASCII without blanks, `/`, `:` and `\\`"
    )]
    CredentialName,
    #[error(transparent)]
    Hex(#[from] KeySyntax),
}

impl From<FormError> for Mistake {
    fn from(error: FormError) -> Self {
        let mistake = Self::new(error.to_string());
        match error {
            FormError::NoSource | FormError::SeveralSources => mistake.advice(FORMS),
            _ => mistake,
        }
    }
}

fn file(path: String, encoding: Option<Encoding>) -> Result<KeySource, FormError> {
    // It is a line of lists that scripts read, and a part of units.
    if path.contains(char::is_control) {
        Err(FormError::PathControl)
    } else if path.starts_with('/') {
        Ok(KeySource::File { path, encoding: encoding.unwrap_or_default() })
    } else {
        Err(FormError::RelativePath)
    }
}

fn keyring(name: &str, bytes: u32) -> Result<KeySource, FormError> {
    Keyring::new(name, bytes).map(KeySource::Keyring).map_err(|error| match error {
        KeySyntax::Long => FormError::KeyringBytes,
        _ => FormError::KeyringName,
    })
}

fn random(bytes: u32) -> Result<KeySource, FormError> {
    let fits = bytes > 0 && usize::try_from(bytes).is_ok_and(|bytes| bytes <= MAX_KEY);
    fits.then_some(KeySource::Random { bytes }).ok_or(FormError::RandomBytes)
}

/// The longest name of a credential: `FDNAME_MAX` of systemd (`src/basic/fd-util.h`).
const MAX_CREDENTIAL: usize = 255;

/// Checks the name of a credential as systemd does (`credential_name_valid` in `src/shared/creds-util.c`), and that it is one
/// word of a unit as it is written.
fn credential(name: String) -> Result<KeySource, FormError> {
    let is_legal = |byte: u8| byte.is_ascii_graphic() && !b"/:\\".contains(&byte);
    let is_name = (1..=MAX_CREDENTIAL).contains(&name.len()) && name != "." && name != "..";
    let is_valid = is_name && name.bytes().all(is_legal);
    is_valid.then_some(KeySource::Credential { name }).ok_or(FormError::CredentialName)
}

/// Reads the table, and refuses any other value with a message that lists the forms.
struct SourceVisitor;

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = KeySource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "where the key comes from: {FORMS}")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<KeySource, A::Error> {
        Form::deserialize(MapAccessDeserializer::new(map))?.into_source().map_err(to_serde)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<KeySource, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Err(to_serde(Mistake::new("a list is not a key").advice(FORMS)))
    }

    refuse_silently!(
        Mistake::new(BARE_VALUE).advice(FORMS);
        visit_str: &str, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_bool: bool
    );
}

impl<'de> Deserialize<'de> for KeySource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SourceVisitor)
    }
}

impl Serialize for KeySource {
    /// Writes the form of the map, with [`REDACTED`] in place of a key itself.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::None => {}
            Self::Hex(_) | Self::Withheld => map.serialize_entry("hex", REDACTED)?,
            Self::Keyring(keyring) => {
                map.serialize_entry("keyring", &format!("{}:{}", keyring.kind, keyring.description))?;
                map.serialize_entry("bytes", &keyring.bytes)?;
            }
            Self::File { path, encoding } => {
                map.serialize_entry("file", path)?;
                if *encoding != Encoding::Raw {
                    map.serialize_entry("encoding", encoding)?;
                }
            }
            Self::Credential { name } => map.serialize_entry("credential", name)?,
            Self::Random { bytes } => map.serialize_entry("random", bytes)?,
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Serialize, Debug)]
    struct Row {
        key: KeySource,
    }

    fn read(text: &str) -> Result<KeySource, String> {
        toml::from_str::<Row>(text).map(|row| row.key).map_err(|error| error.message().to_string())
    }

    #[test]
    fn the_forms() {
        assert_eq!(
            read("key = { file = \"/k\" }").unwrap(),
            KeySource::File { path: "/k".into(), encoding: Encoding::Raw }
        );
        assert_eq!(
            read("key = { file = \"/k\", encoding = \"hex\" }").unwrap(),
            KeySource::File { path: "/k".into(), encoding: Encoding::Hex }
        );
        let KeySource::Keyring(keyring) = read("key = { keyring = \"logon:a:b\", bytes = 64 }").unwrap()
        else {
            panic!("no keyring");
        };
        assert_eq!(keyring.to_string(), ":64:logon:a:b");
        assert_eq!(read("key = { random = 64 }").unwrap(), KeySource::Random { bytes: 64 });
        assert_eq!(read("key = { credential = \"c\" }").unwrap(), KeySource::Credential { name: "c".into() });
        assert_eq!(
            read("key = { hex = \"00FF\" }").unwrap(),
            KeySource::Hex(Secret::new("00ff".to_string()))
        );
    }

    #[test]
    fn a_wrong_form_shows_the_right_ones_and_not_what_was_written() {
        for text in [
            "key = \"c0ffee11\"",
            "key = 12648430",
            "key = [\"c0ffee11\"]",
            "key = { hex = \"c0ffee1\" }",
            "key = { hex = \"xc0ffee1\" }",
            "key = { hex = 12648430 }",
            "key = { hex = \"c0ffee11\", file = \"/k\" }",
            "key = { hex = \"c0ffee11\", bytes = 4 }",
            "key = { file = \"relative\" }",
            "key = { file = \"/k\", bytes = 3 }",
            "key = { keyring = \"logon:x\" }",
            "key = { keyring = \"session:x\", bytes = 4 }",
            "key = { keyring = \"logon:\", bytes = 4 }",
            "key = { keyring = \"logon:x\", bytes = 0 }",
            "key = { credential = \"../x\" }",
            "key = { credential = \"a\\nExecStartPre=+sh\" }",
            "key = { credential = \"a b\" }",
            "key = { credential = \"a:b\" }",
            "key = { credential = \"a\\\\b\" }",
            "key = { credential = \"\u{e4}\" }",
            "key = { file = \"/k\\n/etc/shadow\" }",
            "key = { file = \"/k\\u001b[2J\" }",
            "key = { file = \"/k\\u009b2J\" }",
            "key = { keyring = \"logon:x\", bytes = \"c0ffee11\" }",
            "key = { random = 0 }",
            "key = { random = 4097 }",
            "key = { random = -1 }",
            "key = { random = \"c0ffee11\" }",
            "key = { random = 64, hex = \"c0ffee11\" }",
            "key = { random = 64, bytes = 64 }",
            "key = {}",
        ] {
            let message = read(text).unwrap_err();
            assert!(!message.contains("c0ffee1") && !message.contains("12648430"), "{text}: {message}");
        }
        for text in ["key = \"c0ffee11\"", "key = 7", "key = {}"] {
            let message = read(text).unwrap_err();
            for form in ["{ file", "{ keyring", "{ credential", "{ hex"] {
                assert!(message.contains(form), "{text}: {message}");
            }
        }
    }

    #[test]
    fn writing_a_source_never_writes_a_key() {
        let key = KeySource::parse("c0ffee11").unwrap();
        let text = toml::to_string(&Row { key: key.clone() }).unwrap();
        assert!(!text.contains("c0ffee") && text.contains(REDACTED), "{text}");
        assert!(!format!("{key:?}").contains("c0ffee"));
        assert_eq!(read(&text).unwrap(), KeySource::Withheld);
        for text in [
            "key = { random = 32 }",
            "key = { file = \"/k\", encoding = \"hex\" }",
            "key = { keyring = \"user:d\", bytes = 32 }",
        ] {
            let source = read(text).unwrap();
            assert_eq!(read(&toml::to_string(&Row { key: source.clone() }).unwrap()).unwrap(), source);
        }
    }
}
