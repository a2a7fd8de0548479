//! The file of a simulated kernel: what it holds, and how it is read and printed.
//!
//! The file is JSON, written by `dmctl simulate`, by `dmctl export --format json` on a real host, or by
//! hand. Only `format_version`, the numbers and sizes of block devices, and the names and numbers of
//! mappings have to be there; all else has the value of a device nobody touched yet. Tables stand in the
//! file as the kernel holds them, keys included, because for whoever uses it the file *is* the kernel.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::config::Excerpt;
use crate::identity::DevNum;
use crate::kernel::{Process, Version};
use crate::secret::Secret;
use crate::table::RawRow;
use crate::targets;
use crate::text::push;

/// The only version of the format there is.
pub const FORMAT_VERSION: u32 = 1;

/// A simulated kernel, whole, as its file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The version of this format.
    pub format_version: u32,
    /// The kernel itself.
    #[serde(default)]
    pub kernel: KernelFacts,
    /// Every block device that is no mapping.
    #[serde(default)]
    pub block_devices: Vec<Disk>,
    /// Every mapping.
    #[serde(default)]
    pub mappings: Vec<MappingState>,
    /// What thin pools keep on their metadata devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<Pool>,
}

/// What a kernel says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KernelFacts {
    /// The version of the Device Mapper interface.
    #[serde(default = "default_ioctl_version", with = "dotted")]
    #[schemars(with = "Dotted")]
    pub ioctl_version: Version,
    /// Every target type it has, with its version.
    #[serde(default = "super::versions::all", with = "dotted_map")]
    #[schemars(with = "BTreeMap<String, Dotted>")]
    pub targets: BTreeMap<String, Version>,
}

impl Default for KernelFacts {
    fn default() -> Self {
        Self { ioctl_version: default_ioctl_version(), targets: super::versions::all() }
    }
}

/// Linux 6.1.
fn default_ioctl_version() -> Version {
    Version(4, 47, 0)
}

/// A block device that is no mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// Its number.
    pub number: DevNum,
    /// Its node, and after it the links to it.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Its size.
    pub sectors: u64,
    /// Whether it refuses writes.
    #[serde(default)]
    pub read_only: bool,
    /// The devices that stand on it. One that is no mapping claims it for itself.
    #[serde(default)]
    pub holders: Vec<DevNum>,
    /// Where it is mounted.
    #[serde(default)]
    pub mounts: Vec<String>,
    /// Whether it is swap space.
    #[serde(default, skip_serializing_if = "is_false")]
    pub swap: bool,
    /// Whether something that is not Device Mapper has it for itself alone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub exclusive: bool,
    /// The smallest unit it reads and writes, in bytes.
    #[serde(default = "default_block_size", skip_serializing_if = "is_default_block_size")]
    pub logical_block_size: u32,
    /// Whether it reads as zeros wherever `head` says nothing else. Otherwise it can't be read there.
    #[serde(default, skip_serializing_if = "is_false")]
    pub blank: bool,
    /// Its first bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Hex>,
}

impl Disk {
    /// A disk that nobody uses, without a node.
    #[must_use]
    pub fn new(number: DevNum, sectors: u64) -> Self {
        Self {
            number,
            paths: Vec::new(),
            sectors,
            read_only: false,
            holders: Vec::new(),
            mounts: Vec::new(),
            swap: false,
            exclusive: false,
            logical_block_size: default_block_size(),
            blank: false,
            head: None,
        }
    }
}

/// A mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MappingState {
    /// Its name, as the kernel stores it.
    pub name: String,
    /// Its uuid, when it has one.
    #[serde(default)]
    pub uuid: Option<String>,
    /// Its number.
    pub number: DevNum,
    /// Links to it beside `/dev/mapper/NAME` and `/dev/dm-N`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Whether I/O is held back.
    #[serde(default)]
    pub suspended: bool,
    /// Whether it refuses writes.
    #[serde(default)]
    pub read_only: bool,
    /// How often it is open, by the tables of other mappings and by all else.
    #[serde(default)]
    pub open_count: u32,
    /// Counts the events of its targets and its renames.
    #[serde(default)]
    pub event_nr: u32,
    /// The table that serves I/O.
    #[serde(default, alias = "live_table")]
    pub live: Option<Vec<StateRow>>,
    /// The table that the next resume makes live.
    #[serde(default, alias = "inactive_table")]
    pub inactive: Option<Vec<StateRow>>,
    /// Whether the inactive table was loaded read-only.
    #[serde(default, skip_serializing_if = "is_false")]
    pub inactive_read_only: bool,
    /// Whether it goes away as soon as it is closed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deferred_remove: bool,
    /// Where it is mounted.
    #[serde(default)]
    pub mounts: Vec<String>,
    /// Whether it is swap space.
    #[serde(default, skip_serializing_if = "is_false")]
    pub swap: bool,
    /// Processes that have it open, or mounted in a mount namespace of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<Process>,
    /// Devices that stand on it and are no mappings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<DevNum>,
    /// How its requests are queued, where its tables don't tell: the first load decides that for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queue>,
}

