//! A mapping of the map, its device, and how the two compare.

use std::sync::Arc;

use smallvec::SmallVec;

use super::matching::Match;
use super::step::Through;
use crate::config::{Mapping, State};
use crate::diff::{TableDiff, Unjudgeable};
use crate::identity::{DevNum, Uuid};
use crate::kernel::{DeviceState, Info};
use crate::table::{self, Row};

/// A mapping, its device, and how the two compare.
pub struct Change<'a> {
    /// The mapping as the map declares it.
    pub mapping: &'a Mapping,
    /// Its device, when it has one.
    pub found: Option<Match<'a>>,
    /// The table it should have, with numbers for all lower devices that exist and stay.
    pub rows: Arc<[Row]>,
    /// How the two compare.
    pub drift: Drift,
    /// The size it will have, in sectors, where that can be told.
    pub size: Option<u64>,
    /// The logical block size it will have once its table is loaded again, in sectors.
    pub block: u64,
    /// The devices of other mappings below it, through devices outside of the map.
    pub(crate) through: Through,
    /// Whether its table, or one of a mapping below, changes with this plan.
    pub shifts: bool,
    lowers: NewLowers,
}

/// The lower devices of the table that a device is given, each once, in the order of their numbers.
#[derive(Default)]
struct NewLowers {
    all: SmallVec<[DevNum; 2]>,
    /// Those that the live table does not use.
    entered: SmallVec<[DevNum; 2]>,
}

/// How a mapping and its device compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drift {
    /// The device does not exist, and should not.
    AbsentOk,
    /// The device does not exist, and should.
    Missing,
    /// The device exists, and should not.
    Extra,
    /// The device exists and should not, and the kernel removes it with its last close.
    RemovalPending,
    /// The tables mean the same.
    InSync,
    /// The device exists without a table.
    NoTable,
    /// Another table makes them equal.
    Differs(Arc<TableDiff>),
    /// Only a new device makes them equal.
    Replaced(Arc<TableDiff>),
    /// The live table can't be judged.
    Unknown(Box<Unjudgeable>),
    /// A conflict blocks the mapping.
    Blocked,
}

impl Drift {
    /// Whether the device is given a table.
    pub fn loads_table(&self) -> bool {
        matches!(self, Self::Missing | Self::NoTable | Self::Differs(_) | Self::Replaced(_))
    }
}

/// How a mapping compares with its device: the parts of a [`Change`] that the comparison finds.
pub(super) struct Compared {
    pub rows: Arc<[Row]>,
    pub drift: Drift,
    pub size: Option<u64>,
    pub block: u64,
    pub shifts: bool,
}

impl<'a> Change<'a> {
    /// Makes the change of a mapping that was compared.
    pub(super) fn new(mapping: &'a Mapping, found: Option<Match<'a>>, compared: Compared) -> Self {
        let Compared { rows, drift, size, block, shifts } = compared;
        let (through, lowers) = (Through::default(), NewLowers::default());
        let mut change = Self { mapping, found, rows, drift, size, block, through, shifts, lowers };
        change.lowers = NewLowers::of(&change);
        change
    }

    /// Blocks the mapping: its device is left as it is.
    pub(super) fn block(&mut self) {
        (self.drift, self.size, self.lowers) = (Drift::Blocked, None, NewLowers::default());
    }

    /// Returns the state of the device.
    pub fn device(&self) -> Option<&'a DeviceState> {
        self.found.and_then(|found| found.seen.mapped.as_ref())
    }

    /// Returns the number of the device.
    pub fn number(&self) -> Option<DevNum> {
        self.found.map(|found| found.seen.listed.number)
    }

    /// Returns the uuid of the device that the mapping keeps or gets: its own, or that of an earlier key, which a device keeps
    /// until it is recreated.
    pub fn uuid(&self) -> &'a Uuid {
        let kept = self.found.filter(|_| !self.is_replaced());
        kept.and_then(|found| found.seen.listed.uuid.as_ref()).unwrap_or(&self.mapping.uuid)
    }

    /// Returns the number of the device, unless the device is replaced.
    pub fn lasting_number(&self) -> Option<DevNum> {
        self.number().filter(|_| !self.is_replaced())
    }

    /// Whether a new device replaces the one that the mapping has.
    pub fn is_replaced(&self) -> bool {
        matches!(self.drift, Drift::Replaced(_))
    }

    /// Whether a conflict blocks the mapping.
    pub fn is_blocked(&self) -> bool {
        self.drift == Drift::Blocked
    }

    /// Whether the mapping does not need a step: its device is as the map says, or can't be changed.
    pub fn is_settled(&self) -> bool {
        let suspended = self.mapping.state == State::Suspended;
        let as_wanted = |info: &Info| {
            !info.deferred_remove
                && !info.inactive_table
                && info.suspended == suspended
                && info.name == self.mapping.name
        };
        match self.drift {
            Drift::AbsentOk | Drift::RemovalPending | Drift::Blocked | Drift::Unknown(_) => true,
            Drift::InSync => {
                self.found.is_none_or(|found| !found.taken_over)
                    && self.device().is_none_or(|device| as_wanted(&device.info))
            }
            _ => false,
        }
    }

    /// Returns the rows of the table that the device is given. Empty where it keeps its table, or does not get one.
    pub fn new_rows(&self) -> &[Row] {
        if self.drift.loads_table() { &self.rows } else { &[] }
    }

    /// Whether its table may take sectors that the live one does not use.
    pub fn takes_sectors(&self) -> bool {
        match &self.drift {
            Drift::Missing | Drift::NoTable | Drift::Replaced(_) => true,
            Drift::Differs(diff) => diff.takes(),
            _ => false,
        }
    }

    /// Whether the device gets a smaller table.
    pub fn shrinks(&self) -> bool {
        let live = self.device().map_or(0, |device| table::sectors(&device.table));
        self.size.is_some_and(|size| size < live)
    }

    /// Whether the device may use less than before once the plan is carried out.
    pub fn releases_sectors(&self) -> bool {
        match &self.drift {
            Drift::Extra | Drift::Replaced(_) => true,
            Drift::Differs(diff) => diff.releases(),
            _ => false,
        }
    }

    /// Returns the lower devices of the table that the device is given, each once.
    pub fn new_lower_devices(&self) -> &[DevNum] {
        &self.lowers.all
    }

    /// Returns the lower devices that the mapping uses after the plan and not before, each once.
    pub fn entered_devices(&self) -> &[DevNum] {
        &self.lowers.entered
    }
}

impl NewLowers {
    fn of(change: &Change<'_>) -> Self {
        let mut all = SmallVec::new();
        for row in change.new_rows() {
            all.extend(row.lower_devices().iter().filter_map(|lower| lower.device.number));
        }
        all.sort_unstable();
        all.dedup();
        let mut entered = all.clone();
        if let Some(device) = change.device().filter(|_| !all.is_empty()) {
            let live = device.table.lower_devices();
            entered.retain(|number| !live.contains(number));
        }
        Self { all, entered }
    }
}

/// Whether the kernel removes a device with its last close, and it is open.
pub(crate) fn is_removal_pending(device: &DeviceState) -> bool {
    device.info.deferred_remove && device.info.open_count > 0
}
