//! Reads how devices fare.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{DeviceHealth, Fares, Pool, RowHealth, Untold};
use crate::identity::{DevNum, Name};
use crate::kernel::{
    DeviceState, DeviceStatus, Id, Info, KernelError, ListEntry, ReadKernel, Slot, StatusRow,
};
use crate::table::{RawRow, ReadTable};
use crate::targets::{self, FreshRow, Health, LiveRow, Status, Target, Traits, read_state};

/// How often a device is read whose table is replaced meanwhile.
const TRIES: usize = 3;

/// Reads how one device fares; `None` when it does not exist. One call, and another one where a target has a state.
pub fn read(kernel: &dyn ReadKernel, id: &Id) -> Result<Option<DeviceHealth>, KernelError> {
    let Some(state) = kernel.device(id, Slot::Live)? else { return Ok(None) };
    of(kernel, id, state)
}

/// Reads how the device of this state fares; `None` when it does not exist any more. No call where no target has a state.
pub fn of(
    kernel: &dyn ReadKernel,
    id: &Id,
    mut state: DeviceState,
) -> Result<Option<DeviceHealth>, KernelError> {
    for _ in 0..TRIES {
        // The guard is kept over both calls.
        let guard = if hangs_suspended(&state) { Some(kernel.keep_still()) } else { None };
        if let Some(Some(_)) = guard {
            let Some(again) = kernel.device(id, Slot::Live)? else { return Ok(None) };
            state = again;
        }
        let judged = match question(&state, matches!(guard, Some(None))) {
            Question::None => judge(&state, None),
            Question::Refused(why) => refuse(&state, &why),
            Question::Asked => {
                let Some(answer) = kernel.status(id)? else { return Ok(None) };
                if !same_rows(&state.table, &answer.rows) {
                    let Some(again) = kernel.device(id, Slot::Live)? else { return Ok(None) };
                    state = again;
                    continue;
                }
                judge(&state, Some(&answer.rows))
            }
        };
        return Ok(Some(device(state.info, judged)));
    }
    let judged = refuse(&state, &Untold::Changing);
    Ok(Some(device(state.info, judged)))
}

/// Judges an answer about a device that had this table. With another one it can't be told.
pub(crate) fn answered(table: &ReadTable, answer: DeviceStatus) -> DeviceHealth {
    let state = DeviceState { info: answer.info, table: table.clone() };
    let judged = if same_rows(table, &answer.rows) {
        judge(&state, Some(&answer.rows))
    } else {
        refuse(&state, &Untold::Changing)
    };
    device(state.info, judged)
}

/// Whether a target of a live table may have something [left](crate::targets::State::left), so that a plan depends on its
/// state.
pub(crate) fn may_leave(table: &[RawRow]) -> bool {
    let unfinished = |row: &RawRow| {
        let target = targets::parse(&row.kind, row.params()).ok();
        target.is_some_and(|target| target.unfinished().is_some())
    };
    table.iter().any(|row| traits(row).status != Status::None && unfinished(row))
}

/// Whether a plan depends on the state of a target of a live table: something may be left of it, or its metadata may need a
/// repair.
pub(crate) fn may_matter(table: &[RawRow]) -> bool {
    let matters = |row: &RawRow| {
        let target = targets::parse(&row.kind, row.params()).ok();
        target.is_some_and(|target| {
            target.unfinished().is_some() || target.may_need_repair() || target.state_tells_needs()
        })
    };
    table.iter().any(|row| traits(row).status != Status::None && matters(row))
}

/// Whether a target of a live table has a state.
pub fn has_state(table: &[RawRow]) -> bool {
    table.iter().any(|row| traits(row).status != Status::None)
}

/// Whether a look at the state of a device may tell a plan that something is wrong. A target that must not be asked while another
/// process may suspend its device is left to those who ask for nothing else.
pub(crate) fn may_be_unwell(state: &DeviceState) -> bool {
    state.table.iter().any(|row| match traits(row).status {
        Status::Always | Status::WhileActive => true,
        Status::AfterEvent => state.info.event_nr > 0,
        Status::None | Status::HangsSuspended => false,
    })
}

/// Reads how all of these devices fare. A thin volume fares no better than its pool, which is read once.
pub fn all(kernel: &dyn ReadKernel, devices: &[ListEntry]) -> Result<Vec<DeviceHealth>, KernelError> {
    let mut read_devices = Vec::with_capacity(devices.len());
    for entry in devices {
        read_devices.extend(read(kernel, &Id::stable(&entry.name, entry.uuid.as_ref()))?);
    }
    add_pools(kernel, &mut read_devices)?;
    Ok(read_devices)
}

/// Reads how the devices of these states fare, as [`all`] does. No call where no target has a state. A device that does not
/// exist any more is left out.
pub fn all_of<'s>(
    kernel: &dyn ReadKernel,
    states: impl IntoIterator<Item = &'s DeviceState>,
) -> Result<Vec<DeviceHealth>, KernelError> {
    let mut read_devices = Vec::new();
    for state in states {
        let id = Id::stable(&state.info.name, state.info.uuid.as_ref());
        read_devices.extend(of(kernel, &id, state.clone())?);
    }
    add_pools(kernel, &mut read_devices)?;
    Ok(read_devices)
}

