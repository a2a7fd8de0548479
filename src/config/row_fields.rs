//! The fields of every target of a map, whatever its type, as serde reads them: start, length, messages, and
//! the parameters where they are written as the kernel takes them.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::model;
use crate::device::{Device, Form};
use crate::mistake::{Mistake, to_serde};
use crate::secret::Secret;
use crate::units::{Sectors, SizeError};

/// What every target has, whatever its type.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RowFields {
    /// The type of the target.
    #[serde(rename = "type")]
    pub kind: String,
    /// The first sector it serves. Left out, it follows the target before it.
    #[serde(default)]
    pub start: Option<Sectors>,
    /// How much it serves. Left out, or "rest": up to the end of its one lower device.
    #[serde(default)]
    pub length: Option<LengthField>,
    /// Messages sent to it after each load of its table.
    #[serde(default)]
    #[schemars(with = "Vec<String>", extend("default" = []))]
    pub messages: Vec<SecretText>,
    /// Its parameters as the kernel takes them, in place of fields.
    #[serde(default)]
    pub params: Option<Params>,
}

impl RowFields {
    /// The fields that are taken out of a target before those of its type are read.
    pub(crate) const NAMES: [&'static str; 5] = ["type", "start", "length", "messages", "params"];
}

/// The length of a row as it is written.
#[derive(Clone, Copy)]
pub(super) struct LengthField(pub model::Length);

impl<'de> Deserialize<'de> for LengthField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LengthVisitor;

        impl Visitor<'_> for LengthVisitor {
            type Value = LengthField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a count of sectors, a size with a unit such as \"10GiB\", or \"rest\"")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<LengthField, E> {
                let sectors = Sectors::from_integer(value).map_err(to_serde)?;
                Ok(LengthField(model::Length::Sectors(sectors.0)))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<LengthField, E> {
                let value =
                    i64::try_from(value).map_err(|_| to_serde(SizeError::TooLarge(value.to_string())))?;
                self.visit_i64(value)
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<LengthField, E> {
                if value == "rest" {
                    return Ok(LengthField(model::Length::Rest));
                }
                let sectors = Sectors::parse(value).map_err(to_serde)?;
                Ok(LengthField(model::Length::Sectors(sectors.0)))
            }
        }

        deserializer.deserialize_any(LengthVisitor)
    }
}

impl JsonSchema for LengthField {
    fn schema_name() -> Cow<'static, str> {
        "Length".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let size = generator.subschema_for::<Sectors>();
        json_schema!({ "anyOf": [size, { "const": "rest" }] })
    }
}

/// A text of the map that may hold a key: it is wiped when it is dropped.
pub(super) struct SecretText(pub Secret);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A text without escapes is borrowed; another one is given away, and not copied.
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

/// The parameters of a row, which may hold a key.
pub(super) struct Params {
    /// The words, with one blank between them.
    pub text: Zeroizing<String>,
}

impl<'de> Deserialize<'de> for Params {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ParamsVisitor;

        impl<'de> Visitor<'de> for ParamsVisitor {
            type Value = Params;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of words (text or integers), or the whole row as one text")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Params, E> {
                Ok(Params { text: value.to_string().into() })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut words: A) -> Result<Params, A::Error> {
                let mut all = Vec::new();
                while let Some(Word(word)) = words.next_element()? {
                    all.push(word);
                }
                // The full capacity at once: a text that grows leaves copies of itself behind.
                let size = all.iter().map(|word| word.len() + 1).sum();
                let mut text = Zeroizing::new(String::with_capacity(size));
                for (index, word) in all.iter().enumerate() {
                    if index > 0 {
                        text.push(' ');
                    }
                    text.push_str(word);
                }
                Ok(Params { text })
            }
        }

        deserializer.deserialize_any(ParamsVisitor)
    }
}

impl JsonSchema for Params {
    fn schema_name() -> Cow<'static, str> {
        "Params".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": ["string", "integer"] } }
            ]
        })
    }
}

/// One word of the parameters.
struct Word(Zeroizing<String>);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordVisitor;

        impl Visitor<'_> for WordVisitor {
            type Value = Word;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word: text or an integer")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Word, E> {
                Ok(Word(value.to_string().into()))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Word, E> {
                Ok(Word(value.to_string().into()))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Word, E> {
                // The word itself is not repeated: it may be a key.
                if value.is_empty() {
                    return Err(E::custom(
                        "a word of a row can't be empty: nothing would stand in its place",
                    ));
                }
                // A label is one word, as a table has it.
                let tag = Device::parse(value).ok().filter(|device| matches!(device.form, Form::Tag(..)));
                if let Some(device) = tag.filter(|_| value.contains(char::is_whitespace)) {
                    return Ok(Word(device.to_string().into()));
                }
                if value.contains(char::is_whitespace) {
                    let mistake = Mistake::new("a word of a row can't hold a blank");
                    return Err(to_serde(mistake.advice("write its parts one by one")));
                }
                Ok(Word(value.to_string().into()))
            }
        }

        deserializer.deserialize_any(WordVisitor)
    }
}
