//! Holds a table against what its lower devices hold on disk: the metadata of earlier loads, and the room that grew.

use super::conflict::Obstacle;
use super::lower_devices::LowerDevices;
use crate::device::Device;
use crate::diff::{Difference, TableDiff};
use crate::sector_map::SectorMap;
use crate::table::{self, Row};
use crate::targets::{Contradiction, Found, OnDisk, SizeTaken, Target};

/// Returns the length that the metadata of a target and the sizes of its lower devices allow. Where these can't be
/// read, as on a suspended device, it is the length of the live row.
pub(super) fn length(target: &dyn Target, lowers: LowerDevices<'_, '_>) -> Option<u64> {
    let (places, heads) = (target.metadata(), lowers.observed.head_bytes(lowers.changes.map, target));
    let size_of = |device: &Device| lowers.size(device);
    let on_disk = OnDisk {
        places: &places,
        heads: &heads,
        length: 0,
        size_of: &size_of,
        live: lowers.device.is_some(),
    };
    let live = lowers.device.and_then(|device| device.table.first());
    target
        .length_on_disk(&on_disk)
        .or_else(|| live.filter(|live| live.kind == target.kind()).map(|live| live.length))
}

/// Finds what the metadata on disk contradicts in a table that is to be loaded.
pub(super) fn contradictions(rows: &[Row], lowers: LowerDevices<'_, '_>) -> Vec<Obstacle> {
    let found = rows.iter().filter_map(|row| {
        let metadata = row.target.metadata();
        if metadata.is_empty() {
            return None;
        }
        let heads = lowers.observed.head_bytes(lowers.changes.map, row.target.as_ref());
        let live = lowers.live(row);
        let size_of = |device: &Device| lowers.size(device);
        let on_disk = OnDisk {
            places: &metadata,
            heads: &heads,
            length: row.length,
            size_of: &size_of,
            live: live.is_some(),
        };
        let foreign = || {
            let used = live.as_ref().map(|live| live.target.metadata()).unwrap_or_default();
            metadata.iter().zip(&heads).find_map(|(one, head)| {
                let in_use = used.iter().any(|used| used.is_at(one));
                let is_other = (one.look)(head.as_deref()?) == Found::Other;
                (is_other && !in_use).then(|| Contradiction::foreign(one, row.target.kind()))
            })
        };
        row.target.contradiction(&on_disk).or_else(foreign)
    });
    found.map(Obstacle::Contradiction).collect()
}

/// Finds the lower devices that are, or become, shorter than what a target has on them.
pub(super) fn shortages(rows: &[Row], lowers: LowerDevices<'_, '_>) -> Vec<Obstacle> {
    let mut found = Vec::new();
    for row in rows {
        let (places, heads) =
            (row.target.metadata(), lowers.observed.head_bytes(lowers.changes.map, row.target.as_ref()));
        let size_of = |device: &Device| lowers.size(device);
        let live = lowers.live(row).filter(|live| has_same_lowers(row, live));
        let on_disk = OnDisk {
            places: &places,
            heads: &heads,
            length: row.length,
            size_of: &size_of,
            live: live.is_some(),
        };
        let seen = lowers.device.and_then(|device| lowers.observed.by_number(device.info.number));
        let health = seen.and_then(|seen| seen.health.as_deref());
        let state = live.and_then(|live| health?.state(live.start, live.length));
        found.extend(row.target.needs(&on_disk, state).iter().filter_map(|need| {
            let lower = lowers.lower(need.device);
            let cut = || lower.cut().and_then(|(key, size)| need.shortage_below(key, size));
            need.shortage(lower.size()?).or_else(cut)
        }));
    }
    found.into_iter().map(Obstacle::LowerHoldsMore).collect()
}

/// Whether two rows have the same lower devices, in the same order.
fn has_same_lowers(one: &Row, other: &Row) -> bool {
    let numbers = |row: &Row| row.lower_devices().iter().map(|lower| lower.device.number).collect::<Vec<_>>();
    numbers(one) == numbers(other)
}

/// Returns the difference that a lower device makes which has grown, or grows, and which a live table that stays the
/// same would not use.
pub(super) fn outgrown(rows: &[Row], lowers: LowerDevices<'_, '_>) -> Option<TableDiff> {
    let by_metadata = |row: &Row| {
        let heads = lowers.observed.head_bytes(lowers.changes.map, row.target.as_ref());
        let size_of = |device: &Device| lowers.size(device);
        let places = row.target.metadata();
        let on_disk =
            OnDisk { places: &places, heads: &heads, length: row.length, size_of: &size_of, live: true };
        let (device, used) = row.target.outgrown(&on_disk)?;
        Some(Difference::LowerGrew { device: device.into(), used, size: lowers.size(device)? })
    };
    // What a live target counts, where the device grew outside of the plan.
    let by_state = |row: &Row| {
        let seen = lowers.device.and_then(|device| lowers.observed.by_number(device.info.number))?;
        let state = seen.health.as_deref()?.state(row.start, row.length)?;
        let lower = row.lower_devices().into_iter().find(|lower| lower.size == SizeTaken::AtLoad)?;
        let size = lowers.size(lower.device)?;
        let used = state.outgrown_by(size)?;
        Some(Difference::LowerGrew { device: lower.device.into(), used, size })
    };
    let grows = |row: &Row| {
        let taking = row.lower_devices().into_iter().find_map(|lower| {
            let takes = lower.length.is_none() && lower.size.is_used();
            let below = lowers.change(lower.device).filter(|_| takes)?;
            let used = table::sectors(&below.device()?.table);
            let size = below.size.filter(|size| *size > used)?;
            Some(Difference::LowerGrew { device: lower.device.into(), used, size })
        });
        taking.or_else(|| by_metadata(row)).or_else(|| by_state(row))
    };
    let takes = |row: &&Row| row.lower_devices().iter().any(|lower| lower.size.is_used());
    let differences: Vec<Difference> = rows.iter().filter(takes).filter_map(grows).collect();
    let same = || SectorMap::of(rows, rows);
    (!differences.is_empty()).then(|| TableDiff { map: same(), differences, remaps: false })
}
