//! A hash or a cipher of the kernel's crypto API, and the key that goes with it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::super::{FieldValue, Given, Operand, ParamsError, Printer, Problems, Syntax, keyed};
use crate::keys::{Key, KeySizes, KeySlot, KeySource, KeySyntax, SlotForm, digest_size};
use crate::mistake::{Mistake, to_serde};

/// A hash or a cipher of the kernel's crypto API, and the key that goes with it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Algorithm {
    /// Its name, such as `crc32c` or `hmac(sha256)`. Case matters.
    pub algorithm: String,
    /// The key, or where it comes from; some have none.
    pub key: Key,
}

/// What a map writes when there is more to say than a name.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Form {
    algorithm: String,
    #[serde(default, skip_serializing_if = "Key::is_none")]
    key: Key,
}

impl Algorithm {
    /// Reads the value of an option: a name, and maybe a colon and the key as hex, which keeps its case.
    pub(super) fn parse(value: &str) -> Result<Self, KeySyntax> {
        let (algorithm, key) = match value.split_once(':') {
            None => (value, Key::default()),
            // The kernel knows no other forms here, so a word of such a form is not a key.
            Some((_, key)) if key.starts_with([':', '-']) => return Err(KeySyntax::Digit(1)),
            Some((name, key)) => (name, Key::parse(key)?),
        };
        Ok(Self { algorithm: algorithm.to_string(), key })
    }

    /// The key, to be read.
    pub(super) fn slot(&mut self, field: &'static str, cipher: bool) -> KeySlot<'_> {
        let sizes = self.sizes(cipher);
        KeySlot { field, key: &mut self.key, sizes, form: SlotForm::Source }
    }

    fn sizes(&self, cipher: bool) -> KeySizes {
        if cipher {
            KeySizes::of_api(&self.algorithm, None)
        } else if digest_size(&self.algorithm).is_some()
            && !matches!(&*self.algorithm, "crc32" | "crc32c" | "xxhash64")
        {
            KeySizes::OneOf(vec![0])
        } else {
            // A checksum may be seeded, an HMAC takes any key.
            KeySizes::Any
        }
    }

    /// How long what it makes is, in bytes, where that is known.
    pub(super) fn digest(&self) -> Option<usize> {
        let name = &*self.algorithm;
        digest_size(name.strip_prefix("hmac(").and_then(|name| name.strip_suffix(')')).unwrap_or(name))
    }

    pub(super) fn check(&self, field: &str, cipher: bool, problems: &mut Problems) {
        problems.word(&format!("{field}.algorithm"), &self.algorithm);
        let key = format!("{field}.key");
        keyed::refuse_random(&self.key, &key, problems);
        match &self.key.source {
            KeySource::None if self.algorithm.starts_with("hmac(") => {
                problems.at(key, format!("{} needs a key", self.algorithm));
            }
            KeySource::Keyring(_) => {
                problems.at(key, "integrity takes no key from a keyring: name a file or a credential");
            }
            _ => keyed::check(&self.key, &self.sizes(cipher), &key, &self.algorithm, problems),
        }
    }
}

/// Shows the name alone, never the key.
impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.algorithm)
    }
}

impl FieldValue for Algorithm {}

impl Operand for Algorithm {
    fn read(given: &mut Given<'_, '_>) -> Result<Self, ParamsError> {
        Self::parse(given.text()?).map_err(|error| given.wrong(format!("{}: {error}", given.name)))
    }

    fn print(&self, word: &str, _: Syntax, out: &mut Printer) {
        let prefix = format!("{word}:{}", self.algorithm);
        match (&self.key.source, self.key.material()) {
            (KeySource::None, _) => out.word(prefix),
            (_, Some(secret)) => out.prefixed_secret(&format!("{prefix}:"), secret),
            (_, None) => out.word(format_args!("{prefix}:{}", crate::secret::REDACTED)),
        };
    }
}

/// Takes a name or a table.
struct AlgorithmVisitor;

impl<'de> Visitor<'de> for AlgorithmVisitor {
    type Value = Algorithm;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the name of an algorithm, or `{ algorithm = \"hmac(sha256)\", key = { file = \"/path\" } }`",
        )
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Algorithm, E> {
        named(name, Key::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Algorithm, A::Error> {
        let form = Form::deserialize(MapAccessDeserializer::new(map))?;
        named(&form.algorithm, form.key)
    }
}

/// A name must not bring its key along, as in a table: it would stand in the open.
fn named<E: de::Error>(name: &str, key: Key) -> Result<Algorithm, E> {
    if name.contains(':') {
        let advice = "write `{ algorithm = \"...\", key = { file = \"/path\" } }`, or `{ credential = \"name\" }` or \
                      `{ hex = \"...\" }` as the key";
        let mistake = Mistake::new("a key can't stand behind the name of its algorithm");
        return Err(to_serde(mistake.advice(advice)));
    }
    Ok(Algorithm { algorithm: name.to_string(), key })
}

impl<'de> Deserialize<'de> for Algorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AlgorithmVisitor)
    }
}

impl Serialize for Algorithm {
    /// As a map writes it; a key itself is replaced.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.key.is_none() {
            return serializer.serialize_str(&self.algorithm);
        }
        Form { algorithm: self.algorithm.clone(), key: self.key.clone() }.serialize(serializer)
    }
}

impl JsonSchema for Algorithm {
    fn schema_name() -> Cow<'static, str> {
        "Algorithm".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let key = generator.subschema_for::<Key>();
        json_schema!({
            "description": "an algorithm of the kernel's crypto API, and its key where it has one",
            "anyOf": [
                { "type": "string", "pattern": "^[^\\s:\\\\]+$" },
                {
                    "type": "object",
                    "properties": {
                        "algorithm": { "type": "string", "pattern": "^[^\\s:\\\\]+$", "description": "its name, such as `hmac(sha256)`" },
                        "key": key
                    },
                    "required": ["algorithm"],
                    "additionalProperties": false
                }
            ]
        })
    }
}
