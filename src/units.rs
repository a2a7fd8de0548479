//! Sectors, bytes and how a person writes them.
//!
//! Device Mapper counts in sectors of 512 bytes everywhere. A map file may write a size as an integer
//! (sectors) or as text with a unit (`"10GiB"`, `"2048s"`); a few kernel fields count in bytes. All
//! arithmetic is exact: a size that is not a whole number of sectors is an error, never rounded.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use thiserror::Error;

/// Bytes in one sector.
pub const SECTOR: u64 = 512;

/// The largest device the kernel accepts, in bytes: 2^63 - 1.
pub const MAX_BYTES: u64 = i64::MAX as u64;

/// The units a size may carry, with their bytes; the largest binary ones first, for printing.
const UNITS: &[(&str, u64)] = &[
    ("EiB", 1 << 60),
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("s", SECTOR),
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("PB", 1_000_000_000_000_000),
    ("EB", 1_000_000_000_000_000_000),
];

/// Why a size could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SizeError {
    /// Text without a unit, or with one that does not exist.
    #[error(
        "`{0}` is not a size: write an integer of sectors, or text with a unit (s B KiB MiB GiB TiB PiB EiB kB MB GB TB PB EB){hint}",
        hint = .1.as_deref().map(|h| format!("; did you mean `{h}`?")).unwrap_or_default()
    )]
    Syntax(String, Option<String>),
    /// More bytes than a device can have.
    #[error("`{0}` is more than 2^63-1 bytes, the largest device the kernel accepts")]
    TooLarge(String),
    /// Not a whole number of sectors.
    #[error("`{0}` is not a whole number of 512-byte sectors")]
    NotSectors(String),
    /// Not a whole number of bytes.
    #[error("`{0}` is not a whole number of bytes")]
    NotBytes(String),
    /// Below zero.
    #[error("`{0}` is negative: a size or position counts from 0")]
    Negative(i64),
}

/// A count of 512-byte sectors: a position or a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sectors(pub u64);

/// A count of bytes, for the few kernel fields that take bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub u64);

impl Sectors {
    /// Reads text with a unit.
    ///
    /// ```
    /// use dmctl::units::Sectors;
    /// assert_eq!(Sectors::parse("1.5MiB").unwrap(), Sectors(3072));
    /// assert_eq!(Sectors::parse("2048s").unwrap(), Sectors(2048));
    /// assert!(Sectors::parse("1000B").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, SizeError> {
        let bytes = parse_bytes(text)?.ok_or_else(|| SizeError::NotSectors(text.to_string()))?;
        if bytes % SECTOR == 0 {
            Ok(Self(bytes / SECTOR))
        } else {
            Err(SizeError::NotSectors(text.to_string()))
        }
    }

    /// From an integer as a map file writes it: sectors.
    pub fn from_integer(value: i64) -> Result<Self, SizeError> {
        let sectors = u64::try_from(value).map_err(|_| SizeError::Negative(value))?;
        if sectors > MAX_BYTES / SECTOR {
            return Err(SizeError::TooLarge(value.to_string()));
        }
        Ok(Self(sectors))
    }

    /// The same length in bytes; saturates where no device can reach.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0.saturating_mul(SECTOR)
    }

    /// For a person: one decimal and the unit that fits (`10.0 GiB`).
    #[must_use]
    pub fn human(self) -> String {
        let bytes = self.bytes();
        match UNITS[..6].iter().find(|(_, unit)| bytes >= *unit) {
            None => format!("{bytes} B"),
            Some((name, unit)) => {
                let tenths = (u128::from(bytes) * 10 + u128::from(*unit) / 2) / u128::from(*unit);
                format!("{}.{} {name}", tenths / 10, tenths % 10)
            }
        }
    }

    /// Exactly, in the largest binary unit that divides it (`"10GiB"`), as an export writes it.
    #[must_use]
    pub fn exact(self) -> String {
        let bytes = self.bytes();
        match UNITS[..6].iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit)) {
            Some((name, unit)) => format!("{}{name}", bytes / unit),
            None => format!("{}s", self.0),
        }
    }
}

impl Bytes {
    /// Reads text with a unit.
    pub fn parse(text: &str) -> Result<Self, SizeError> {
        parse_bytes(text)?.map(Self).ok_or_else(|| SizeError::NotBytes(text.to_string()))
    }
}

