//! The refusals of the kernel: when a table is loaded, and when it is made live.
//!
//! The order and the words are those of `dm_table_add_target` and `table_load` in `drivers/md/dm-table.c`
//! and `dm-ioctl.c`. Two checks are in unexpected places: the size of the lower devices is checked at load for the
//! first table of a device only, for later tables at resume; and the lower devices are opened, so claimed, at load.

use std::collections::{BTreeMap, BTreeSet};

use nix::errno::Errno;

use super::bytes::Write;
use super::mapping::Loaded;
use super::model::Model;
use super::refusal::Refusal;
use super::state::Queue;
use super::{ciphers, metadata, queue, tags, thin};
use crate::access::Access;
use crate::block_size::{MisalignedRow, Part, RowBlocks, TableBlocks};
use crate::device::{Device, Form};
use crate::identity::{DevNum, printable};
use crate::redact::redact_quoted;
use crate::table::{RawRow, Table};
use crate::targets::generic::Generic;
use crate::targets::{self, DeviceUse, Mode, Problems, Style, Target, Traits};
use crate::units::{MAX_BYTES, SECTOR};

/// A table that passed the checks and is not in its slot yet.
pub(super) struct Passed {
    pub loaded: Loaded,
    pub queue: Queue,
    /// The writes of the load to the lower devices.
    pub writes: Vec<Write>,
}

/// Checks a table for `holder` as a load does.
pub(super) fn load(
    model: &Model,
    holder: DevNum,
    rows: &[RawRow],
    access: Access,
) -> Result<Passed, Refusal> {
    if rows.is_empty() {
        return Err(Refusal::invalid("no targets specified"));
    }
    let mut passed: Vec<Box<dyn Target>> = Vec::with_capacity(rows.len());
    let (mut printed, mut devices, mut writes) =
        (Table::with_capacity(rows.len()), BTreeSet::new(), Vec::new());
    let mut end = 0;
    for row in rows {
        let fail = |log: &str| Err(Refusal::invalid(format!("{}: {log}", printable(&row.kind))));
        mixes(model, row, &passed, access)?;
        if row.start != end {
            return fail("Gap in table");
        }
        end = match row.start.checked_add(row.length).filter(|end| *end <= MAX_BYTES / SECTOR) {
            Some(end) => end,
            None => return fail("too large device"),
        };
        let typed = construct(model, holder, row, access, &mut devices)?;
        room(model, row, typed.as_ref())?;
        let params = thin::load(model, holder, row, typed.params(Style::Kernel))?;
        writes.extend(metadata::at_load(model, holder, row, typed.as_ref())?);
        let params = metadata::with_header(model, typed.as_ref(), params);
        let params = if row.kind == "raid" { in_kib(&params) } else { params };
        printed.push(RawRow::new(row.start, row.length, &row.kind, params));
        passed.push(typed);
    }
    let loaded = Loaded { rows: printed.into(), access, devices, states: BTreeMap::new() };
    let queue = queue::of(&passed);
    queue::requests(model, &passed)?;
    replaces(model, holder, &loaded, queue)?;
    Ok(Passed { loaded, queue, writes })
}

/// Checks that `row` may follow the rows `before` it in one table.
fn mixes(model: &Model, row: &RawRow, before: &[Box<dyn Target>], access: Access) -> Result<(), Refusal> {
    let kind = printable(&row.kind);
    let fail = |log: &str| Err(Refusal::invalid(format!("{kind}: {log}")));
    if before.first().is_some_and(|first| first.traits().singleton) {
        return fail("target type must appear alone in table");
    }
    if row.length == 0 {
        return fail("zero-length target");
    }
    if row.kind.len() > targets::MAX_TYPE || !model.kernel.has_type(&row.kind) {
        return fail("unknown target type");
    }
    let traits = traits(&row.kind);
    if traits.singleton && !before.is_empty() {
        return fail("singleton target type must appear alone in table");
    }
    if traits.mode == Mode::Writable && access.is_read_only() {
        return fail("target type may not be included in a read-only table");
    }
    let immutable = before.iter().find(|row| row.traits().immutable);
    let mixed = match immutable {
        Some(first) => first.kind() != row.kind,
        None => traits.immutable && !before.is_empty(),
    };
    if mixed { fail("immutable target type cannot be mixed with other target types") } else { Ok(()) }
}

fn traits(kind: &str) -> Traits {
    targets::find(kind).map_or(Traits::PLAIN, |known| known.traits)
}

