//! A lower device as a map writes it, and as the kernel knows it.
//!
//! Text names a device in many ways; the kernel names it by its number alone. A [`Device`] keeps the text as
//! written, for people, and the number once it is known, for everything else.

mod tag;

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::{SmolStr, ToSmolStr};
use thiserror::Error;

use crate::identity::{DevNum, Key};
use crate::mistake::{Mistake, to_serde};

pub use tag::Tag;

/// The ways a device can be written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// `253:1`
    Number(DevNum),
    /// `@key`: another mapping of the same map.
    Mapping(Key),
    /// `/dev/disk/by-id/...`: any path of a block device.
    Path(SmolStr),
    /// `UUID=`, `PARTUUID=`, `LABEL=` or `PARTLABEL=`, through the links that udev makes. The value is as written, without
    /// quotes around it.
    Tag(Tag, SmolStr),
}

/// The error for a text that does not name a device.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", names_no_device(.0))]
pub struct DeviceSyntax(pub String);

/// How the kernel's own form goes on behind `PARTUUID=` (`devt_from_partuuid` in `block/early-lookup.c`): the count of
/// partitions from the one with the uuid on.
const PARTITION_OFFSET: &str = "/PARTNROFF=";

fn names_no_device(text: &str) -> Mistake {
    const OWN_UUID: &str =
        "write `PARTUUID=` with the uuid of the partition that is meant: `lsblk -o NAME,PARTUUID` lists them";
    const ADVICE: &str = "write a path (`/dev/disk/by-id/...`), `major:minor`, `UUID=` `PARTUUID=` `LABEL=` `PARTLABEL=`, or `@key` for a mapping of this map";
    const IN_A_PATH: &str = "write a blank in a path as udev does, `\\x20`, and a backslash as `\\x5c`";
    const QUOTES: &str =
        "close the quotes: `LABEL=\"my data\"`; a label that begins with a quote is written with `\\x22`";
    if text.contains(PARTITION_OFFSET) {
        let message = format!("`{}` is a form that only the kernel's command line has", text.escape_debug());
        return Mistake::new(message).advice(OWN_UUID);
    }
    let advice = match text.chars().next() {
        Some('/') => IN_A_PATH,
        _ if Tag::split(text).is_some_and(|(_, value)| value.starts_with(['"', '\''])) => QUOTES,
        _ => ADVICE,
    };
    Mistake::new(format!("`{}` names no device", text.escape_debug())).advice(advice)
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
    /// Reads a device as a map or a table names it. Quotes around the whole, or around the value of a tag, are taken off.
    pub fn parse(text: &str) -> Result<Self, DeviceSyntax> {
        let syntax = || DeviceSyntax(text.to_string());
        let written = unquote(text).ok_or_else(syntax)?;
        let form = if let Some((tag, value)) = Tag::split(written) {
            let value = unquote(value).filter(|value| !value.is_empty()).ok_or_else(syntax)?;
            if value.contains(char::is_control) || tag == Tag::PartUuid && value.contains(PARTITION_OFFSET) {
                return Err(syntax());
            }
            Form::Tag(tag, value.into())
        } else if written.contains(|c: char| c.is_whitespace() || c.is_control()) || !tag::is_escaped(written)
        {
            // A table is split at blanks, and a backslash alone is a quote there.
            return Err(syntax());
        } else if let Some(key) = written.strip_prefix('@') {
            Form::Mapping(Key::new(key).map_err(|_| syntax())?)
        } else if written.starts_with('/') {
            Form::Path(written.into())
        } else {
            Form::Number(DevNum::parse(written).ok_or_else(syntax)?)
        };
        let number = if let Form::Number(number) = form { Some(number) } else { None };
        Ok(Self { form, number })
    }

    /// Whether a word of a table with a backslash in it can be a device: each is one of `\xNN`, in a path or in the
    /// value of a tag.
    pub(crate) fn is_escaped_word(word: &str) -> bool {
        Self::parse(word).is_ok_and(|device| match &device.form {
            Form::Path(_) => true,
            Form::Tag(_, value) => tag::is_escaped(value),
            Form::Number(_) | Form::Mapping(_) => false,
        })
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

    /// Returns the path to look up, for the forms that have one: the first of [`paths`](Self::paths).
    pub fn path(&self) -> Option<Cow<'_, str>> {
        match &self.form {
            Form::Path(path) => Some(Cow::Borrowed(path)),
            Form::Tag(tag, value) => tag.links(value).next().map(Cow::Owned),
            Form::Number(_) | Form::Mapping(_) => None,
        }
    }

    /// Returns the paths that the device may have, the likelier one first. A value with `\xNN` has two readings: as
    /// udev encodes it, and as it stands.
    pub fn paths(&self) -> Vec<Cow<'_, str>> {
        match &self.form {
            Form::Tag(tag, value) => tag.links(value).map(Cow::Owned).collect(),
            _ => self.path().into_iter().collect(),
        }
    }

    /// Returns the path that is the device for sure where there is one, whatever is at the others of [`paths`](Self::paths):
    /// the link of a tag's value as it is written. `None` for a value that has two readings.
    pub(crate) fn exact_path(&self) -> Option<Cow<'_, str>> {
        match &self.form {
            Form::Tag(tag, value) => tag.exact_link(value).map(Cow::Owned),
            _ => self.path(),
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

/// Takes off quotes around a text. `None` where only one end has a quote.
fn unquote(text: &str) -> Option<&str> {
    for quote in ['"', '\''] {
        if let Some(rest) = text.strip_prefix(quote) {
            return rest.strip_suffix(quote);
        }
    }
    Some(text)
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
            // One word, so that it can stand in a table.
            Form::Tag(tag, value) if must_be_one_word(value) => {
                write!(f, "{}{}", tag.prefix(), tag::encode(value.as_bytes()))
            }
            Form::Tag(tag, value) => write!(f, "{}{value}", tag.prefix()),
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
    /// Writes the device so that it reads back as it is. In a map a value may be quoted; encoded as for a table it would
    /// have a second reading ([`paths`](Device::paths)).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.form {
            Form::Tag(tag, value) if must_be_one_word(value) => {
                serializer.collect_str(&format_args!("{}\"{value}\"", tag.prefix()))
            }
            _ => serializer.collect_str(self),
        }
    }
}

