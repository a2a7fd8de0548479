//! The notation of bytes, versions and parameters in the file of a simulated kernel.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::kernel::Version;
use crate::secret::Secret;
use crate::text::push;

/// Bytes, written as hexadecimal digits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hex(pub Vec<u8>);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut digits = String::with_capacity(self.0.len() * 2);
        for byte in &self.0 {
            push!(digits, "{byte:02x}");
        }
        serializer.serialize_str(&digits)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let digits = text.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            let whole = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
            whole.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
        });
        let bytes: Option<Vec<u8>> = digits.collect();
        bytes.map(Self).ok_or_else(|| de::Error::custom("bytes are written as pairs of hexadecimal digits"))
    }
}

impl JsonSchema for Hex {
    fn schema_name() -> Cow<'static, str> {
        "Hex".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^([0-9A-Fa-f]{2})*$" })
    }
}

/// Parameters, in the clear.
pub(super) mod clear {
    use super::{Deserialize, Deserializer, Secret, Serializer};

    pub(crate) fn serialize<S: Serializer>(params: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(params.reveal())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

/// Reads `4.47.0`.
fn parse_version(text: &str) -> Option<Version> {
    let mut numbers = text.split('.').map(|number| number.parse::<u32>().ok());
    let version = Version(numbers.next()??, numbers.next()??, numbers.next()??);
    numbers.next().is_none().then_some(version)
}

fn version<E: de::Error>(text: &str) -> Result<Version, E> {
    parse_version(text).ok_or_else(|| E::custom("a version is written as `4.47.0`"))
}

/// A version in the schema.
pub(super) struct Dotted;

impl JsonSchema for Dotted {
    fn schema_name() -> Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^[0-9]+\.[0-9]+\.[0-9]+$" })
    }
}

/// A version, as `4.47.0`.
pub(super) mod dotted {
    use super::{Cow, Deserialize, Deserializer, Serializer, Version};

    pub(crate) fn serialize<S: Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(version)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
        super::version(&Cow::<str>::deserialize(deserializer)?)
    }
}

/// Versions by name.
pub(super) mod dotted_map {
    use super::{BTreeMap, Deserialize, Deserializer, Serializer, Version};

    pub(crate) fn serialize<S: Serializer>(
        versions: &BTreeMap<String, Version>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(versions.iter().map(|(name, version)| (name, version.to_string())))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, Version>, D::Error> {
        let texts = BTreeMap::<String, String>::deserialize(deserializer)?;
        texts.into_iter().map(|(name, text)| Ok((name, super::version(&text)?))).collect()
    }
}
