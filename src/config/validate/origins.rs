//! Checks that each snapshot is of the device that its origin is written below: what is written through a snapshot-origin
//! asks the snapshots of its lower device alone, so that one of the snapshot-origin, or of a mapping above it, keeps nothing.

use std::collections::BTreeSet;

use super::super::diagnostic::{Diagnostic, Diagnostics};
use super::super::merge::Merged;
use super::super::model::{Mapping, MappingRow, Mappings};
use super::places::reference;
use crate::device::Device;
use crate::identity::Key;
use crate::stack::Reach;
use crate::targets::OriginUse;

pub(super) fn check(merged: &Merged, diagnostics: &mut Diagnostics) {
    let mappings = &merged.mappings;
    let rows = || {
        let present = mappings.values().filter(|mapping| mapping.is_present());
        present.flat_map(|mapping| {
            mapping.rows.iter().enumerate().map(move |(index, row)| (mapping, index, row))
        })
    };
    let snapshots = rows().filter_map(|(mapping, index, row)| match row.target.origin_use() {
        Some(OriginUse::Keeps { origin, .. }) => Some((mapping, index, origin, origin.key()?)),
        _ => None,
    });
    let mut written: Option<BTreeSet<&Key>> = None;
    for (mapping, index, origin, key) in snapshots {
        let written =
            written.get_or_insert_with(|| rows().filter_map(|(_, _, row)| writes(row)?.key()).collect());
        // What is written through a snapshot-origin of this device asks the snapshot.
        if written.contains(key) {
            continue;
        }
        if let Some((through, below)) = written_below(key, mappings) {
            let row = (!merged.in_part.contains(&mapping.key)).then_some(index);
            let place = reference(mapping, row, key, mappings.get(key));
            diagnostics.push(describe(mapping, origin, through, below).at(place));
        }
    }
}

/// Returns the device that a row writes, where it lets the snapshots of that device keep the old content first.
fn writes(row: &MappingRow) -> Option<&Device> {
    match row.target.origin_use() {
        Some(OriginUse::Writes(device)) => Some(device),
        _ => None,
    }
}

/// Finds a mapping at or below `key` that writes an origin, and the device that it writes.
fn written_below<'m>(key: &'m Key, mappings: &'m Mappings) -> Option<(&'m Mapping, &'m Device)> {
    let mut reach = Reach::from_iter([key]);
    while let Some(key) = reach.next() {
        let Some(mapping) = mappings.get(key).filter(|mapping| mapping.is_present()) else { continue };
        // A thin volume has blocks of its own, whatever else is on the device below its pool.
        for row in mapping.rows.iter().filter(|row| row.target.volume().is_none()) {
            if let Some(below) = writes(row) {
                return Some((mapping, below));
            }
            reach.extend(row.target.lower_devices(0).into_iter().filter_map(|lower| lower.device.key()));
        }
    }
    None
}

fn describe(snapshot: &Mapping, origin: &Device, through: &Mapping, below: &Device) -> Diagnostic {
    let (snapshot, through) = (&snapshot.key, &through.key);
    let message = format!(
        "the snapshot `{snapshot}` would keep nothing: its origin {origin} is written through `{through}`, which is a \
         snapshot-origin of {below}"
    );
    Diagnostic::error(message)
        .label("not the device that is written below")
        .help(format!("write {below} as the origin"))
}
