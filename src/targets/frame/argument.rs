//! A word whose meaning belongs to a part of the kernel behind the target: the argument of a path
//! selector, of a hardware handler, of a thread setting.
//!
//! A map may write it as an integer or as text. Two numbers are equal whatever zeros lead them, because
//! the kernel prints them without.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use thiserror::Error;

use super::FieldValue;
use crate::mistake::{Mistake, to_serde};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Argument(String);

/// Text that can't be one word of a row.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", not_an_argument(.0))]
pub struct ArgumentSyntax(pub String);

fn not_an_argument(text: &str) -> Mistake {
    Mistake::new(format!("`{}` is not an argument", text.escape_debug()))
        .advice("write an integer, or one word without blanks, control characters and backslashes")
}

impl From<ArgumentSyntax> for Mistake {
    fn from(error: ArgumentSyntax) -> Self {
        not_an_argument(&error.0)
    }
}

impl Argument {
    /// Reads a word of a row or the text of a map.
    pub(crate) fn new(text: &str) -> Result<Self, ArgumentSyntax> {
        if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(ArgumentSyntax(text.to_string()));
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            let digits = text.trim_start_matches('0');
            return Ok(Self(if digits.is_empty() { "0" } else { digits }.to_string()));
        }
        Ok(Self(text.to_string()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the value when it is a decimal number.
    pub(crate) fn number(&self) -> Option<u64> {
        self.0.bytes().all(|b| b.is_ascii_digit()).then(|| self.0.parse().ok())?
    }
}

impl From<u32> for Argument {
    fn from(value: u32) -> Self {
        Self(value.to_string())
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FieldValue for Argument {}

/// Takes an integer or text.
struct ArgumentVisitor;

impl Visitor<'_> for ArgumentVisitor {
    type Value = Argument;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer or one word of text")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Argument, E> {
        Argument::new(&value.to_string()).map_err(to_serde)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Argument, E> {
        Argument::new(&value.to_string()).map_err(to_serde)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Argument, E> {
        Argument::new(value).map_err(to_serde)
    }
}

impl<'de> Deserialize<'de> for Argument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ArgumentVisitor)
    }
}

impl Serialize for Argument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.number().and_then(|number| i64::try_from(number).ok()) {
            Some(number) => serializer.serialize_i64(number),
            None => serializer.serialize_str(&self.0),
        }
    }
}

impl JsonSchema for Argument {
    fn schema_name() -> Cow<'static, str> {
        "Argument".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{ "type": "integer" }, { "type": "string", "pattern": "^[^\\s\\\\]+$" }]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_equal_by_value() {
        assert_eq!(Argument::new("007").unwrap(), Argument::from(7));
        assert_eq!(Argument::new("00").unwrap().as_str(), "0");
        assert_ne!(Argument::new("0x7").unwrap(), Argument::from(7));
        assert_eq!(Argument::new("on").unwrap().number(), None);
        for bad in ["", "a b", "a\\b", "a\nb"] {
            assert!(Argument::new(bad).is_err(), "{bad:?}");
        }
    }
}
