//! Suspends the devices through which the origin of a snapshot is written, while snapshots of it are made.
//!
//! As in a swap, nothing is logged and nothing is waited for while they are suspended: tables are loaded before, and only
//! resumes come between. Which devices these are tells `crate::plan::Held`, and where a rollback brings a snapshot back,
//! the kernel.

use super::error::Failure;
use super::journal::{UndoEntry, UndoLog};
use crate::identity::{DevNum, Name};
use crate::kernel::{ChangeKernel, DeviceState, Id, KernelError, ReadKernel, Slot, Suspend};
use crate::plan::{Held, Step};
use crate::table::{self, RawRow};
use crate::targets::OriginUse;

/// A device that is suspended.
struct Suspended {
    id: Id,
    name: Name,
}

/// Does `work` while the devices in `held` are suspended, upper ones first. A device that is suspended already stays so,
/// and one that is gone is passed over. A device that can't be resumed is noted in the journal. `step` is named where the
/// kernel refuses a call.
pub(crate) fn around(
    kernel: &dyn ChangeKernel,
    journal: &UndoLog,
    held: &[Held],
    step: &Step,
    work: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    match suspend(kernel, held) {
        (suspended, Ok(())) => {
            let outcome = work();
            let resumed = resume(kernel, journal, suspended);
            outcome.and(resumed.map_err(|error| Failure::new(step, error)))
        }
        (suspended, Err(error)) => {
            // What is noted in the journal is told by the rollback.
            let _ = resume(kernel, journal, suspended);
            Err(Failure::new(step, error))
        }
    }
}

/// Suspends the devices that serve I/O. Returns those that must be resumed.
fn suspend(kernel: &dyn ChangeKernel, held: &[Held]) -> (Vec<Suspended>, Result<(), KernelError>) {
    let mut suspended = Vec::with_capacity(held.len());
    let active: Result<Vec<_>, _> = held.iter().filter_map(|held| active(kernel, held).transpose()).collect();
    let active = match active {
        Ok(active) => active,
        Err(error) => return (suspended, Err(error)),
    };
    for (device, how) in active {
        if let Err(error) = kernel.suspend(&device.id, how) {
            return (suspended, Err(error));
        }
        suspended.push(device);
    }
    (suspended, Ok(()))
}

/// Resumes every device, lower ones first, and returns the first error.
fn resume(
    kernel: &dyn ChangeKernel,
    journal: &UndoLog,
    suspended: Vec<Suspended>,
) -> Result<(), KernelError> {
    let (mut outcome, mut left) = (Ok(()), Vec::new());
    for device in suspended.into_iter().rev() {
        if let Err(error) = resume_one(kernel, &device) {
            outcome = outcome.and(Err(error));
            left.push(device);
        }
    }
    // The last entry is undone first: a lower device before those above it.
    for Suspended { id, name } in left.into_iter().rev() {
        journal.push(UndoEntry::Suspended { id, name });
    }
    outcome
}

/// Returns the device if it serves I/O. A table that was left in its inactive slot is cleared: the resume would make it
/// live.
fn active(kernel: &dyn ChangeKernel, held: &Held) -> Result<Option<(Suspended, Suspend)>, KernelError> {
    let id = held.id();
    let found = kernel.device(&id, Slot::Live)?;
    let Some(found) = found.filter(|found| found.info.live_table && !found.info.suspended) else {
        return Ok(None);
    };
    if found.info.inactive_table {
        kernel.clear(&id)?;
    }
    Ok(Some((Suspended { id, name: found.info.name }, held.how)))
}

fn resume_one(kernel: &dyn ChangeKernel, device: &Suspended) -> Result<(), KernelError> {
    let Err(error) = kernel.resume(&device.id).or_else(|_| kernel.resume(&device.id)) else { return Ok(()) };
    if matches!(kernel.device(&device.id, Slot::Live), Ok(None)) {
        return Ok(());
    }
    Err(error)
}

/// A device that is resumed, and the table that this makes live.
pub(crate) struct Resuming<'r> {
    pub rows: &'r [RawRow],
    pub id: &'r Id,
}

/// Resumes a device with a table that may have snapshots, while the devices that write their origins are suspended.
/// What can't be resumed is noted in `log`: the device itself has its table all the same.
pub(crate) fn around_resume(
    kernel: &dyn ChangeKernel,
    log: &UndoLog,
    Resuming { rows, id }: &Resuming<'_>,
    resume_device: impl FnOnce() -> Result<(), KernelError>,
) -> Result<(), KernelError> {
    let held = writers(kernel, rows, id)?;
    if held.is_empty() {
        return resume_device();
    }
    let (suspended, outcome) = suspend(kernel, &held);
    let outcome = outcome.and_then(|()| resume_device());
    let _ = resume(kernel, log, suspended);
    outcome
}

/// Finds the active devices that write the origins of the snapshots in `rows`, apart from `own`.
fn writers(kernel: &dyn ReadKernel, rows: &[RawRow], own: &Id) -> Result<Vec<Held>, KernelError> {
    let rows = table::understand(rows).unwrap_or_default();
    let origins: Vec<DevNum> = rows
        .iter()
        .filter_map(|row| match row.target.origin_use() {
            Some(OriginUse::Keeps { origin, .. }) => origin.number,
            _ => None,
        })
        .collect();
    let mut writers = Vec::new();
    if origins.is_empty() {
        return Ok(writers);
    }
    let mut holders = Vec::new();
    for origin in &origins {
        holders.extend(kernel.users(*origin)?.holders);
    }
    for listed in kernel.list()?.into_iter().filter(|listed| holders.contains(&listed.number)) {
        let id = Id::stable(&listed.name, listed.uuid.as_ref());
        let device = kernel.device(&id, Slot::Live)?.filter(|_| id != *own);
        if device.is_some_and(|device| writes(&device, &origins)) {
            writers.push(Held {
                mapping: None,
                name: listed.name,
                uuid: listed.uuid,
                number: listed.number,
                how: Suspend::default(),
            });
        }
    }
    Ok(writers)
}

fn writes(device: &DeviceState, origins: &[DevNum]) -> bool {
    let rows = device.table.understood().unwrap_or_default();
    rows.iter().any(|row| match row.target.origin_use() {
        Some(OriginUse::Writes(device)) => device.number.is_some_and(|number| origins.contains(&number)),
        _ => false,
    })
}