/// How a device's requests are queued. The first table loaded decides (`dm_setup_md_queue`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Queue {
    /// Bio by bio: every target but multipath, which can be told to.
    Bio,
    /// Request by request.
    Request,
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[serde(rename = "Row", expecting = "struct Row")]
pub struct StateRow {
    /// The first sector of the mapping that it serves.
    pub start: u64,
    /// How many sectors it serves.
    pub length: u64,
    /// The target type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its parameters.
    #[serde(default, with = "clear")]
    #[schemars(with = "String")]
    pub params: Secret,
}

impl StateRow {
    /// Whether its parameters may hold a key, going by the type alone.
    #[must_use]
    pub fn may_hold_a_key(&self) -> bool {
        // An unknown type with words may hold anything.
        targets::find(&self.kind).map_or(!self.params.is_empty(), |kind| kind.traits.secret)
    }
}

impl From<&RawRow> for StateRow {
    fn from(target: &RawRow) -> Self {
        Self {
            start: target.start,
            length: target.length,
            kind: target.kind.to_string(),
            params: Secret::new(target.params().to_string()),
        }
    }
}

impl From<&StateRow> for RawRow {
    fn from(row: &StateRow) -> Self {
        RawRow::new(row.start, row.length, &row.kind, row.params.reveal().to_string())
    }
}

/// What a thin pool keeps in its metadata, wherever the pool is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// The block device that holds the metadata.
    pub metadata: DevNum,
    /// The first sector of the metadata on it.
    #[serde(default)]
    pub sector: u64,
    /// The size of a block, in sectors.
    pub block_size: u64,
    /// How many blocks of data it knows of.
    #[serde(default)]
    pub data_blocks: u64,
    /// The thin volumes that were created.
    #[serde(default)]
    pub ids: BTreeSet<u32>,
}

impl State {
    /// Whether a table in it may hold a key: its file is then for its owner alone.
    #[must_use]
    pub fn may_hold_a_key(&self) -> bool {
        let tables = self.mappings.iter().flat_map(|mapping| [&mapping.live, &mapping.inactive]);
        tables.flatten().flatten().any(StateRow::may_hold_a_key)
    }

    /// Reads the text of a state file. `origin` names it in errors. What it says is not checked here but
    /// when a [`Simulated`](super::Simulated) is made of it.
    pub fn parse(text: &str, origin: &str) -> Result<Self, String> {
        let state: Self = serde_json::from_str(text).map_err(|error| {
            let place = only_fields(&Excerpt::of_place(text, error.line(), error.column()));
            format!("{origin}:{}:{}: {}{place}", error.line(), error.column(), without_values(&error))
        })?;
        if state.format_version != FORMAT_VERSION {
            return Err(format!(
                "{origin}: format_version is {}, this dmctl knows {FORMAT_VERSION}",
                state.format_version
            ));
        }
        Ok(state)
    }

