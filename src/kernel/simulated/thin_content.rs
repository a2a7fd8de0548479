//! What the metadata of a thin pool holds: its volumes, with what they had when they were made, and the two counters of the pool.
//!
//! Kernel source: `__create_thin`, `__create_snap` and `__delete_device` in `drivers/md/dm-thin-metadata.c`.

use std::collections::{BTreeMap, BTreeSet};

use nix::errno::Errno;

use super::model::Model;
use super::refusal::Refusal;
use super::state::{Pool, PoolFault, PoolVolume};
use crate::identity::DevNum;
use crate::thin_metadata::{Damage, PoolContent, ThinVolume, Unreadable, Usage};
use crate::units::Sectors;

/// The blocks of metadata that a pool without volumes uses, as it is seen on small ones.
const FRESH_METADATA: u64 = 15;

/// Returns the content of metadata that was just formatted.
pub(super) fn fresh(metadata: DevNum, sector: u64, block_size: u64) -> Pool {
    Pool {
        metadata,
        sector,
        block_size,
        data_blocks: 0,
        ids: BTreeSet::new(),
        volumes: BTreeMap::new(),
        transaction_id: 0,
        time: 0,
        fault: None,
    }
}

/// Reads the pool whose metadata begins at this place; `None` where the model does not know one.
pub(super) fn read(model: &Model, device: DevNum, sector: u64) -> Option<Result<PoolContent, Unreadable>> {
    let place = model.below(device, sector).map_or((device, sector), |run| (run.disk, run.sector));
    let pool = model.pools.get(&place)?;
    Some(match pool.fault {
        None => Ok(pool.content(metadata_blocks(model, device))),
        Some(PoolFault::NeedsCheck) => Err(Unreadable::NeedsCheck),
        Some(PoolFault::Damaged) => Err(Unreadable::Damaged { block: 1, damage: Damage::Checksum }),
        Some(PoolFault::Changing) => Err(Unreadable::Changing),
    })
}

/// Returns the blocks of 4 KiB that a metadata device has.
pub(super) fn metadata_blocks(model: &Model, metadata: DevNum) -> u64 {
    model.sectors(metadata).unwrap_or_default() / 8
}

impl Pool {
    fn content(&self, metadata_blocks: u64) -> PoolContent {
        let volume = |id: u32| {
            let PoolVolume { mapped_blocks, transaction_id, creation_time, snapshotted_time } =
                self.details(id);
            ThinVolume { id, mapped_blocks, transaction_id, creation_time, snapshotted_time }
        };
        let volumes: Vec<ThinVolume> = self.ids.iter().copied().map(volume).collect();
        let used = volumes.iter().map(|volume| volume.mapped_blocks).fold(0, u64::saturating_add);
        PoolContent {
            transaction_id: self.transaction_id,
            time: self.time,
            block_size: Sectors(self.block_size),
            data_blocks: Usage { used: used.min(self.data_blocks), total: self.data_blocks },
            metadata_blocks: Usage { used: FRESH_METADATA.min(metadata_blocks), total: metadata_blocks },
            held_root_block: None,
            volumes,
        }
    }

    fn details(&self, id: u32) -> PoolVolume {
        self.volumes.get(&id).copied().unwrap_or_default()
    }

    fn set(&mut self, id: u32, details: PoolVolume) {
        if details == PoolVolume::default() {
            self.volumes.remove(&id);
        } else {
            self.volumes.insert(id, details);
        }
    }

    /// Makes a volume.
    pub(super) fn create(&mut self, id: u32) -> Result<(), Refusal> {
        if !self.ids.insert(id) {
            let log = format!("Creation of new thinly-provisioned device with id {id} failed.");
            return Err(refusal(Errno::EEXIST, &log));
        }
        let (transaction_id, time) = (self.transaction_id, self.time);
        self.set(
            id,
            PoolVolume { mapped_blocks: 0, transaction_id, creation_time: time, snapshotted_time: time },
        );
        Ok(())
    }

    /// Makes a volume as a snapshot of another.
    pub(super) fn snapshot(&mut self, id: u32, origin: u32) -> Result<(), Refusal> {
        const FAILED: &str = "Creation of new snapshot failed.";
        if self.ids.contains(&id) {
            return Err(refusal(Errno::EEXIST, FAILED));
        }
        if !self.ids.contains(&origin) {
            return Err(refusal(Errno::ENODATA, FAILED));
        }
        self.time += 1;
        let (transaction_id, time) = (self.transaction_id, self.time);
        let copied = PoolVolume { snapshotted_time: time, ..self.details(origin) };
        self.set(origin, copied);
        self.ids.insert(id);
        self.set(id, PoolVolume { transaction_id, creation_time: time, ..copied });
        Ok(())
    }

    /// Deletes a volume.
    pub(super) fn delete(&mut self, id: u32) -> Result<(), Refusal> {
        self.volumes.remove(&id);
        let deleted = self.ids.remove(&id);
        if deleted { Ok(()) } else { Err(refusal(Errno::ENODATA, "Deletion of thin device failed.")) }
    }
}

fn refusal(errno: Errno, log: &str) -> Refusal {
    Refusal::new(errno, format!("thin-pool: {log}"))
}
