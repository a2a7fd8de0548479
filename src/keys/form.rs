//! How a map writes a key: a table with one of four ways to come by it.
//!
//! Whatever else is written there, the message about it doesn't repeat it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::source::check_hex;
use super::{Encoding, KeySource, KeySyntax, Keyring, MAX_KEY};
use crate::secret::{REDACTED, Secret};

/// The four ways to write a key, for messages.
const FORMS: &str = "write `{ file = \"/path\" }`, `{ keyring = \"logon:description\", bytes = 64 }`, \
                     `{ credential = \"name\" }`, or `{ hex = \"...\" }` in a file that nobody but its owner can read";

/// A text that no message may repeat, whatever was written instead of it.
struct Hidden(Secret);

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HiddenVisitor)
    }
}

/// Takes text; anything else is an error that doesn't show it.
struct HiddenVisitor;

/// Refuses every kind of value but those a visitor takes, without showing it.
macro_rules! refuse_silently {
    ($message:expr; $($method:ident: $type:ty),*) => {
        $(fn $method<E: de::Error>(self, _: $type) -> Result<Self::Value, E> {
            Err(E::custom($message))
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

/// The table that a map writes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    file: Option<String>,
    encoding: Option<Encoding>,
    keyring: Option<String>,
    bytes: Option<u32>,
    credential: Option<String>,
    hex: Option<Hidden>,
}

impl Form {
    fn into_source(self) -> Result<KeySource, String> {
        let source = match (self.file, self.keyring, self.credential, self.hex) {
            (Some(path), None, None, None) => file(path, self.encoding)?,
            (None, Some(name), None, None) => {
                let bytes = self.bytes.ok_or("a key of a keyring needs `bytes`: how long the key is")?;
                keyring(&name, bytes)?
            }
            (None, None, Some(name), None) => credential(name)?,
            (None, None, None, Some(Hidden(hex))) => match hex.reveal() {
                REDACTED => KeySource::Withheld,
                digits => {
                    check_hex(digits.as_bytes()).map_err(|error| error.to_string())?;
                    KeySource::Hex(hex.lower_case())
                }
            },
            (None, None, None, None) => return Err(format!("this key comes from nowhere: {FORMS}")),
            _ => return Err(format!("a key comes from one place only: {FORMS}")),
        };
        if self.encoding.is_some() && !matches!(source, KeySource::File { .. }) {
            return Err("`encoding` says what is in a key file, and goes with `file` only".to_string());
        }
        if self.bytes.is_some() && !matches!(source, KeySource::Keyring(_)) {
            return Err("`bytes` goes with `keyring` only: other keys are as long as they are".to_string());
        }
        Ok(source)
    }
}

fn file(path: String, encoding: Option<Encoding>) -> Result<KeySource, String> {
    if !path.starts_with('/') {
        return Err(
            "the path of a key file must be absolute: a service starts in another directory".to_string()
        );
    }
    Ok(KeySource::File { path, encoding: encoding.unwrap_or_default() })
}

fn keyring(name: &str, bytes: u32) -> Result<KeySource, String> {
    Keyring::new(name, bytes).map(KeySource::Keyring).map_err(|error| match error {
        KeySyntax::Long => format!("`bytes` must be from 1 to {MAX_KEY}"),
        _ => "`keyring` must be `type:description`, with the type logon, user, encrypted or trusted, and neither \
              blanks nor backslashes in the description"
            .to_string(),
    })
}

fn credential(name: String) -> Result<KeySource, String> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err("the name of a credential is the name of a file, without `/`".to_string());
    }
    Ok(KeySource::Credential { name })
}

/// Takes the table, and answers anything else with the four forms.
struct SourceVisitor;

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = KeySource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "where the key comes from: {FORMS}")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<KeySource, A::Error> {
        Form::deserialize(MapAccessDeserializer::new(map))?.into_source().map_err(de::Error::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<KeySource, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Err(de::Error::custom(format!("a list is no key: {FORMS}")))
    }

    refuse_silently!(
        format!("a bare value is no key, for it would stand in the open: {FORMS}");
        visit_str: &str, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_bool: bool
    );
}

impl<'de> Deserialize<'de> for KeySource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SourceVisitor)
    }
}

impl Serialize for KeySource {
    /// As a map writes it; a key itself is replaced.
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
        }
        map.end()
    }
}

impl JsonSchema for KeySource {
    fn schema_name() -> Cow<'static, str> {
        "KeySource".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "where the key comes from",
            "oneOf": [
                {
                    "type": "object",
                    "properties": {
                        "file": { "type": "string", "pattern": "^/", "description": "a file that holds the key, all of it and nothing else, and that only its owner can read" },
                        "encoding": { "enum": ["raw", "hex"], "default": "raw", "description": "whether the file holds the bytes themselves, or hex digits" }
                    },
                    "required": ["file"],
                    "additionalProperties": false
                },
                {
                    "type": "object",
                    "properties": {
                        "keyring": { "type": "string", "pattern": "^(logon|user|encrypted|trusted):[^\\s\\\\]+$", "description": "type and description of a key in a keyring of the kernel" },
                        "bytes": { "type": "integer", "minimum": 1, "maximum": MAX_KEY, "description": "how long the key is" }
                    },
                    "required": ["keyring", "bytes"],
                    "additionalProperties": false
                },
                {
                    "type": "object",
                    "properties": {
                        "credential": { "type": "string", "pattern": "^[^/]+$", "description": "the name of a credential that systemd hands to the service" }
                    },
                    "required": ["credential"],
                    "additionalProperties": false
                },
                {
                    "type": "object",
                    "properties": {
                        "hex": { "type": "string", "pattern": "^([0-9A-Fa-f]{2})+$", "description": "the key itself; only in a file that nobody but its owner can read" }
                    },
                    "required": ["hex"],
                    "additionalProperties": false
                }
            ]
        })
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
    fn the_four_forms() {
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
        for text in
            ["key = { file = \"/k\", encoding = \"hex\" }", "key = { keyring = \"user:d\", bytes = 32 }"]
        {
            let source = read(text).unwrap();
            assert_eq!(read(&toml::to_string(&Row { key: source.clone() }).unwrap()).unwrap(), source);
        }
    }
}
