//! The pools in which a plan would make volumes: the volumes that they hold already.
//!
//! They are read from the metadata of the pool, where the map will have it: a pool that is not up yet is read as well. That of
//! a pool outside of the map is where its live table has it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::Observed;
use super::heads::{Holder, MAX_DEPTH, Used};
use crate::config::{Length, Map, Mapping};
use crate::device::Device;
use crate::identity::{DevNum, Key};
use crate::kernel::{KernelError, ReadKernel, Slot};
use crate::targets::{self, Below, Target, VolumeList};
use crate::thin_metadata::{PoolContent, ThinVolume, Unreadable};

/// What is known of the volumes of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PoolVolumes {
    /// All of them.
    Known(PoolContent),
    /// The pool is new: its metadata is blank.
    New,
    /// The metadata can't be read.
    Unreadable(Unreadable),
    /// Its place is not known.
    Unplaced,
}

/// The pools that were read.
pub(super) type Pools = HashMap<Holder, PoolVolumes>;

impl Observed {
    /// Reads the pools that these mappings take volumes of. Only the first call has an effect.
    ///
    /// # Errors
    ///
    /// The error of the kernel.
    pub fn read_pools<'p>(
        &self,
        kernel: &dyn ReadKernel,
        map: &Map,
        pools: impl IntoIterator<Item = (&'p Mapping, &'p Device)>,
    ) -> Result<(), KernelError> {
        let mut read = Pools::new();
        for (by, device) in pools {
            let Some(holder) = self.holder(map, Used { by: Some(by), device }) else { continue };
            let Entry::Vacant(unread) = read.entry(holder) else { continue };
            let volumes = match self.place_of_list(kernel, map, unread.key())? {
                None => PoolVolumes::Unplaced,
                Some((number, sector)) => match kernel.thin_metadata(number, sector) {
                    Ok(content) => PoolVolumes::Known(content),
                    Err(Unreadable::Blank) => PoolVolumes::New,
                    Err(why) => PoolVolumes::Unreadable(why),
                },
            };
            unread.insert(volumes);
        }
        self.pools.get_or_init(|| read);
        Ok(())
    }

    /// Returns what is known of the volumes of a pool that a mapping is written with; `None` where it was not read.
    pub(crate) fn pool(&self, map: &Map, by: &Mapping, device: &Device) -> Option<&PoolVolumes> {
        self.pools.get()?.get(&self.holder(map, Used { by: Some(by), device })?)
    }

    /// Finds the device and sector at which the metadata of a pool begins.
    fn place_of_list(
        &self,
        kernel: &dyn ReadKernel,
        map: &Map,
        pool: &Holder,
    ) -> Result<Option<(DevNum, u64)>, KernelError> {
        match pool {
            Holder::Mapping(key) => Ok(self.place_in_map(map, key)),
            Holder::Other(number) => {
                let Some(seen) = self.by_number(*number) else { return Ok(None) };
                let live = kernel.device(&seen.id(), Slot::Live)?;
                let rows = live.iter().flat_map(|live| live.table.iter());
                let mut rows = rows.filter_map(|row| targets::parse(&row.kind, row.params()).ok());
                Ok(rows.find_map(|row| list_of(row.as_ref())?.number).map(|number| (number, 0)))
            }
        }
    }

    fn place_in_map(&self, map: &Map, pool: &Key) -> Option<(DevNum, u64)> {
        let mapping = map.mappings.get(pool)?;
        let device = mapping.rows.iter().find_map(|row| list_of(row.target.as_ref()))?;
        self.place(map, Used { by: Some(mapping), device }, 0, MAX_DEPTH)
    }

    /// Finds the place of a sector, below all mappings of the map that have what follows it in one place.
    fn place(&self, map: &Map, used: Used<'_>, sector: u64, depth: usize) -> Option<(DevNum, u64)> {
        let number = self.number_of(used);
        let Some(mapping) = self.mapping_of(map, used.device, number) else {
            return number.map(|number| (number, sector));
        };
        let depth = depth.checked_sub(1)?;
        if let [row] = mapping.rows.as_slice()
            && let Below::Places(places) = row.target.below(sector.checked_add(row.target.sectors_before(0))?)
        {
            let left = match row.length {
                Length::Sectors(length) => length.saturating_sub(sector),
                Length::Rest => 1,
            };
            let mut whole = places.iter().filter(|place| place.run >= left);
            let below = |device| Used { by: Some(mapping), device };
            return whole.find_map(|place| self.place(map, below(place.device), place.sector, depth));
        }
        let served = |seen: &&super::Seen| seen.mapped.as_ref().is_none_or(|mapped| mapped.info.live_table);
        self.by_uuids(mapping).filter(served).map(|seen| (seen.listed.number, sector))
    }
}

impl PoolVolumes {
    /// Returns the volume of this id, if the pool is known to have it.
    pub(crate) fn volume(&self, id: u32) -> Option<&ThinVolume> {
        if let Self::Known(content) = self { content.volume(id) } else { None }
    }
}

/// Returns the metadata device with the volumes of a target.
fn list_of(target: &dyn Target) -> Option<&Device> {
    match target.volume_list()? {
        VolumeList::On(device) => Some(device),
        VolumeList::Untold => None,
    }
}
