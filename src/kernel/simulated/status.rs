//! The state of targets: as the file gives it, or as the kernel prints it for a target that was just made.
//!
//! The words of a table count from its load on, but for those that are on disk: what a cache has not written back, which
//! volumes a pool has. [`inherit`] keeps those over a reload.

use nix::errno::Errno;

use super::mapping::{Loaded, Mapping};
use super::model::Model;
use super::refusal::Refusal;
use super::thin::PoolRow;
use crate::device::{Device, Form};
use crate::kernel::{DeviceStatus, Slot, StatusRow};
use crate::table::RawRow;
use crate::targets::{self, FreshRow, LiveRow, SizeTaken, Target, read_state};

/// Returns a mapping with the state of each row of its live table.
pub(super) fn of(model: &Model, mapping: &Mapping) -> DeviceStatus {
    let row = |table: &Loaded, row: &RawRow| StatusRow {
        start: row.start,
        length: row.length,
        kind: row.kind.clone(),
        text: table.states.get(&row.start).cloned().unwrap_or_else(|| fresh(model, row)),
    };
    let live = mapping.live.as_ref();
    let rows = live.map(|table| table.rows.iter().map(|r| row(table, r)).collect()).unwrap_or_default();
    DeviceStatus { info: mapping.state(Slot::Live).info, rows }
}

/// Returns what the kernel prints for a row that was just made.
fn fresh(model: &Model, row: &RawRow) -> String {
    let size_of = |device: &Device| match device.form {
        Form::Number(number) => model.sectors(number),
        Form::Path(_) | Form::Tag(..) | Form::Mapping(_) => model.sectors(model.at_paths(device)?),
    };
    let parsed = targets::parse(&row.kind, row.params()).ok();
    let text = parsed.map(|target| target.fresh_state(FreshRow { length: row.length, size_of: &size_of }));
    let text = text.unwrap_or_default();
    if PoolRow::needs_check(model, row) {
        // The kernel makes the pool, and lets it read alone.
        return text.replacen(" rw ", " ro ", 1).replacen("_space - ", "_space needs_check ", 1);
    }
    text
}

/// Gives a table that is made live what it keeps of the state of the table before it.
pub(super) fn inherit(live: Option<&Loaded>, table: &mut Loaded) {
    let Some(live) = live else { return };
    for row in table.rows.iter() {
        let before = live.rows.iter().find(|before| before.start == row.start && before.kind == row.kind);
        let kept = before.filter(|before| keeps(before, row)).and_then(|row| live.states.get(&row.start));
        let target = || targets::parse(&row.kind, row.params()).ok();
        if let Some((text, target)) = kept.and_then(|text| Some((text, target()?))) {
            table.states.entry(row.start).or_insert_with(|| target.reloaded_state(text));
        }
    }
}

/// Counts the blocks of the fast device of each cache again, as its constructor does, in the words that were given of it.
pub(super) fn recount(model: &Model, table: &mut Loaded) {
    for row in table.rows.iter() {
        let Some(text) = table.states.get_mut(&row.start) else { continue };
        let Some((used, size)) = grown(model, row, text) else { continue };
        let mut words: Vec<String> = text.split(' ').map(str::to_string).collect();
        let Some((unit, tally)) = words.get(2).cloned().zip(words.get_mut(3)) else { continue };
        let unit: u64 = unit.parse().unwrap_or(1);
        *tally = tally.replace(&format!("/{}", used / unit), &format!("/{}", size / unit));
        *text = words.join(" ");
    }
}

/// Refuses to resume a cache whose fast device has more blocks than at its load (`cache_preresume`).
pub(super) fn preresume(model: &Model, live: &Loaded) -> Result<(), Refusal> {
    let mut rows = live.rows.iter().filter_map(|row| grown(model, row, live.states.get(&row.start)?));
    match rows.next() {
        Some(_) => Err(Refusal::new(
            Errno::EINVAL,
            "cache: unable to extend cache due to missing cache table reload; preresume failed, error = -22",
        )),
        None => Ok(()),
    }
}

/// Refuses to resume a cache whose fast device has fewer blocks than it counts, where any is dirty (`can_resize` in
/// `drivers/md/dm-cache-target.c`). The model does not know which ones are.
pub(super) fn shrunk(model: &Model, live: &Loaded) -> Result<(), Refusal> {
    let is_short = |row: &RawRow| {
        let target = targets::parse(&row.kind, row.params()).ok()?;
        let state =
            read_state(target.as_ref(), live.states.get(&row.start)?, LiveRow::of(row.length)).ok()?.state;
        let lower =
            target.lower_devices(row.length).into_iter().find(|lower| lower.size == SizeTaken::AtLoad)?;
        let size = model.sectors(lower.device.number?)?;
        (state.left().is_some() && size < state.in_use()?).then_some(())
    };
    match live.rows.iter().find_map(is_short) {
        Some(()) => Err(Refusal::new(
            Errno::EINVAL,
            "cache: unable to shrink cache due to dirty blocks; preresume failed, error = -22",
        )),
        None => Ok(()),
    }
}

/// Returns what a target counts of a lower device that has more by now, and what that has, both in sectors.
fn grown(model: &Model, row: &RawRow, text: &str) -> Option<(u64, u64)> {
    let target = targets::parse(&row.kind, row.params()).ok()?;
    let live = LiveRow { length: row.length, suspended: true };
    let state = read_state(target.as_ref(), text, live).ok()?.state;
    let lower = target.lower_devices(row.length).into_iter().find(|lower| lower.size == SizeTaken::AtLoad)?;
    let size = model.sectors(lower.device.number?)?;
    Some((state.outgrown_by(size)?, size))
}

/// Whether a row has its state on disk, and the row after it has the same disks.
fn keeps(before: &RawRow, after: &RawRow) -> bool {
    let parse = |row: &RawRow| targets::parse(&row.kind, row.params()).ok();
    let (Some(before), Some(after)) = (parse(before), parse(after)) else { return false };
    let devices = |target: &dyn Target| -> Vec<Device> {
        target.lower_devices(0).iter().map(|lower| lower.device.clone()).collect()
    };
    after.keeps_state() && devices(before.as_ref()) == devices(after.as_ref())
}
