//! The lower devices of one mapping, as they will be when its table is loaded.
//!
//! A lower device that is a mapping of the map is as its new table makes it; another is as it was observed.

use super::change::Change;
use super::changes::Changes;
use super::position::ChangeId;
use crate::device::Device;
use crate::identity::{DevNum, Key};
use crate::kernel::{BlockDevice, DeviceState};
use crate::observed::Observed;
use crate::table::Row;
use crate::units::SECTOR;

/// The most devices that are followed down: there may be a circle of them.
const MAX_DEPTH: usize = 64;

/// Answers questions about the lower devices of one mapping.
#[derive(Clone, Copy)]
pub(crate) struct LowerDevices<'r, 'a> {
    pub observed: &'r Observed,
    /// The changes of the mappings below, and of others.
    pub changes: &'r Changes<'a>,
    /// The device of the mapping, if there is one.
    pub device: Option<&'r DeviceState>,
    /// The places of the mappings below, as far as they are known.
    pub below: &'r [ChangeId],
}

/// A lower device: a mapping of the map as its new table makes it, or another device as it was observed.
#[derive(Clone, Copy)]
pub(super) struct Lower<'r, 'a> {
    lowers: LowerDevices<'r, 'a>,
    /// The change of the mapping of this map that it is.
    pub change: Option<&'r Change<'a>>,
    block: Option<&'r BlockDevice>,
}

impl Lower<'_, '_> {
    /// The size that it will have, in sectors: for a mapping of the map, that of its new table.
    pub(super) fn size(&self) -> Option<u64> {
        match self.change {
            Some(below) => below.size,
            None => self.block.map(|block| block.sectors),
        }
    }

    /// The mapping that a device outside the map is over, a loop device mostly, where that mapping becomes smaller, with
    /// the size that it gets, in sectors: the device keeps its size, and what is behind that can't be read or written any
    /// more. A device over several others is not followed.
    pub(super) fn cut(&self) -> Option<(Key, u64)> {
        let (observed, changes) = (self.lowers.observed, self.lowers.changes);
        let mut block = self.block?;
        for _ in 0..MAX_DEPTH {
            let [lower] = *block.lower.as_slice() else { return None };
            if let Some(id) = changes.id_of_number(lower, observed) {
                let below = &changes.all[id];
                let size = below.size.filter(|_| below.shrinks())?;
                return Some((below.mapping.key.clone(), size));
            }
            block = observed.block(lower)?;
        }
        None
    }

    /// The logical block size that it will have, in sectors.
    pub(super) fn block_size(&self) -> u64 {
        match self.change {
            Some(below) => below.block,
            None => self.block.map_or(1, |block| u64::from(block.logical_block_size) / SECTOR).max(1),
        }
    }

    /// Whether it refuses writes.
    pub(super) fn is_read_only(&self) -> bool {
        match self.change {
            Some(below) => below.mapping.readonly,
            None => self.block.is_some_and(|block| block.read_only),
        }
    }
}

impl<'r, 'a> LowerDevices<'r, 'a> {
    /// Returns the change of the mapping of this map that `device` is.
    pub(super) fn change(&self, device: &Device) -> Option<&'r Change<'a>> {
        let id = self.changes.id_of_lower(self.below, device, self.observed);
        id.map(|id| &self.changes.all[id])
    }

    /// Returns what `device` will be.
    pub(super) fn lower(&self, device: &Device) -> Lower<'r, 'a> {
        let change = self.change(device);
        let observed = || device.number.and_then(|number| self.observed.block(number));
        Lower { lowers: *self, change, block: if change.is_some() { None } else { observed() } }
    }

    /// Returns the size that a lower device will have, in sectors.
    pub(super) fn size(&self, device: &Device) -> Option<u64> {
        self.lower(device).size()
    }

    /// Whether the live device uses the device of this number already. The removal of that one is then refused as in use.
    pub(super) fn uses_already(&self, number: DevNum) -> bool {
        self.device.is_some_and(|device| device.table.lower_devices().contains(&number))
    }

    /// Whether the live device uses this lower device already.
    pub(super) fn is_in_use(&self, device: &Device) -> bool {
        device.number.is_some_and(|number| self.uses_already(number))
    }

    /// Returns the live row of the type and start of `row`.
    pub(super) fn live(&self, row: &Row) -> Option<Row> {
        let live = self.device?.table.readable();
        let is_it = |live: &&Row| live.start == row.start && live.target.kind() == row.target.kind();
        live.iter().find(is_it).cloned()
    }
}
