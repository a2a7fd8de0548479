//! The state of a simulated kernel, as its file has it.
//!
//! The file is JSON, written by `dmctl simulate`, by `dmctl export --format json` on a real host, or by
//! hand. Only `format_version`, the numbers and sizes of block devices, and the names and numbers of
//! mappings are required; every other field defaults to the value of a new device. Tables are in the file as
//! the kernel holds them, keys included, because the file *is* the kernel of the one who uses it.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::notation::{self, Dotted, Hex};
use crate::identity::DevNum;
use crate::kernel::{HostPart, Partition, Process, Version};
use crate::secret::Secret;
use crate::table::RawRow;
use crate::targets;

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
    /// Every block device that is not a mapping.
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
    #[serde(default = "default_ioctl_version", with = "notation::dotted")]
    #[schemars(with = "Dotted")]
    pub ioctl_version: Version,
    /// Every target type it has, with its version.
    #[serde(default = "super::versions::all", with = "notation::dotted_map")]
    #[schemars(with = "BTreeMap<String, Dotted>")]
    pub targets: BTreeMap<String, Version>,
    /// The keys that its keyrings hold, as `type:description`. Left out, that is not known, and every key is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<BTreeSet<String>>,
    /// Every target type that it can load when a table names it, besides those; without this list, every type of Linux.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loadable: Option<BTreeSet<String>>,
    /// What can't be seen, as in a container: `/sys`, `/proc/self/mountinfo`, `/proc/swaps`, or `/proc` for processes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unseen: BTreeSet<HostPart>,
}

impl KernelFacts {
    /// Whether a table may have targets of this type.
    pub(super) fn has_type(&self, kind: &str) -> bool {
        self.targets.contains_key(kind)
            || self
                .loadable
                .as_ref()
                .map_or_else(|| targets::find(kind).is_some(), |types| types.contains(kind))
    }
}

impl Default for KernelFacts {
    fn default() -> Self {
        Self {
            ioctl_version: default_ioctl_version(),
            targets: super::versions::all(),
            loadable: None,
            keys: None,
            unseen: BTreeSet::new(),
        }
    }
}

/// Linux 6.1.
fn default_ioctl_version() -> Version {
    Version(4, 47, 0)
}

/// A block device that is not a mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// Its number.
    pub number: DevNum,
    /// Its node, and after it the links to it.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Paths that are gone, of which a record still tells that they were its own: a node that was removed, a link that udev
    /// has in its database.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost_paths: Vec<String>,
    /// Its size.
    pub sectors: u64,
    /// Whether it refuses writes.
    #[serde(default)]
    pub read_only: bool,
    /// The devices that use it. One that is not a mapping claims it for itself.
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
    /// Whether it keeps tags with its blocks that a device above fills.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keeps_tags: bool,
    /// Whether it takes bios alone, as ram disks and arrays do. A disk takes requests.
    #[serde(default, skip_serializing_if = "is_false")]
    pub bio_based: bool,
    /// Whether it is memory that is addressed directly.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dax: bool,
    /// The place on its disk, for a partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
    /// The worldwide id of the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wwid: Option<String>,
    /// The serial number of the disk, where it has no worldwide id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// The uuid of the array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md_uuid: Option<String>,
    /// The file of the loop device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backing_file: Option<String>,
    /// The uuid of the partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partuuid: Option<String>,
    /// Whether it reads as zeros wherever `head` says nothing else. Otherwise it can't be read there.
    #[serde(default, skip_serializing_if = "is_false")]
    pub blank: bool,
    /// Its first bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Hex>,
}

impl Disk {
    /// Creates a disk without users and without a node.
    pub fn new(number: DevNum, sectors: u64) -> Self {
        Self {
            number,
            paths: Vec::new(),
            lost_paths: Vec::new(),
            sectors,
            read_only: false,
            holders: Vec::new(),
            mounts: Vec::new(),
            swap: false,
            exclusive: false,
            logical_block_size: default_block_size(),
            keeps_tags: false,
            bio_based: false,
            dax: false,
            partition: None,
            wwid: None,
            serial: None,
            md_uuid: None,
            backing_file: None,
            partuuid: None,
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
    /// Whether each `\xNN` in its name is one byte: the name is not UTF-8.
    #[serde(default, skip_serializing_if = "is_false")]
    pub name_is_bytes: bool,
    /// Its uuid, when it has one.
    #[serde(default)]
    pub uuid: Option<String>,
    /// Whether each `\xNN` in its uuid is one byte: the uuid is not UTF-8.
    #[serde(default, skip_serializing_if = "is_false")]
    pub uuid_is_bytes: bool,
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
    /// Devices that use it and are not mappings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<DevNum>,
    /// How many requests were sent to it and have not ended: in a circle they never do.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub in_flight: u64,
    /// How its requests are queued, where its tables don't tell: the first load decides that for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queue>,
    /// Whether it is a snapshot that does not keep all that its origin had: it was made beside an origin that was not
    /// suspended and resumed for it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub torn: bool,
    /// The smallest unit it reads and writes, in bytes, where that does not follow from the tables: a mapping keeps the size
    /// that it was given when its table was made live, whatever changes below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logical_block_size: Option<u32>,
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
    #[serde(default, with = "notation::clear")]
    #[schemars(with = "String")]
    pub params: Secret,
    /// Its state, as the kernel prints it for a live table (a row of `dmctl health --raw`, without its first three words). Left out, it is
    /// what the kernel prints for a device that was just made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

impl StateRow {
    /// Whether its parameters may hold a key, going by the type alone.
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
            status: None,
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
    /// The details of volumes that were written to, or were not made at transaction 0 and time 0.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<u32, PoolVolume>,
    /// The counter of the programs that manage the pool.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub transaction_id: u64,
    /// How many snapshots were ever made.
    #[serde(default, skip_serializing_if = "is_none")]
    pub time: u32,
    /// Why its metadata can't be read, if it can't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<PoolFault>,
}

/// What the metadata of a pool has of a volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoolVolume {
    /// The blocks of data that it has.
    pub mapped_blocks: u64,
    /// The transaction id of the pool when it was made.
    pub transaction_id: u64,
    /// The time of the pool when it was made.
    pub creation_time: u32,
    /// The time of the pool when a snapshot of it was last made.
    pub snapshotted_time: u32,
}

/// Why the metadata of a pool can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PoolFault {
    /// The kernel marked it after an error.
    NeedsCheck,
    /// A block has the wrong checksum.
    Damaged,
    /// It changes too fast.
    Changing,
}

impl State {
    /// Whether a table in it may hold a key: its file is then for its owner alone.
    pub fn may_hold_a_key(&self) -> bool {
        let tables = self.mappings.iter().flat_map(|mapping| [&mapping.live, &mapping.inactive]);
        tables.flatten().flatten().any(StateRow::may_hold_a_key)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_none(value: &u32) -> bool {
    *value == 0
}

fn default_block_size() -> u32 {
    512
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_default_block_size(value: &u32) -> bool {
    *value == default_block_size()
}