/// Builds the target of a row, as the constructor of its type does, and opens its devices.
fn construct(
    model: &Model,
    holder: DevNum,
    row: &RawRow,
    access: Access,
    devices: &mut BTreeSet<DevNum>,
) -> Result<Box<dyn Target>, Refusal> {
    let invalid = |log: &dyn std::fmt::Display| Refusal::invalid(format!("{}: {log}", row.kind));
    let mut typed = targets::parse(&row.kind, row.params()).map_err(|error| invalid(&error))?;
    let mut problems = Problems::default();
    typed.check(Some(row.length), &mut problems);
    if let Some(problem) = problems.into_vec().into_iter().next() {
        return Err(invalid(&redact_quoted(&problem.to_string())));
    }
    ciphers::load(row)?;
    if typed.traits().mode == Mode::ReadOnly && access == Access::Writable {
        return Err(invalid(&"Device must be readonly"));
    }
    // `crypt_set_key` in `drivers/md/dm-crypt.c`, before the lower device is opened.
    if typed.keyring_keys().into_iter().any(|key| model.has_key(key) == Some(false)) {
        return Err(Refusal::new(Errno::ENOKEY, format!("{}: Error decoding and setting key", row.kind)));
    }
    let known = targets::find(&row.kind).is_some();
    for device in typed.devices_mut() {
        let Some(number) = lookup(model, device).filter(|number| model.sectors(*number).is_some()) else {
            // A number in the row of an unknown type may not be a device.
            if !known && matches!(device.form, Form::Number(_)) {
                continue;
            }
            let number = matches!(device.form, Form::Number(_));
            let errno = if number { Errno::ENXIO } else { Errno::ENODEV };
            return Err(Refusal::new(errno, format!("{}: Device lookup failed", row.kind)));
        };
        if (model.is_claimed(number) && number != holder) || model.is_shut(number) {
            return Err(Refusal::new(Errno::EBUSY, format!("{}: Device lookup failed", row.kind)));
        }
        device.number = Some(number);
        devices.insert(number);
    }
    tags::load(model, typed.as_ref()).map_err(|log| invalid(&log))?;
    queue::memory(model, typed.as_ref())?;
    for lower in typed.lower_devices(row.length) {
        let block = lower.device.number.map_or(1, |number| model.block(number));
        if let Some(unit) = RowBlocks::broken_unit(&lower, block) {
            return Err(invalid(&format!("Block size is smaller than device logical block size: {unit}")));
        }
    }
    Ok(typed)
}

/// Finds the number of a device as a row names it.
fn lookup(model: &Model, device: &Device) -> Option<DevNum> {
    match &device.form {
        Form::Number(number) => Some(*number),
        Form::Mapping(_) => None,
        Form::Path(_) | Form::Tag(..) => model.at_paths(device),
    }
}

/// Checks that a table may replace the one of the device.
fn replaces(model: &Model, holder: DevNum, new: &Loaded, queue: Queue) -> Result<(), Refusal> {
    let Some(mapping) = model.mapping(holder) else { return Err(Refusal::silent(Errno::ENXIO)) };
    let live = mapping.live.as_ref().and_then(|live| live.rows.first());
    let immutable = live.filter(|row| traits(&row.kind).immutable);
    let wildcard = new.rows.iter().any(|row| row.kind == "error");
    if let Some(old) = immutable
        && !wildcard
        && new.rows.iter().any(|row| row.kind != old.kind)
    {
        return Err(Refusal::invalid(format!("can't replace immutable target type {}", old.kind)));
    }
    match mapping.queue {
        None => limits(model, new).map(drop),
        // `error` works with both queues.
        Some(old) if old != queue && new.rows.iter().any(|row| row.kind != "error") => {
            Err(Refusal::invalid("can't change device type after initial table load."))
        }
        Some(_) => Ok(()),
    }
}

/// Checks that the lower devices are as large as a table needs, and that its rows are aligned to the logical blocks
/// (`dm_calculate_queue_limits`). A device of size 0 is not checked. Returns the logical blocks of a device with the table,
/// in sectors.
pub(super) fn limits(model: &Model, table: &Loaded) -> Result<u64, Refusal> {
    let mut blocks = TableBlocks::default();
    for row in table.rows.iter() {
        let Ok(typed) = targets::parse(&row.kind, row.params()) else { continue };
        let lowers = typed.lower_devices(row.length);
        let own = row_blocks(model, typed.as_ref(), &lowers);
        for lower in &lowers {
            let Some(number) = lower.device.number else { continue };
            let Some(size) = model.sectors(number).filter(|size| *size > 0) else { continue };
            area(model, number, size, lower)?;
            if let Some(wrong) = own.misaligned(lower, model.block(number), Some(size)) {
                let part = if wrong.part == Part::Start { "start" } else { "len" };
                return Err(Refusal::invalid(format!(
                    "{part}={} not aligned to h/w logical block size {} of {}",
                    wrong.odd,
                    wrong.block * SECTOR,
                    model.disk_name(number)
                )));
            }
        }
        blocks.add(row.start, row.length, own);
    }
    match blocks.misaligned() {
        Some(MisalignedRow { start, length, block }) => Err(Refusal::invalid(format!(
            "table line (start sect {start} len {length}) not aligned to h/w logical block size {}",
            block * SECTOR
        ))),
        None => Ok(blocks.block()),
    }
}