/// Reads how the devices of these states fare, as [`all_of`] does, for documents about more than that.
pub(crate) fn fares_of<'s>(
    kernel: &dyn ReadKernel,
    states: impl IntoIterator<Item = &'s DeviceState>,
) -> Result<HashMap<DevNum, Fares>, KernelError> {
    let devices = all_of(kernel, states)?;
    Ok(devices.iter().map(|device| (device.number, Fares::of(device))).collect())
}

/// What to ask the kernel of a device.
enum Question {
    /// No target has a state.
    None,
    /// The state of its rows.
    Asked,
    /// Nothing, for it may not answer.
    Refused(Untold),
}

/// Tells what to ask of a device. `locked`: the lock could not be had that keeps others from suspending it.
fn question(state: &DeviceState, locked: bool) -> Question {
    let hangs = hangs_suspended(state);
    if !has_state(&state.table) {
        Question::None
    } else if hangs && state.info.suspended {
        Question::Refused(Untold::Suspended)
    } else if hangs && locked {
        Question::Refused(Untold::Locked)
    } else {
        Question::Asked
    }
}

/// Whether it has a target that does not answer while it is suspended.
fn hangs_suspended(state: &DeviceState) -> bool {
    state.table.iter().any(|row| traits(row).status == Status::HangsSuspended)
}

/// Returns how the kernel treats the target of a row. What a type does that dmctl does not know is asked.
fn traits(row: &RawRow) -> Traits {
    let unknown = Traits { status: Status::Always, ..Traits::PLAIN };
    targets::find(&row.kind).map_or(unknown, |kind| kind.traits)
}

/// Whether the states are those of the rows of this table.
fn same_rows(table: &[RawRow], rows: &[StatusRow]) -> bool {
    let is_same = |(row, said): (&RawRow, &StatusRow)| {
        (row.start, row.length) == (said.start, said.length) && row.kind == said.kind
    };
    table.len() == rows.len() && table.iter().zip(rows).all(is_same)
}

/// Judges each row by its words; one that the kernel was not asked about by those of a target that was just made.
fn judge(state: &DeviceState, said: Option<&[StatusRow]>) -> Vec<RowHealth> {
    let judge = |(index, row): (usize, &RawRow)| {
        let said = said.and_then(|rows| rows.get(index));
        judge_row(row, state.info.suspended, said.map(|said| said.text.as_str()))
    };
    state.table.iter().enumerate().map(judge).collect()
}

/// Tells of each row with a state that it can't be told.
fn refuse(state: &DeviceState, why: &Untold) -> Vec<RowHealth> {
    let untold = |row: &RawRow| {
        let judged = judge_row(row, state.info.suspended, None);
        let is_quiet = traits(row).status == Status::None;
        if is_quiet { judged } else { RowHealth { reading: Err(why.clone()), ..judged } }
    };
    state.table.iter().map(untold).collect()
}

fn judge_row(row: &RawRow, suspended: bool, text: Option<&str>) -> RowHealth {
    let target = targets::parse(&row.kind, row.params());
    let live = LiveRow { length: row.length, suspended };
    let read = |target: &dyn Target| match text {
        Some(text) => read_state(target, text, live),
        None => {
            read_state(target, &target.fresh_state(FreshRow { length: row.length, size_of: &|_| None }), live)
        }
    };
    let pool = target.as_ref().ok().and_then(|target| target.volume()).and_then(|(pool, _)| pool.number);
    RowHealth {
        start: row.start,
        length: row.length,
        kind: row.kind.clone(),
        text: text.filter(|text| !text.is_empty()).map(|text| redact(&row.kind, text)),
        reading: match &target {
            Ok(target) => read(target.as_ref()).map_err(Untold::Words),
            Err(error) => Err(Untold::Table(error.clone())),
        },
        pool: pool.map(Pool::unread),
    }
}

/// Replaces what may be a key in the words of a target that dmctl does not know. The state of the others holds none.
fn redact(kind: &str, words: &str) -> String {
    if targets::find(kind).is_some() { words.to_string() } else { targets::redact(kind, words) }
}

fn device(info: Info, rows: Vec<RowHealth>) -> DeviceHealth {
    let Info { name, number, uuid, suspended, .. } = info;
    DeviceHealth { name, number, uuid, suspended, rows }
}

/// Adds the health of its pool to each thin volume. A pool that is not among the devices is read.
fn add_pools(kernel: &dyn ReadKernel, devices: &mut [DeviceHealth]) -> Result<(), KernelError> {
    let known = |device: &DeviceHealth| (device.number, (device.name.clone(), device.health()));
    let mut healths: BTreeMap<DevNum, (Name, Health)> = devices.iter().map(known).collect();
    let pools = devices.iter().flat_map(|device| &device.rows).filter_map(|row| row.pool.as_ref());
    let missing: BTreeSet<DevNum> =
        pools.map(|pool| pool.number).filter(|pool| !healths.contains_key(pool)).collect();
    if !missing.is_empty() {
        for entry in kernel.list()?.iter().filter(|entry| missing.contains(&entry.number)) {
            let pool = read(kernel, &Id::stable(&entry.name, entry.uuid.as_ref()))?;
            healths.extend(pool.as_ref().map(known));
        }
    }
    for pool in devices.iter_mut().flat_map(|device| &mut device.rows).filter_map(|row| row.pool.as_mut()) {
        pool.fares = healths.get(&pool.number).cloned();
    }
    Ok(())
}
