//! Indexes the few changes that later passes need: a map may have a hundred thousand mappings, and need not be searched
//! again for each question.

use super::change::{Change, Drift};
use super::conflict::Obstacle;
use super::origin::{self, Origin};
use super::position::ChangeId;
use crate::config::State;
use crate::identity::DevNum;
use crate::table::Row;
use crate::targets::IgnoredValue;

/// The places of the changes that later passes need.
#[derive(Default)]
pub(crate) struct ChangeIndex {
    /// The changes whose targets ask for more than lower devices: volumes of a pool, blocks of another mapping, keys
    /// in keyrings, a target of some type below, a kind of queue below.
    pub demanding: Vec<ChangeId>,
    /// The changes whose devices can't be judged.
    pub unknown: Vec<ChangeId>,
    /// The changes that ask for values which the kernel would take and ignore, each with those values.
    pub ignored: Vec<(ChangeId, Vec<IgnoredValue>)>,
    /// The changes whose live tables could not be loaded again, each with an obstacle to that.
    pub warnings: Vec<(ChangeId, Obstacle)>,
    /// The changes that make a snapshot.
    pub snapshots: Vec<ChangeId>,
    /// The changes whose tables write the origin of snapshots.
    pub writers: Vec<ChangeId>,
    /// The origins of new snapshots, where they exist.
    pub origins: Vec<DevNum>,
    /// The changes that need steps.
    pub busy: Vec<ChangeId>,
    /// Whether a mapping is protected or replaced.
    pub guarded: bool,
    /// The devices of mappings that a step may change.
    pub touched: Vec<DevNum>,
    /// The devices that mappings use after the plan and not before, some more than once.
    pub entered: Vec<DevNum>,
    /// Whether a table may take sectors that the live one does not use.
    pub takes: bool,
    /// The lower devices of tables that may take sectors which the live ones do not use, some more than once.
    pub grounds: Vec<DevNum>,
}

impl ChangeIndex {
    /// Adds `change` to the lists that it belongs to.
    pub(crate) fn note(&mut self, id: ChangeId, change: &Change<'_>) {
        if change.rows.iter().any(is_demanding) {
            self.demanding.push(id);
        }
        if matches!(change.drift, Drift::Unknown(_)) {
            self.unknown.push(id);
        }
        if !change.is_settled() {
            self.busy.push(id);
        }
        self.note_origins(id, change);
        self.guarded |= change.mapping.protect || change.is_replaced();
        self.touched.extend(change.number().filter(|_| is_touched(change)));
        // Many mappings use one disk, one after the other.
        let last = self.entered.last().copied();
        self.entered.extend(change.entered_devices().iter().filter(|number| Some(**number) != last));
        if change.takes_sectors() {
            self.takes = true;
            let last = self.grounds.last().copied();
            let new = change.new_lower_devices().iter();
            self.grounds.extend(new.filter(|number| Some(**number) != last));
        }
    }
}

impl ChangeIndex {
    /// Adds `change` to the lists of snapshots and their origins.
    fn note_origins(&mut self, id: ChangeId, change: &Change<'_>) {
        if change.rows.iter().all(|row| row.target.origin_use().is_none()) {
            return;
        }
        if origin::written(change).next().is_some() {
            self.writers.push(id);
        }
        let taken = origin::taken(change);
        if !taken.is_empty() {
            self.snapshots.push(id);
        }
        self.origins.extend(taken.into_iter().filter_map(Origin::number));
    }
}

/// Whether a row asks for more than lower devices.
fn is_demanding(row: &Row) -> bool {
    let target = &row.target;
    target.volume().is_some()
        || target.handover().is_some()
        || target.needs_below().is_some()
        || target.needs_queue().is_some()
        || !target.keyring_keys().is_empty()
}

/// Whether a step may change the device of a mapping.
fn is_touched(change: &Change<'_>) -> bool {
    let suspended = change.device().is_some_and(|device| device.info.suspended);
    !matches!(change.drift, Drift::InSync | Drift::Unknown(_) | Drift::AbsentOk | Drift::RemovalPending)
        || suspended != (change.mapping.state == State::Suspended)
}
