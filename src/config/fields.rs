//! The tables of a map file as types: what serde reads, and what the JSON schema is made of.
//!
//! `mappings`, `targets` and a target's own fields are taken out before serde sees the table around them, so
//! that every table is read by itself and an error in one leaves the others readable. They are listed here
//! for the schema, and so that an error can name them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::{self, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::boot::BootOption;
use super::duration::parse_duration;
use super::model::{self, State};
use super::target_schema::TargetSchema;
use crate::identity::{Key, Name, Owner, Uuid};
use crate::kernel::Suspend;
use crate::mistake::{Mistake, to_serde};
use crate::policy::Class;

/// The version of the format that this dmctl reads.
pub(super) const FORMAT: i64 = 1;

/// What the Device Mapper devices of a host should be, or a part of it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "dmctl map")]
pub(super) struct MapFields {
    /// The version of this format: 1.
    #[serde(rename = "format", deserialize_with = "format")]
    #[schemars(range(min = 1, max = 1))]
    pub _format: i64,
    /// Whose devices these are: 1 to 32 of a-z 0-9 _. Left out, it is `dmctl`.
    #[serde(default, deserialize_with = "owner")]
    #[schemars(with = "Option<String>", regex(pattern = "^[a-z0-9_]{1,32}$"))]
    pub owner: Option<Owner>,
    /// What the map approves beforehand.
    #[serde(default)]
    pub policy: Option<PolicyFields>,
    /// The mappings, each by its key: 1 to 64 of A-Z a-z 0-9 _ . -
    #[serde(default, rename = "mappings")]
    #[schemars(with = "BTreeMap<String, MappingFields>")]
    pub _mappings: Option<IgnoredAny>,
}

/// What the map approves beforehand.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyFields {
    /// Remove owned devices that no mapping declares. Needs a written owner.
    #[serde(default)]
    pub prune: bool,
    /// Risk classes of steps that need no further word.
    #[serde(default)]
    pub allow: Vec<Class>,
}

impl PolicyFields {
    pub(crate) fn into_policy(self) -> model::Policy {
        model::Policy { prune: self.prune, allow: self.allow.into_iter().collect() }
    }
}

/// One mapping: a device and its table.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MappingFields {
    /// The name of the device, where it is not the key. Another name is a rename.
    #[serde(deserialize_with = "name")]
    #[schemars(with = "Option<String>", length(max = 127), regex(pattern = "^[^/\\u0000-\\u001f\\u007f]+$"))]
    pub name: Option<Name>,
    /// The uuid of a device that another tool made. Left out, it is made of owner and key.
    #[serde(deserialize_with = "uuid")]
    #[schemars(with = "Option<String>", length(min = 1, max = 128))]
    pub uuid: Option<Uuid>,
    /// What should become of it.
    pub state: StateField,
    /// Load the table read-only. A verity target implies it.
    pub readonly: Option<bool>,
    /// Never remove, recreate or remap it, whatever is allowed.
    pub protect: bool,
    /// It may write where another mapping writes, if that one says so too.
    pub shared: bool,
    /// The name of a device without uuid that is this mapping: it is renamed.
    #[serde(deserialize_with = "name")]
    #[schemars(with = "Option<String>", length(max = 127), regex(pattern = "^[^/\\u0000-\\u001f\\u007f]+$"))]
    pub renamed_from: Option<Name>,
    /// Earlier keys of this mapping: a device that has the uuid of one of them is this mapping's, and keeps that uuid.
    #[serde(deserialize_with = "keys")]
    pub formerly: Vec<Key>,
    /// Take over a device of this name that has no uuid.
    pub adopt: bool,
    /// How it is suspended when it must be.
    pub suspend: SuspendFields,
    /// How long apply waits for its lower devices: "30s". Left out, it does not wait.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "Option<String>", regex(pattern = "^[0-9]+ *(ms|s|m|h)$"))]
    pub wait: Duration,
    /// How it comes up at boot, in the words of crypttab: nofail, noauto, _netdev, x-initrd.attach.
    pub boot: Vec<BootOption>,
    /// The rows of its table, in order.
    #[serde(rename = "targets")]
    #[schemars(with = "Vec<TargetSchema>")]
    pub _targets: Option<IgnoredAny>,
}

/// What should become of a mapping.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum StateField {
    /// It exists and serves I/O.
    #[default]
    Active,
    /// It exists and holds I/O back.
    Suspended,
    /// It does not exist.
    Absent,
}

impl From<StateField> for State {
    fn from(state: StateField) -> Self {
        match state {
            StateField::Active => Self::Active,
            StateField::Suspended => Self::Suspended,
            StateField::Absent => Self::Absent,
        }
    }
}

/// How a mapping is suspended when it must be.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SuspendFields {
    /// Wait for all I/O in flight to end.
    pub flush: bool,
    /// Freeze the file system on it.
    pub freeze: bool,
}

impl Default for SuspendFields {
    fn default() -> Self {
        let Suspend { flush, freeze } = Suspend::default();
        Self { flush, freeze }
    }
}

fn format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let format = i64::deserialize(deserializer)?;
    if format == FORMAT {
        return Ok(format);
    }
    Err(de::Error::custom(format_args!(
        "this is format {format}, this version of dmctl reads format {FORMAT}"
    )))
}

/// Reads a field of text with `read`.
fn text<'de, D, T, E>(deserializer: D, read: fn(&str) -> Result<T, E>) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    E: Into<Mistake>,
{
    let text = Cow::<str>::deserialize(deserializer)?;
    read(&text).map_err(to_serde)
}

fn owner<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Owner>, D::Error> {
    text(deserializer, Owner::new).map(Some)
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Name>, D::Error> {
    text(deserializer, Name::new).map(Some)
}

fn uuid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Uuid>, D::Error> {
    text(deserializer, Uuid::new).map(Some)
}

fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Key>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| Key::new(text)).collect::<Result<_, _>>().map_err(to_serde)
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    text(deserializer, parse_duration)
}

impl From<SuspendFields> for Suspend {
    fn from(SuspendFields { flush, freeze }: SuspendFields) -> Self {
        Self { flush, freeze }
    }
}
