//! The origins that a mapping makes snapshots of, and those that it writes.

use smallvec::SmallVec;

use super::change::Change;
use crate::device::Device;
use crate::identity::{DevNum, Key};
use crate::table::Row;
use crate::targets::{Handover, OriginUse};

/// The identity of an origin: its number, or its key where the plan makes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Origin {
    Number(DevNum),
    Mapping(Key),
}

impl Origin {
    pub(super) fn of(device: &Device) -> Option<Self> {
        device.number.map(Self::Number).or_else(|| device.key().cloned().map(Self::Mapping))
    }

    /// The number of an origin that exists.
    pub(super) fn number(self) -> Option<DevNum> {
        match self {
            Self::Number(number) => Some(number),
            Self::Mapping(_) => None,
        }
    }
}

/// The origins of the snapshots that the new table of a mapping makes: not those that its live table has already.
pub(super) fn taken(change: &Change<'_>) -> SmallVec<[Origin; 1]> {
    let rows = change.new_rows();
    if rows.iter().all(|row| row.target.origin_use().is_none()) {
        return SmallVec::new();
    }
    let device = change.device().filter(|_| !change.is_replaced());
    let live = device.and_then(|device| device.table.understood().ok()).unwrap_or_default();
    let new = rows.iter().filter(|row| !live.iter().any(|old| goes_on(row, old)));
    let mut origins: SmallVec<[Origin; 1]> = new.filter_map(made_of).collect();
    origins.sort_unstable();
    origins.dedup();
    origins
}

/// The origin of which a row makes a snapshot, or into which it takes one over.
fn made_of(row: &Row) -> Option<Origin> {
    match row.target.origin_use()? {
        OriginUse::Keeps { origin, .. } => Origin::of(origin),
        OriginUse::Writes(origin) => {
            matches!(row.target.handover(), Some(Handover::Takes(_))).then(|| Origin::of(origin))?
        }
    }
}

/// Whether the snapshot of a live row goes on with a new row. One that is kept in memory begins again with any table.
fn goes_on(new: &Row, old: &Row) -> bool {
    let numbers = |row: &Row| -> Vec<Option<DevNum>> {
        row.lower_devices().iter().map(|lower| lower.device.number).collect()
    };
    new.target.kind() == old.target.kind()
        && old.target.hazards().data_loss_on_reload.is_none()
        && numbers(new) == numbers(old)
}

/// The origins that a mapping writes with the table that it should have.
pub(super) fn written(change: &Change<'_>) -> impl Iterator<Item = Origin> {
    change.rows.iter().filter_map(|row| match row.target.origin_use()? {
        OriginUse::Writes(origin) => Origin::of(origin),
        OriginUse::Keeps { .. } => None,
    })
}