/// Returns the logical blocks of a device with this table, in sectors, whether or not its rows are aligned to them.
pub(super) fn block(model: &Model, table: &Loaded) -> u64 {
    let block_of = |row: &RawRow| {
        let typed = targets::parse(&row.kind, row.params()).ok()?;
        Some(row_blocks(model, typed.as_ref(), &typed.lower_devices(row.length)).own())
    };
    table.rows.iter().filter_map(block_of).max().unwrap_or(1)
}

fn row_blocks(model: &Model, typed: &dyn Target, lowers: &[DeviceUse<'_>]) -> RowBlocks {
    RowBlocks::of(typed, lowers, |device| device.number.map_or(1, |number| model.block(number)))
}

/// Checks what a constructor itself checks: that lower devices are as large as the row needs now.
fn room(model: &Model, row: &RawRow, typed: &dyn Target) -> Result<(), Refusal> {
    let too_small = |lower: &DeviceUse<'_>| {
        let (Some(number), Some(length)) = (lower.device.number, lower.length) else { return false };
        lower.size.is_at_load()
            && model.sectors(number).is_some_and(|size| lower.start.saturating_add(length) > size)
    };
    if !typed.lower_devices(row.length).iter().any(too_small) {
        return Ok(());
    }
    let log = match row.kind.as_str() {
        "raid" => "Component device(s) too small",
        "cache" => "Device size larger than cached device",
        "clone" => "Device size larger than destination or source device",
        "integrity" => "Not enough provided sectors for requested mapping size",
        _ => "Device too small",
    };
    Err(Refusal::invalid(format!("{}: {log}", row.kind)))
}

fn area(model: &Model, number: DevNum, size: u64, lower: &DeviceUse<'_>) -> Result<(), Refusal> {
    let (start, Some(length)) = (lower.start, lower.length) else { return Ok(()) };
    if start >= size || start.checked_add(length).is_none_or(|end| end > size) {
        return Err(Refusal::invalid(format!(
            "{} too small for target: start={start}, len={length}, dev_size={size}",
            model.disk_name(number)
        )));
    }
    Ok(())
}

/// Returns the parameters of an array as they are printed: the limit of writes behind is loaded in sectors and
/// printed in KiB (`raid_status` in `drivers/md/dm-raid.c`).
fn in_kib(params: &str) -> String {
    let mut halved = false;
    let words = params.split(' ').map(|word| {
        let kib = word.parse::<u64>().ok().filter(|_| halved).map(|sectors| (sectors / 2).to_string());
        halved = word == "max_write_behind";
        kib.unwrap_or_else(|| word.to_string())
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Reads a table that is in its slot already, whether or not it would pass the checks now. Returns the numbers of no
/// device that it names, too.
pub(super) fn as_found(model: &Model, rows: Table, access: Access) -> (Loaded, BTreeSet<DevNum>) {
    let mut named = BTreeSet::new();
    let rows = rows.into_iter().map(|row| found_row(model, row, &mut named)).collect();
    let (devices, gone) = named.into_iter().partition(|number| exists(model, *number));
    (Loaded { rows, access, devices, states: BTreeMap::new() }, gone)
}

fn exists(model: &Model, number: DevNum) -> bool {
    model.disk(number).is_some() || model.mapping(number).is_some()
}

/// Returns a row with its devices by number, as the kernel prints it. A row that the kernel printed stays as it is.
fn found_row(model: &Model, row: RawRow, named: &mut BTreeSet<DevNum>) -> RawRow {
    let parsed = targets::parse(&row.kind, row.params()).ok();
    let words =
        || Generic::parse(&row.kind, row.params()).ok().map(|typed| Box::new(typed) as Box<dyn Target>);
    let Some(mut typed) = parsed.or_else(words) else { return row };
    let mut written_by_hand = false;
    for device in typed.devices_mut() {
        let number = lookup(model, device);
        named.extend(number);
        if let Some(number) = number.filter(|number| exists(model, *number)) {
            written_by_hand |= !matches!(device.form, Form::Number(_));
            device.number = Some(number);
        }
    }
    if written_by_hand {
        RawRow::new(row.start, row.length, &row.kind, typed.params(Style::Kernel))
    } else {
        row
    }
}
