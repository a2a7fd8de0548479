//! A mapping of a simulated kernel, with the devices that it has open.

use std::collections::{BTreeMap, BTreeSet};

use super::state::Queue;
use crate::access::Access;
use crate::identity::{DevNum, Name, Uuid};
use crate::kernel::{DeviceState, Info, Process, Slot};
use crate::table::{self, ReadTable};

/// A table in a slot.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    /// Its rows, as the kernel prints them.
    pub rows: ReadTable,
    /// The mode it was loaded with.
    pub access: Access,
    pub devices: BTreeSet<DevNum>,
    /// The state that was given of a row, by the first sector of the row.
    pub states: BTreeMap<u64, String>,
}

/// The mappings that have a device open, or the devices that a mapping has open, each with the mode.
pub(super) type Opens = BTreeSet<(DevNum, Access)>;

#[derive(Debug, Clone)]
pub(super) struct Mapping {
    pub number: DevNum,
    pub name: Name,
    pub uuid: Option<Uuid>,
    pub paths: Vec<String>,
    pub suspended: bool,
    pub access: Access,
    /// How often it is open, not counting mappings.
    pub opened: u32,
    pub event_nr: u32,
    pub live: Option<Loaded>,
    pub inactive: Option<Loaded>,
    /// The mappings that have it open.
    pub above: Opens,
    /// The devices that it has open.
    pub below: Opens,
    pub deferred_remove: bool,
    pub mounts: Vec<String>,
    pub swap: bool,
    pub processes: Vec<Process>,
    /// Devices above it that are not mappings.
    pub holders: Vec<DevNum>,
    /// The requests that were sent to it and have not ended.
    pub in_flight: u64,
    /// Decided by the first load. Until then the mapping can't be opened.
    pub queue: Option<Queue>,
    /// The boundary at which writes to the origin of snapshots are split, in sectors.
    pub split: u64,
    /// Whether it is a snapshot that does not keep all that its origin had.
    pub torn: bool,
    /// The logical block size, in sectors: that of the moment at which its table was made live.
    pub block: u64,
}

impl Mapping {
    pub(super) fn new(number: DevNum, name: Name, uuid: Option<Uuid>) -> Self {
        Self {
            number,
            name,
            uuid,
            paths: Vec::new(),
            suspended: false,
            access: Access::Writable,
            opened: 0,
            event_nr: 0,
            live: None,
            inactive: None,
            above: Opens::new(),
            below: Opens::new(),
            deferred_remove: false,
            mounts: Vec::new(),
            swap: false,
            processes: Vec::new(),
            holders: Vec::new(),
            in_flight: 0,
            queue: None,
            split: u64::MAX,
            torn: false,
            block: 1,
        }
    }

    /// Returns how often it is open.
    pub(super) fn open_count(&self) -> u32 {
        self.opened.saturating_add(u32::try_from(self.above.len()).unwrap_or(u32::MAX))
    }

    /// Returns a mapping with one of its tables. With the inactive table the kernel answers with that table's mode and
    /// count of targets (`__dev_status`).
    pub(super) fn state(&self, slot: Slot) -> DeviceState {
        let table: Option<&Loaded> = match slot {
            Slot::Live => self.live.as_ref(),
            Slot::Inactive => self.inactive.as_ref(),
        };
        let read_only = match slot {
            Slot::Live => self.live.is_some() && self.access.is_read_only(),
            Slot::Inactive => table.is_some_and(|table| table.access.is_read_only()),
        };
        let rows = table.map(|table| table.rows.clone()).unwrap_or_default();
        let info = Info {
            name: self.name.clone(),
            uuid: self.uuid.clone(),
            number: self.number,
            suspended: self.suspended,
            live_table: self.live.is_some(),
            inactive_table: self.inactive.is_some(),
            open_count: self.open_count(),
            event_nr: self.event_nr,
            read_only,
            target_count: u32::try_from(rows.len()).unwrap_or(u32::MAX),
            deferred_remove: self.deferred_remove,
        };
        DeviceState { info, table: rows }
    }

    /// Returns the size of its live table, in sectors.
    pub(super) fn sectors(&self) -> u64 {
        self.live.as_ref().map_or(0, |live| table::sectors(&live.rows))
    }

    /// Returns the devices that its tables open, each once for each mode.
    pub(super) fn opens(&self) -> Opens {
        let tables = [&self.live, &self.inactive].into_iter().flatten();
        tables.flat_map(|table| table.devices.iter().map(|device| (*device, table.access))).collect()
    }
}