/// Whether the value of a tag is encoded where it must be one word.
fn must_be_one_word(value: &str) -> bool {
    value.contains(|c: char| c.is_whitespace() || "\"'".contains(c))
}

impl JsonSchema for Device {
    fn schema_name() -> Cow<'static, str> {
        "Device".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "a path, `major:minor`, `UUID=` `PARTUUID=` `LABEL=` `PARTLABEL=`, or `@key`: another mapping of this map",
            "pattern": "^[\"']?(/([^\\s\\\\]|\\\\x[0-9A-Fa-f]{2})+|[0-9]+:[0-9]+|(PART)?(UUID|LABEL)=.+|@[A-Za-z0-9_.-]{1,64})[\"']?$"
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
        for text in
            ["", "sda", "@", "@a/b", "/dev/a b", "/dev/a\\b", "253", "LABEL=", "253:1:2", "LABEL=\"a", "'"]
        {
            assert!(Device::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn labels_go_through_the_links_of_udev() {
        let device = Device::parse("PARTLABEL=a/b").unwrap();
        assert_eq!(device.path().unwrap(), "/dev/disk/by-partlabel/a\\x2fb");
    }

    #[test]
    fn a_label_is_read_as_it_is_written_and_printed_as_one_word() {
        for text in ["LABEL=my data", "LABEL=\"my data\"", "LABEL='my data'", "\"LABEL=my data\""] {
            let device = Device::parse(text).unwrap();
            assert_eq!(device.paths(), ["/dev/disk/by-label/my\\x20data"], "{text}");
            assert_eq!(device.to_string(), "LABEL=my\\x20data");
            assert_eq!(Device::parse(&device.to_string()).unwrap().path(), device.path());
        }
        let device = Device::parse("LABEL='a \"b' c'").unwrap();
        let written = toml::Value::try_from(&device).unwrap();
        assert_eq!(written.as_str().unwrap(), "LABEL=\"a \"b' c\"");
        assert_eq!(written.try_into::<Device>().unwrap().form, device.form, "a map has one reading of it");
        let path = "/dev/disk/by-partlabel/Linux\\x20filesystem";
        assert_eq!(Device::parse(path).unwrap().path().unwrap(), path);
        assert!(Device::is_escaped_word(path) && !Device::is_escaped_word("a\\x20b"));
        let message = Device::parse("/dev/disk/by-label/my data").unwrap_err().to_string();
        assert!(message.contains("as udev does, `\\x20`"), "{message}");
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