impl fmt::Display for Sectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The bytes that `text` names, or none when they are not whole.
fn parse_bytes(text: &str) -> Result<Option<u64>, SizeError> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(digits_end);
    let unit = rest.strip_prefix(' ').unwrap_or(rest);
    let syntax = || SizeError::Syntax(text.to_string(), suggestion(number, unit));
    let (_, unit_bytes) = *UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(syntax)?;
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err(syntax()),
        None => (number, ""),
    };
    if whole.is_empty() || fraction.contains('.') {
        return Err(syntax());
    }
    // Zeros at the end say nothing.
    let fraction = fraction.trim_end_matches('0');
    let too_large = || SizeError::TooLarge(text.to_string());
    // More digits than any size needs: refuse rather than overflow. No unit divides by so fine a fraction.
    if whole.trim_start_matches('0').len() > 20 {
        return Err(too_large());
    }
    if fraction.len() > 18 {
        return Ok(None);
    }
    let scale = 10u128.pow(u32::try_from(fraction.len()).map_err(|_| too_large())?);
    let whole: u128 = whole.parse().map_err(|_| syntax())?;
    let fraction: u128 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| syntax())? };
    let scaled = (whole * scale + fraction).checked_mul(u128::from(unit_bytes)).ok_or_else(too_large)?;
    if scaled / scale > u128::from(MAX_BYTES) {
        return Err(too_large());
    }
    if scaled % scale != 0 {
        return Ok(None);
    }
    Ok(u64::try_from(scaled / scale).ok())
}

/// What the writer of a wrong unit most likely meant.
fn suggestion(number: &str, unit: &str) -> Option<String> {
    if number.is_empty() || number.starts_with('.') {
        return None;
    }
    let meant = match unit.trim().to_ascii_lowercase().as_str() {
        "k" | "kib" => "KiB",
        "m" | "mib" => "MiB",
        "g" | "gib" => "GiB",
        "t" | "tib" => "TiB",
        "p" | "pib" => "PiB",
        "e" | "eib" => "EiB",
        "kb" => "kB",
        "mb" => "MB",
        "gb" => "GB",
        "tb" => "TB",
        "pb" => "PB",
        "eb" => "EB",
        "b" | "byte" | "bytes" => "B",
        "" | "s" | "sector" | "sectors" => "s",
        _ => return None,
    };
    Some(format!("{number}{meant}"))
}

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
        (self.integer)(value).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<T, E> {
        let value = i64::try_from(value).map_err(|_| E::custom(SizeError::TooLarge(value.to_string())))?;
        self.visit_i64(value)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<T, E> {
        (self.text)(value).map_err(E::custom)
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
    /// As a person would: in the largest unit that divides it, where there is one.
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

/// The form both counts share in a schema.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_exact() {
        for (text, sectors) in [
            ("0s", 0),
            ("512B", 1),
            ("4096B", 8),
            ("512KiB", 1024),
            ("1 MiB", 2048),
            ("1.5KiB", 3),
            ("128kB", 250),
            ("0.5KiB", 1),
            ("10GiB", 20_971_520),
            ("7EiB", 7 << 51),
        ] {
            assert_eq!(Sectors::parse(text).unwrap(), Sectors(sectors), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "", " ", "10", "KiB", "1  MiB", "1mib", "1.MiB", ".5MiB", "1.2.3MiB", "-1s", "+1s", "1e3s",
            "0x10s",
        ] {
            assert!(matches!(Sectors::parse(text), Err(SizeError::Syntax(..))), "{text}");
        }
        assert!(matches!(Sectors::parse("1B"), Err(SizeError::NotSectors(_))));
        assert!(matches!(Sectors::parse("0.3KiB"), Err(SizeError::NotSectors(_))));
        assert_eq!(Sectors::parse(&format!("1.5{}MiB", "0".repeat(40))).unwrap(), Sectors(3072));
        let fine = format!("0.{}1KiB", "0".repeat(40));
        assert!(matches!(Sectors::parse(&fine), Err(SizeError::NotSectors(_))));
        for text in ["8EiB", "16EiB", "99999999999999999999999s", "9223372036854775808B"] {
            assert!(matches!(Sectors::parse(text), Err(SizeError::TooLarge(_))), "{text}");
        }
        assert!(Sectors::from_integer(-1).is_err());
        assert!(Sectors::from_integer(1 << 54).is_err());
        assert!(Sectors::from_integer((1 << 54) - 1).is_ok());
    }

    #[test]
    fn a_wrong_unit_is_guessed() {
        let message = Sectors::parse("10g").unwrap_err().to_string();
        assert!(message.contains("did you mean `10GiB`?"), "{message}");
    }

    #[test]
    fn printing_for_people_and_for_files() {
        assert_eq!(Sectors(20_971_520).human(), "10.0 GiB");
        assert_eq!(Sectors(1).human(), "512 B");
        assert_eq!(Sectors(3).human(), "1.5 KiB");
        assert_eq!(Sectors(3).exact(), "3s");
        assert_eq!(Sectors(0).exact(), "0s");
        assert_eq!(Sectors(20_971_520).exact(), "10GiB");
    }
}
