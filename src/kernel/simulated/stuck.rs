//! Calls that would never return: I/O of a mounted file system, or of a target's own, waits for a device below that is
//! suspended.
//!
//! To freeze a file system writes what it holds back, and to thaw it goes on with what waited (`freeze_bdev` and `thaw_bdev` in
//! `block/bdev.c`). Targets read and write their metadata. The running kernel hangs then. This one refuses the call, so that
//! a test that runs into it ends.

use std::collections::HashSet;

use nix::errno::Errno;

use super::mapping::Mapping;
use super::model::Model;
use super::refusal::Refusal;
use super::status;
use crate::identity::DevNum;
use crate::kernel::StatusRow;
use crate::table::RawRow;
use crate::targets::{self, LiveRow, OwnIo, read_state};

/// Refuses to freeze a file system on a device above one that is suspended.
pub(super) fn frozen(model: &Model, number: DevNum) -> Result<(), Refusal> {
    let is_frozen = model.mapping(number).is_some_and(|mapping| mapping.suspended);
    if is_frozen { Ok(()) } else { thawed(model, number) }
}

/// Refuses to let a file system on a device go on above one that is suspended.
pub(super) fn thawed(model: &Model, number: DevNum) -> Result<(), Refusal> {
    if model.mapping(number).is_none_or(|mapping| mapping.mounts.is_empty()) {
        return Ok(());
    }
    match suspended_below(model, number) {
        None => Ok(()),
        Some(below) => Err(Refusal::new(
            Errno::EDEADLK,
            format!(
                "the file system on {number} waits for {below}, which is suspended: the running kernel hangs here"
            ),
        )),
    }
}

/// Refuses to load a table whose targets read a device at or above one that is suspended.
pub(super) fn loaded(model: &Model, number: DevNum, rows: &[RawRow]) -> Result<(), Refusal> {
    let live = model.mapping(number).and_then(|mapping| mapping.live.as_ref());
    let live = live.map_or(&[][..], |live| &live.rows);
    own_io(model, rows, &|row, device, own_io| {
        let is_known = live.iter().any(|old| old.kind == row.kind && devices(old).contains(&device));
        own_io.is_for_a_load(is_known)
    })
}

/// Refuses to make the inactive table live whose targets then read such a device, or where the live one writes to it.
pub(super) fn swapped(model: &Model, number: DevNum) -> Result<(), Refusal> {
    let Some(Mapping { inactive: Some(new), live, suspended, .. }) = model.mapping(number) else {
        return Ok(());
    };
    own_io(model, &new.rows, &|_, _, own_io| own_io.is_for_a_load(true))?;
    let old = live.as_ref().map_or(&[][..], |live| &live.rows);
    own_io(model, old, &|_, _, own_io| own_io == OwnIo::End || own_io == OwnIo::EachChange && !suspended)
}

/// Refuses to suspend a device whose targets write to such a device then. What is left to be written is not known here, so
/// those that write only that are taken for clean.
pub(super) fn suspended(model: &Model, number: DevNum) -> Result<(), Refusal> {
    ended(model, number, &[OwnIo::EachChange, OwnIo::Copies])
}

/// Refuses a message to a pool whose metadata is on such a device: each is a transaction.
pub(super) fn messaged(model: &Model, number: DevNum) -> Result<(), Refusal> {
    let Some(mapping) = model.mapping(number).filter(|mapping| !mapping.suspended) else { return Ok(()) };
    let live = mapping.live.as_ref().map_or(&[][..], |live| &live.rows);
    own_io(model, live, &|_, _, own_io| own_io == OwnIo::EachChange)
}

/// Refuses to remove a device whose targets write to such a device then.
pub(super) fn removed(model: &Model, number: DevNum) -> Result<(), Refusal> {
    ended(model, number, &[OwnIo::EachChange, OwnIo::End, OwnIo::Copies])
}

fn ended(model: &Model, number: DevNum, which: &[OwnIo]) -> Result<(), Refusal> {
    let Some(mapping) = model.mapping(number).filter(|mapping| !mapping.suspended) else { return Ok(()) };
    let live = mapping.live.as_ref().map_or(&[][..], |live| &live.rows);
    let copying = copying(model, mapping);
    own_io(model, live, &|row, _, own_io| which.contains(&own_io) || copying.contains(&row.start))
}

/// Returns the first sectors of the rows whose targets copy data by themselves, as their states tell.
fn copying(model: &Model, mapping: &Mapping) -> Vec<u64> {
    let copies = |row: &&StatusRow| {
        let live = mapping.live.iter().flat_map(|live| live.rows.iter()).find(|live| live.start == row.start);
        let target = live.and_then(|live| targets::parse(&live.kind, live.params()).ok());
        let live = LiveRow { length: row.length, suspended: false };
        let read = target.and_then(|target| read_state(target.as_ref(), &row.text, live).ok());
        read.is_some_and(|read| read.state.may_copy())
    };
    status::of(model, mapping).rows.iter().filter(copies).map(|row| row.start).collect()
}

/// Refuses a call in which the targets of `rows` do I/O of their own that would wait.
fn own_io(
    model: &Model,
    rows: &[RawRow],
    waits: &dyn Fn(&RawRow, DevNum, OwnIo) -> bool,
) -> Result<(), Refusal> {
    for row in rows {
        let Ok(target) = targets::parse(&row.kind, row.params()) else { continue };
        for lower in target.lower_devices(row.length) {
            let Some(device) = lower.device.number.filter(|device| waits(row, *device, lower.own_io)) else {
                continue;
            };
            let itself = model.mapping(device).is_some_and(|mapping| mapping.suspended);
            if let Some(below) = if itself { Some(device) } else { suspended_below(model, device) } {
                return Err(Refusal::new(
                    Errno::EDEADLK,
                    format!(
                        "{} waits for {below}, which is suspended: the running kernel hangs here",
                        row.kind
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// Lists the devices in a row.
fn devices(row: &RawRow) -> Vec<DevNum> {
    let target = targets::parse(&row.kind, row.params()).ok();
    let lowers = target.iter().flat_map(|target| target.lower_devices(row.length));
    lowers.filter_map(|lower| lower.device.number).collect()
}

fn suspended_below(model: &Model, number: DevNum) -> Option<DevNum> {
    let (mut seen, mut left) = (HashSet::new(), lowers(model, number));
    while let Some(number) = left.pop() {
        if model.mapping(number).is_some_and(|mapping| mapping.suspended) {
            return Some(number);
        }
        if seen.insert(number) {
            left.extend(lowers(model, number));
        }
    }
    None
}

/// Returns the devices directly below one, by its live table.
fn lowers(model: &Model, number: DevNum) -> Vec<DevNum> {
    match model.mapping(number) {
        Some(mapping) => mapping.live.iter().flat_map(|live| live.devices.iter().copied()).collect(),
        None => model.lower(number),
    }
}