    /// The text of a state file; the same state gives the same text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut sorted = self.clone();
        sorted.block_devices.sort_by_key(|disk| disk.number);
        sorted.mappings.sort_by(|one, two| one.name.cmp(&two.name));
        sorted.pools.sort_by_key(|pool| (pool.metadata, pool.sector));
        // Nothing in a state can fail to serialize: no map with keys that are no text, no foreign error.
        let mut text = serde_json::to_string_pretty(&sorted).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// What serde says, without text out of the file: a misplaced row could hold a key.
fn without_values(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    match (message.find("string \""), message.rfind(", expected ")) {
        (Some(value), Some(expected)) if value < expected => {
            format!("{}text{}", &message[..value], &message[expected..])
        }
        (Some(value), _) => format!("{}text", &message[..value]),
        (None, _) => message.to_string(),
    }
}

/// The line of an error with nothing left of it but its form and the names of fields: any text could hold a key.
fn only_fields(excerpt: &Excerpt) -> Excerpt {
    let text = excerpt.text.as_str();
    let ends_a_field =
        |rest: &str| rest.strip_prefix('"').is_some_and(|rest| rest.trim_start().starts_with(':'));
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(rest.len());
        let step = word.max(first.len_utf8());
        if word > 0 && shown.ends_with('"') && ends_a_field(&rest[word..]) {
            shown.push_str(&rest[..word]);
        } else {
            let plain = |c: char| c == ' ' || "{}[],:\".".contains(c);
            shown.extend(rest[..step].chars().map(|c| if plain(c) { c } else { '*' }));
        }
        rest = &rest[step..];
    }
    // Characters of several bytes have become one: the mark is counted in characters.
    let before = text[..excerpt.mark.start].chars().count();
    let marked = text[excerpt.mark.clone()].chars().count();
    Excerpt { line: excerpt.line, column: excerpt.column, mark: before..before + marked, text: shown }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

fn default_block_size() -> u32 {
    512
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_default_block_size(value: &u32) -> bool {
    *value == default_block_size()
}

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
mod clear {
    use super::{Deserialize, Deserializer, Secret, Serializer};

    pub fn serialize<S: Serializer>(params: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(params.reveal())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
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

/// Stands for a version in the schema.
struct Dotted;

impl JsonSchema for Dotted {
    fn schema_name() -> Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^[0-9]+\.[0-9]+\.[0-9]+$" })
    }
}

/// A version, as `4.47.0`.
mod dotted {
    use super::{Cow, Deserialize, Deserializer, Serializer, Version};

    pub fn serialize<S: Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(version)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
        super::version(&Cow::<str>::deserialize(deserializer)?)
    }
}

/// Versions by name.
mod dotted_map {
    use super::{BTreeMap, Deserialize, Deserializer, Serializer, Version};

    pub fn serialize<S: Serializer>(
        versions: &BTreeMap<String, Version>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(versions.iter().map(|(name, version)| (name, version.to_string())))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, Version>, D::Error> {
        let texts = BTreeMap::<String, String>::deserialize(deserializer)?;
        texts.into_iter().map(|(name, text)| Ok((name, super::version(&text)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"{
        "format_version": 1,
        "block_devices": [ { "number": "8:0", "sectors": 2048 } ],
        "mappings": [
            { "name": "b", "number": "254:1", "live_table": [] },
            { "name": "a", "number": "254:0",
              "live": [ { "start": 0, "length": 8, "type": "linear", "params": "8:0 0" } ] }
        ]
    }"#;

    #[test]
    fn what_is_left_out_has_the_value_of_an_untouched_device() {
        let state = State::parse(SMALL, "x").unwrap();
        assert_eq!(state.block_devices[0], Disk::new(DevNum::new(8, 0), 2048));
        assert_eq!(state.kernel.ioctl_version, Version(4, 47, 0));
        assert_eq!(state.mappings[0].live, Some(Vec::new()));
    }

    #[test]
    fn printing_is_sorted_and_reads_back_the_same() {
        let text = State::parse(SMALL, "x").unwrap().to_json();
        let again = State::parse(&text, "x").unwrap();
        assert_eq!(again.mappings[0].name, "a");
        assert_eq!(again.to_json(), text);
    }

    #[test]
    fn an_error_has_its_place_and_never_the_text_of_a_row() {
        let misplaced = r#"{ "format_version": 1,
            "mappings": [ { "name": "a", "number": "254:0", "live": ["0 8 crypt aes 00ff 0 8:0 0"] } ] }"#;
        let message = State::parse(misplaced, "state.json").unwrap_err();
        assert!(message.starts_with("state.json:2:"), "{message}");
        assert!(message.contains("expected struct Row"), "{message}");
        assert!(!message.contains("00ff") && !message.contains("aes"), "{message}");
        assert!(message.contains("\"live\": [\"* * ***** *** **** * *:* *\"]"), "{message}");
        assert!(message.ends_with('^'), "{message}");
        for (text, says) in [
            (r#"{"format_version": 2}"#, "format_version is 2"),
            (r#"{"format_version": 1, "disks": []}"#, "unknown field `disks`"),
            (r#"{"format_version": 1, "kernel": {"ioctl_version": "4.x.0"}}"#, "as `4.47.0`"),
            (
                r#"{"format_version": 1, "block_devices": [{"number": "8:0", "sectors": 1, "head": "0g"}]}"#,
                "hexadecimal",
            ),
            ("{", "EOF"),
            ("", "EOF"),
        ] {
            let message = State::parse(text, "x").unwrap_err();
            assert!(message.contains(says), "{text}: {message}");
        }
    }

    #[test]
    fn a_state_never_shows_its_tables_when_debugged() {
        let mut state = State::parse(SMALL, "x").unwrap();
        state.mappings[1].live.as_mut().unwrap()[0].params = Secret::new("aes 00ff00ff 0 8:0 0".into());
        assert!(!format!("{state:?}").contains("00ff"));
    }
}
