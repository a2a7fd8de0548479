//! A lower device as a map writes it, and as the kernel knows it.
//!
//! Text names a device in many ways; the kernel names it by its number alone. A [`Device`] keeps the text as
//! written, for people, and the number once it is known, for everything else.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::{SmolStr, ToSmolStr};
use thiserror::Error;

use crate::identity::{DevNum, Key};
use crate::mistake::{Mistake, to_serde};

/// The ways a device can be written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// `253:1`
    Number(DevNum),
    /// `@key`: another mapping of the same map.
    Mapping(Key),
    /// `/dev/disk/by-id/...`: any path of a block device.
    Path(SmolStr),
    /// `UUID=`, `PARTUUID=`, `LABEL=` or `PARTLABEL=`, through the links that udev makes.
    Tag(Tag, SmolStr),
}

/// The kinds of [`Form::Tag`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tag {
    /// The uuid of a file system.
    Uuid,
    /// The uuid of a partition.
    PartUuid,
    /// The label of a file system.
    Label,
    /// The label of a partition.
    PartLabel,
}

impl Tag {
    const ALL: [(Tag, &'static str, &'static str); 4] = [
        (Tag::Uuid, "UUID=", "/dev/disk/by-uuid/"),
        (Tag::PartUuid, "PARTUUID=", "/dev/disk/by-partuuid/"),
        (Tag::Label, "LABEL=", "/dev/disk/by-label/"),
        (Tag::PartLabel, "PARTLABEL=", "/dev/disk/by-partlabel/"),
    ];

    fn row(self) -> &'static (Tag, &'static str, &'static str) {
        Self::ALL.iter().find(|(tag, ..)| *tag == self).unwrap_or(&Self::ALL[0])
    }
}

/// The error for a text that does not name a device.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", names_no_device(.0))]
pub struct DeviceSyntax(pub String);

fn names_no_device(text: &str) -> Mistake {
    const ADVICE: &str = "write a path (`/dev/disk/by-id/...`), `major:minor`, `UUID=` `PARTUUID=` `LABEL=` `PARTLABEL=`, or `@key` for a mapping of this map";
    Mistake::new(format!("`{}` names no device", text.escape_debug())).advice(ADVICE)
}

impl From<DeviceSyntax> for Mistake {
    fn from(error: DeviceSyntax) -> Self {
        names_no_device(&error.0)
    }
}

/// A lower device: how it was written, and its number once it is known.
#[derive(Debug, Clone, Eq)]
pub struct Device {
    /// The device as it was written.
    pub form: Form,
    /// The device number, once resolved. `None` for a mapping that does not exist yet.
    pub number: Option<DevNum>,
}

/// The device 0:0, which is not a block device: a placeholder in fields that are filled in later.
impl Default for Device {
    fn default() -> Self {
        Self::numbered(DevNum::new(0, 0))
    }
}

