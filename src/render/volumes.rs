//! Draws the volumes of a thin pool: a line a volume as text, or a document.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::json::versioned;
use crate::identity::Uuid;
use crate::kernel::Slot;
use crate::text::columns;
use crate::thin_metadata::{ThinVolume, Usage};
use crate::units::Sectors;
use crate::volumes::{PoolVolumes, VolumeUser};

/// What a pool holds.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VolumesDocument {
    /// The pool.
    pub pool: PoolDocument,
    /// The volumes, by id.
    pub volumes: Vec<VolumeDocument>,
}

/// A pool, as its metadata has it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PoolDocument {
    /// The name of the device.
    pub name: String,
    /// Its number, as `major:minor`.
    pub number: String,
    /// Its uuid; null for a device without one.
    pub uuid: Option<String>,
    /// The number of its metadata device.
    pub metadata: String,
    /// The counter of the programs that manage the pool.
    pub transaction_id: u64,
    /// How many snapshots were ever made.
    pub time: u32,
    /// The size of a block of data, in sectors.
    pub block_sectors: u64,
    /// The blocks of data.
    pub data_blocks: UsageDocument,
    /// The blocks of metadata, of 4 KiB each.
    pub metadata_blocks: UsageDocument,
    /// The block of the metadata snapshot, while one is held.
    pub held_root_block: Option<u64>,
}

/// How much of something is in use.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UsageDocument {
    /// The part in use.
    pub used: u64,
    /// All of it.
    pub total: u64,
}

/// A volume.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VolumeDocument {
    /// Its id in the pool.
    pub id: u32,
    /// The blocks of data that it has, those that it shares with others included.
    pub mapped_blocks: u64,
    /// The same in sectors.
    pub mapped_sectors: u64,
    /// The transaction id of the pool when the volume was made.
    pub transaction_id: u64,
    /// The time of the pool when the volume was made.
    pub creation_time: u32,
    /// The time of the pool when a snapshot of the volume was last made.
    pub snapshotted_time: u32,
    /// The devices that have it, by name; empty for a volume that no device has.
    pub devices: Vec<VolumeDevice>,
}

/// A device that has a volume.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VolumeDevice {
    /// Its name.
    pub name: String,
    /// Its number, as `major:minor`.
    pub number: String,
    /// Its uuid; null for a device without one.
    pub uuid: Option<String>,
    /// The owner of the map that declares it; null for a device of another program.
    pub owner: Option<String>,
    /// The key of its mapping in that map.
    pub mapping: Option<String>,
    /// Whether only the table in its inactive slot has the volume.
    pub inactive: bool,
}

impl From<Usage> for UsageDocument {
    fn from(Usage { used, total }: Usage) -> Self {
        Self { used, total }
    }
}

impl VolumesDocument {
    /// Returns the document of a pool.
    pub fn of(pool: &PoolVolumes) -> Self {
        let content = &pool.content;
        Self {
            pool: PoolDocument {
                name: pool.pool.name.to_string(),
                number: pool.pool.number.to_string(),
                uuid: pool.pool.uuid.as_ref().map(ToString::to_string),
                metadata: pool.metadata.to_string(),
                transaction_id: content.transaction_id,
                time: content.time,
                block_sectors: content.block_size.0,
                data_blocks: content.data_blocks.into(),
                metadata_blocks: content.metadata_blocks.into(),
                held_root_block: content.held_root_block,
            },
            volumes: content.volumes.iter().map(|volume| VolumeDocument::of(volume, pool)).collect(),
        }
    }
}

impl VolumeDocument {
    fn of(volume: &ThinVolume, pool: &PoolVolumes) -> Self {
        Self {
            id: volume.id,
            mapped_blocks: volume.mapped_blocks,
            mapped_sectors: size(volume, pool).0,
            transaction_id: volume.transaction_id,
            creation_time: volume.creation_time,
            snapshotted_time: volume.snapshotted_time,
            devices: users(volume, pool).iter().map(VolumeDevice::of).collect(),
        }
    }
}

impl VolumeDevice {
    fn of(user: &VolumeUser) -> Self {
        let (owner, mapping) = user.device.uuid.as_ref().and_then(Uuid::parts).unzip();
        Self {
            name: user.device.name.to_string(),
            number: user.device.number.to_string(),
            uuid: user.device.uuid.as_ref().map(ToString::to_string),
            owner: owner.map(|owner| owner.to_string()),
            mapping: mapping.map(|key| key.to_string()),
            inactive: user.slot == Slot::Inactive,
        }
    }

    /// Names the device, and its mapping where it is one of a map.
    fn line(&self) -> String {
        let mapping = match (&self.owner, &self.mapping) {
            (Some(owner), Some(key)) => format!(", mapping {key} of {owner}"),
            _ => String::new(),
        };
        let inactive = if self.inactive { ", inactive table" } else { "" };
        format!("{} ({}{mapping}{inactive})", self.name, self.number)
    }
}

/// Returns the schema of the document, with its version.
pub fn volumes_schema() -> Value {
    versioned::<VolumesDocument>()
}

/// Writes a line about the pool, and one for each volume: id, size, when it was made, and the devices that have it.
pub fn volumes(pool: &PoolVolumes) -> String {
    let content = &pool.content;
    let usage = |Usage { used, total }: Usage| format!("{used}/{total}");
    let snapshot =
        content.held_root_block.map(|block| format!("; a metadata snapshot is held at block {block}"));
    let count = match content.volumes.len() {
        0 => "holds no volume".to_string(),
        1 => "holds 1 volume".to_string(),
        count => format!("holds {count} volumes"),
    };
    let head = format!(
        "{} ({}) {count}; data {} blocks of {}, metadata {}; transaction {}, time {}{}\n",
        pool.pool.name,
        pool.pool.number,
        usage(content.data_blocks),
        content.block_size.human(),
        usage(content.metadata_blocks),
        content.transaction_id,
        content.time,
        snapshot.unwrap_or_default(),
    );
    let row = |volume: &ThinVolume| {
        let devices: Vec<String> =
            users(volume, pool).iter().map(|user| VolumeDevice::of(user).line()).collect();
        let blocks = if volume.mapped_blocks == 1 { "block" } else { "blocks" };
        [
            volume.id.to_string(),
            format!("{} {blocks} ({})", volume.mapped_blocks, size(volume, pool).human()),
            format!("made at transaction {}, time {}", volume.transaction_id, volume.creation_time),
            format!("snapshotted at {}", volume.snapshotted_time),
            if devices.is_empty() { "no device".to_string() } else { devices.join(", ") },
        ]
    };
    head + &columns(&content.volumes.iter().map(row).collect::<Vec<_>>())
}

/// Returns the size of the blocks that a volume has.
fn size(volume: &ThinVolume, pool: &PoolVolumes) -> Sectors {
    Sectors(volume.mapped_blocks.saturating_mul(pool.content.block_size.0))
}

fn users<'p>(volume: &ThinVolume, pool: &'p PoolVolumes) -> &'p [VolumeUser] {
    pool.users.get(&volume.id).map(Vec::as_slice).unwrap_or_default()
}
