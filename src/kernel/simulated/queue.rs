//! How devices take I/O: bio by bio, request by request, or as memory that is addressed directly. The kernel decides at the load
//! of a table whether the device and those below fit each other (`dm_table_determine_type` in `drivers/md/dm-table.c`).

use nix::errno::Errno;

use super::model::Model;
use super::refusal::Refusal;
use super::state::Queue;
use crate::device::Device;
use crate::identity::DevNum;
use crate::kernel::QueueFacts;
use crate::table::RawRow;
use crate::targets::{self, NeededQueue, QueueKind, Target};

/// Returns the queue of a device with this table.
pub(super) fn of(rows: &[Box<dyn Target>]) -> Queue {
    if rows.iter().any(|row| row.takes_requests()) { Queue::Request } else { Queue::Bio }
}

/// Returns the queue of a device with the table of a state file.
pub(super) fn of_rows(rows: &[RawRow]) -> Queue {
    let typed: Vec<_> = rows.iter().filter_map(|row| targets::parse(&row.kind, row.params()).ok()).collect();
    of(&typed)
}

/// Tells how a device takes I/O.
pub(super) fn facts(model: &Model, number: DevNum) -> QueueFacts {
    if let Some(disk) = model.disk(number) {
        let takes_requests = !disk.bio_based && disk.partition.is_none();
        return QueueFacts { takes_requests, is_memory: disk.dax };
    }
    let Some(mapping) = model.mapping(number) else { return QueueFacts::default() };
    QueueFacts { takes_requests: mapping.queue == Some(Queue::Request), is_memory: is_memory(model, number) }
}

/// Whether all of a mapping is memory (`dm_table_supports_dax`).
fn is_memory(model: &Model, number: DevNum) -> bool {
    let Some(live) = model.mapping(number).and_then(|mapping| mapping.live.as_ref()) else { return false };
    let row = |row: &RawRow| {
        let Ok(typed) = targets::parse(&row.kind, row.params()) else { return false };
        let lowers = typed.lower_devices(row.length);
        let lower = |device: &Device| device.number.is_some_and(|number| facts(model, number).is_memory);
        typed.traits().passes_memory && lowers.iter().all(|used| lower(used.device))
    };
    live.rows.iter().all(row)
}

/// Refuses a target that needs memory below, where that is none.
pub(super) fn memory(model: &Model, typed: &dyn Target) -> Result<(), Refusal> {
    let wrong = lacks(model, typed, QueueKind::Memory, |facts| facts.is_memory);
    if wrong {
        return Err(Refusal::new(
            Errno::EOPNOTSUPP,
            format!("{}: Unable to map persistent memory for cache", typed.kind()),
        ));
    }
    Ok(())
}

/// Refuses a table of requests over devices that take none.
pub(super) fn requests(model: &Model, rows: &[Box<dyn Target>]) -> Result<(), Refusal> {
    let wrong = |row: &dyn Target| lacks(model, row, QueueKind::Requests, |facts| facts.takes_requests);
    if rows.iter().any(|row| wrong(row.as_ref())) {
        return Err(Refusal::invalid("table load rejected: including non-request-stackable devices"));
    }
    Ok(())
}

fn lacks(model: &Model, typed: &dyn Target, wanted: QueueKind, has: fn(QueueFacts) -> bool) -> bool {
    let Some(NeededQueue { devices, kind }) = typed.needs_queue() else { return false };
    let mut numbers = devices.iter().filter_map(|device| device.number);
    kind == wanted && numbers.any(|number| !has(facts(model, number)))
}