impl Device {
    /// Reads a device as a map or a table names it.
    pub fn parse(text: &str) -> Result<Self, DeviceSyntax> {
        let syntax = || DeviceSyntax(text.to_string());
        // The grammar of a table splits at blanks and unquotes backslashes, so a device can't be written with
        // them.
        if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(syntax());
        }
        let form = if let Some(key) = text.strip_prefix('@') {
            Form::Mapping(Key::new(key).map_err(|_| syntax())?)
        } else if text.starts_with('/') {
            Form::Path(text.into())
        } else if let Some(number) = DevNum::parse(text) {
            Form::Number(number)
        } else {
            Tag::ALL
                .iter()
                .find_map(|(tag, prefix, _)| text.strip_prefix(prefix).map(|value| (*tag, value)))
                .filter(|(_, value)| !value.is_empty())
                .map(|(tag, value)| Form::Tag(tag, value.trim_matches('"').into()))
                .ok_or_else(syntax)?
        };
        let number = if let Form::Number(number) = form { Some(number) } else { None };
        Ok(Self { form, number })
    }

    /// Makes a device known by its number, as the kernel prints it.
    pub fn numbered(number: DevNum) -> Self {
        Self { form: Form::Number(number), number: Some(number) }
    }

    /// Makes a reference to a mapping of the same map.
    pub fn mapping(key: Key) -> Self {
        Self { form: Form::Mapping(key), number: None }
    }

    /// Returns the key when the device is a mapping of the same map.
    pub fn key(&self) -> Option<&Key> {
        if let Form::Mapping(key) = &self.form { Some(key) } else { None }
    }

    /// Returns the path to look up, for the forms that have one.
    pub fn path(&self) -> Option<Cow<'_, str>> {
        match &self.form {
            Form::Path(path) => Some(Cow::Borrowed(path)),
            Form::Tag(tag, value) => Some(Cow::Owned(format!("{}{}", tag.row().2, encode(value)))),
            Form::Number(_) | Form::Mapping(_) => None,
        }
    }

    /// Returns the device as it was written, to keep.
    pub fn text(&self) -> SmolStr {
        match &self.form {
            Form::Path(path) => path.clone(),
            _ => self.to_smolstr(),
        }
    }

    /// Describes the device for a person: as written, with the number behind it where that tells more.
    pub fn described(&self) -> String {
        match (&self.form, self.number) {
            (Form::Number(_), _) | (_, None) => self.to_string(),
            (_, Some(number)) => format!("{self} ({number})"),
        }
    }
}

/// Escapes a label as udev does in the name of a link.
fn encode(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "#+-.:=@_".contains(c) || !c.is_ascii();
    value.chars().map(|c| if plain(c) { c.to_string() } else { format!("\\x{:02x}", u32::from(c)) }).collect()
}

impl PartialEq for Device {
    /// Compares by number, never by spelling; two devices without numbers by their text.
    fn eq(&self, other: &Self) -> bool {
        match (self.number, other.number) {
            (Some(one), Some(two)) => one == two,
            (None, None) => self.form == other.form,
            _ => false,
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.form {
            Form::Number(number) => number.fmt(f),
            Form::Mapping(key) => write!(f, "@{key}"),
            Form::Path(path) => f.write_str(path),
            Form::Tag(tag, value) => write!(f, "{}{value}", tag.row().1),
        }
    }
}

impl<'de> Deserialize<'de> for Device {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(to_serde)
    }
}

impl Serialize for Device {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Device {
    fn schema_name() -> Cow<'static, str> {
        "Device".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "a path, `major:minor`, `UUID=` `PARTUUID=` `LABEL=` `PARTLABEL=`, or `@key`: another mapping of this map",
            "pattern": "^(/[^\\s\\\\]+|[0-9]+:[0-9]+|(PART)?(UUID|LABEL)=.+|@[A-Za-z0-9_.-]{1,64})$"
        })
    }
}

/// A device as it is written: equal to another only when both read the same.
#[derive(Debug, Clone)]
pub struct Written(Device);

impl From<&Device> for Written {
    fn from(device: &Device) -> Self {
        Self(device.clone())
    }
}

impl Deref for Written {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.0
    }
}

impl PartialEq for Written {
    fn eq(&self, other: &Self) -> bool {
        self.form == other.form && self.number == other.number
    }
}

impl Eq for Written {}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_and_prints() {
        for text in ["253:1", "@root", "/dev/disk/by-id/x#1", "UUID=12-34", "PARTLABEL=root"] {
            assert_eq!(Device::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "sda", "@", "@a/b", "/dev/a b", "/dev/a\\b", "253", "LABEL=", "253:1:2"] {
            assert!(Device::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn labels_go_through_the_links_of_udev() {
        let device = Device::parse("PARTLABEL=a/b").unwrap();
        assert_eq!(device.path().unwrap(), "/dev/disk/by-partlabel/a\\x2fb");
    }

    #[test]
    fn equal_is_the_number() {
        let mut path = Device::parse("/dev/sda").unwrap();
        let number = Device::parse("8:0").unwrap();
        assert_ne!(path, number);
        path.number = Some(DevNum::new(8, 0));
        assert_eq!(path, number);
        assert_eq!(path.described(), "/dev/sda (8:0)");
    }
}
