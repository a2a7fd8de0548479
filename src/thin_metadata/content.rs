//! What the metadata of a pool holds.

use crate::units::Sectors;

/// What the metadata of a pool holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolContent {
    /// The counter of the programs that manage the pool, who raise it as they like.
    pub transaction_id: u64,
    /// The clock of the pool: it counts the snapshots that were ever made.
    pub time: u32,
    /// The size of a block of data.
    pub block_size: Sectors,
    /// The blocks of data.
    pub data_blocks: Usage,
    /// The blocks of metadata.
    pub metadata_blocks: Usage,
    /// The block of the metadata snapshot, while one is held.
    pub held_root_block: Option<u64>,
    /// The volumes, by id.
    pub volumes: Vec<ThinVolume>,
}

/// How much of something is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// The part in use.
    pub used: u64,
    /// All of it.
    pub total: u64,
}

/// A volume of a pool (`struct disk_device_details`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThinVolume {
    /// Its id in the pool.
    pub id: u32,
    /// The blocks of data that it has, shared ones included.
    pub mapped_blocks: u64,
    /// The transaction id of the pool when it was made.
    pub transaction_id: u64,
    /// The clock of the pool when it was made.
    pub creation_time: u32,
    /// The clock of the pool when a snapshot of it was last made, or it was made.
    pub snapshotted_time: u32,
}

impl PoolContent {
    /// Returns the volume of this id.
    pub fn volume(&self, id: u32) -> Option<&ThinVolume> {
        self.volumes.binary_search_by_key(&id, |volume| volume.id).ok().map(|at| &self.volumes[at])
    }
}
