//! Sizes in documents: an integer or a text, read and written by serde, and their schemas.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use super::{Bytes, Sectors, SizeError};
use crate::mistake::to_serde;

/// Reads an integer or a text with a unit, for both kinds of count.
struct SizeVisitor<T> {
    expects: &'static str,
    integer: fn(i64) -> Result<T, SizeError>,
    text: fn(&str) -> Result<T, SizeError>,
}

impl<T> Visitor<'_> for SizeVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expects)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<T, E> {
        (self.integer)(value).map_err(to_serde)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<T, E> {
        let value = i64::try_from(value).map_err(|_| to_serde(SizeError::TooLarge(value.to_string())))?;
        self.visit_i64(value)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<T, E> {
        (self.text)(value).map_err(to_serde)
    }
}

impl<'de> Deserialize<'de> for Sectors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor {
            expects: "a count of sectors, or a size with a unit such as \"10GiB\"",
            integer: Sectors::from_integer,
            text: Sectors::parse,
        })
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor {
            expects: "a count of bytes, or a size with a unit such as \"4KiB\"",
            integer: |value| u64::try_from(value).map(Bytes).map_err(|_| SizeError::Negative(value)),
            text: Bytes::parse,
        })
    }
}

impl Serialize for Sectors {
    /// Writes the size as [`exact`](Sectors::exact) text where it is whole KiB, else as an integer of sectors.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 > 0 && self.bytes().is_multiple_of(1 << 10) {
            serializer.serialize_str(&self.exact())
        } else {
            serializer.serialize_u64(self.0)
        }
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

/// Makes the schema of either count: an integer of the unit that is described, or text.
fn size_schema(integer: &str) -> Schema {
    json_schema!({
        "anyOf": [
            { "type": "integer", "minimum": 0, "description": integer },
            { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? ?(s|B|KiB|MiB|GiB|TiB|PiB|EiB|kB|MB|GB|TB|PB|EB)$" }
        ]
    })
}

impl JsonSchema for Sectors {
    fn schema_name() -> Cow<'static, str> {
        "Sectors".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        size_schema("512-byte sectors")
    }
}

impl JsonSchema for Bytes {
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        size_schema("bytes")
    }
}
