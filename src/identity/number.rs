//! The number of a block device.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The count of minor numbers of a major number (`MINORBITS` in `include/linux/kdev_t.h`).
pub const MINORS: u32 = 1 << 20;

/// The number of a block device, `major:minor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DevNum {
    /// The number of the driver, 12 bits.
    pub major: u32,
    /// The number of the device of that driver, 20 bits.
    pub minor: u32,
}

impl DevNum {
    /// Makes a number of its two parts.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// Reads `major:minor`, decimal digits only. `None` for any other text, and for a number of more than 12 bits of
    /// major or 20 of minor (`include/linux/kdev_t.h`).
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |s: &str| !s.is_empty() && s.len() <= 10 && s.bytes().all(|b| b.is_ascii_digit());
        let (major, minor) = text.split_once(':')?;
        if !digits(major) || !digits(minor) {
            return None;
        }
        let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
        (major < 1 << 12 && minor < MINORS).then_some(Self { major, minor })
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
            serde::de::Error::custom(format!("`{text}` is not a device number: write `major:minor`"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers() {
        assert_eq!(DevNum::parse("253:1"), Some(DevNum::new(253, 1)));
        for bad in ["", ":", "1", "1:", ":1", "1:2:3", "+1:2", "4096:0", "1:1048576", "0x1:2"] {
            assert_eq!(DevNum::parse(bad), None, "{bad}");
        }
    }
}
