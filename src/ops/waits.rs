//! Refuses calls that would never end, for a target would do I/O of its own to a device that is suspended; and a suspend that
//! no resume would end.

use super::find::stable_id;
use super::{OpError, rows};
use crate::identity::{Called, DevNum};
use crate::kernel::{DeviceState, Id, KernelError, ReadKernel, Slot};
use crate::stack::Reach;
use crate::table::RawRow;
use crate::targets::{self, DeviceUse, LiveRow, OwnIo, SizeTaken, read_state};

/// Refuses to load this table: to a new device, or over the live one.
pub(super) fn refuse_load(
    kernel: &dyn ReadKernel,
    table: &[RawRow],
    live: Option<&DeviceState>,
) -> Result<(), OpError> {
    let live = live.map_or(&[][..], |live| &live.table);
    refuse(kernel, table, &|row, device, own_io| {
        let is_known = live.iter().any(|old| old.kind == row.kind && rows::devices(old).contains(&device));
        own_io.is_for_a_load(is_known)
    })
}

/// Refuses to make the table in the inactive slot live.
pub(super) fn refuse_swap_to(kernel: &dyn ReadKernel, table: &[RawRow]) -> Result<(), OpError> {
    refuse(kernel, table, &|_, _, own_io| own_io.is_for_a_load(true))
}

/// Refuses to suspend a device.
pub(super) fn refuse_suspend(kernel: &dyn ReadKernel, device: &DeviceState) -> Result<(), OpError> {
    refuse_of_active(kernel, device, OwnIo::is_for_a_suspend)
}

/// Refuses to take a table away.
pub(super) fn refuse_end(kernel: &dyn ReadKernel, device: &DeviceState) -> Result<(), OpError> {
    refuse_of_active(kernel, device, OwnIo::is_for_an_end)
}

/// Refuses a message to a target that keeps a list of volumes: each is a transaction.
pub(super) fn refuse_message(
    kernel: &dyn ReadKernel,
    device: &DeviceState,
    row: &RawRow,
) -> Result<(), OpError> {
    let lists = targets::parse(&row.kind, row.params()).is_ok_and(|target| target.volume_list().is_some());
    if !lists || device.info.suspended {
        return Ok(());
    }
    refuse(kernel, std::slice::from_ref(row), &|_, _, own_io| own_io.is_for_a_suspend())
}

/// Refuses to suspend, or to resume with the same table, a device that the kernel does not resume before its table is loaded
/// again, for a lower device has grown (`cache_preresume` in `drivers/md/dm-cache-target.c`).
pub(super) fn refuse_outgrown(kernel: &dyn ReadKernel, device: &DeviceState) -> Result<(), OpError> {
    let sized = |row: &RawRow| {
        let target = targets::parse(&row.kind, row.params()).ok()?;
        let sized = |lower: &&DeviceUse<'_>| lower.size == SizeTaken::AtLoad;
        let number = target.lower_devices(row.length).iter().find(sized)?.device.number?;
        Some((row.start, target, number))
    };
    let sized: Vec<_> = device.table.iter().filter_map(sized).collect();
    if sized.is_empty() || !device.info.live_table {
        return Ok(());
    }
    let Some(status) = kernel.status(&stable_id(&device.info))? else { return Ok(()) };
    for (start, target, number) in sized {
        let Some(row) = status.rows.iter().find(|row| row.start == start) else { continue };
        let live = LiveRow { length: row.length, suspended: device.info.suspended };
        let Ok(read) = read_state(target.as_ref(), &row.text, live) else { continue };
        let size = kernel.block_device(number)?.map_or(0, |block| block.sectors);
        if let Some(used) = read.state.outgrown_by(size) {
            return Err(OpError::Outgrown {
                name: device.info.name.clone(),
                kind: target.kind().to_string(),
                lower: called(kernel, number)?,
                used,
                size,
            });
        }
    }
    Ok(())
}

/// The device that is suspended already has written what it had.
fn refuse_of_active(
    kernel: &dyn ReadKernel,
    device: &DeviceState,
    waits: fn(OwnIo) -> bool,
) -> Result<(), OpError> {
    if device.info.suspended || !device.info.live_table {
        return Ok(());
    }
    refuse(kernel, &device.table, &|_, _, own_io| waits(own_io))?;
    refuse(kernel, &copying(kernel, device)?, &|_, _, _| true)
}

/// Returns the rows whose targets may be copying data by themselves. No call for a device that has none.
fn copying(kernel: &dyn ReadKernel, device: &DeviceState) -> Result<Vec<RawRow>, KernelError> {
    let target_of = |row: &RawRow| {
        let target = targets::parse(&row.kind, row.params()).ok()?;
        target.unfinished().is_some().then_some(target)
    };
    if device.table.iter().all(|row| target_of(row).is_none()) {
        return Ok(Vec::new());
    }
    let Some(status) = kernel.status(&stable_id(&device.info))? else { return Ok(Vec::new()) };
    let copies = |row: &&RawRow| {
        let Some(target) = target_of(row) else { return false };
        let live = LiveRow { length: row.length, suspended: device.info.suspended };
        let Some(words) = status.rows.iter().find(|words| words.start == row.start) else { return false };
        read_state(target.as_ref(), &words.text, live).is_ok_and(|read| read.state.may_copy())
    };
    Ok(device.table.iter().filter(copies).cloned().collect())
}

fn refuse(
    kernel: &dyn ReadKernel,
    table: &[RawRow],
    waits: &dyn Fn(&RawRow, DevNum, OwnIo) -> bool,
) -> Result<(), OpError> {
    for row in table {
        let Ok(target) = targets::parse(&row.kind, row.params()) else { continue };
        for lower in target.lower_devices(row.length) {
            let Some(number) = lower.device.number.filter(|number| waits(row, *number, lower.own_io)) else {
                continue;
            };
            if let Some(found) = suspended(kernel, number)? {
                return Err(OpError::SuspendedBelow {
                    kind: row.kind.to_string(),
                    lower: called(kernel, number)?,
                    is_own: found.uuid.as_ref().and_then(crate::identity::Uuid::parts).is_some(),
                    suspended: found.name,
                });
            }
        }
    }
    Ok(())
}

/// Returns the suspended device that a device is, or is on.
fn suspended(kernel: &dyn ReadKernel, first: DevNum) -> Result<Option<crate::kernel::Info>, KernelError> {
    let listed = kernel.list()?;
    let mut reach = Reach::from_iter([first]);
    while let Some(number) = reach.next() {
        let mapped = listed.iter().find(|device| device.number == number);
        let mapped = mapped.map(|device| Id::stable(&device.name, device.uuid.as_ref()));
        match mapped.map(|id| kernel.device(&id, Slot::Live)).transpose()?.flatten() {
            Some(device) if device.info.suspended => return Ok(Some(device.info)),
            Some(device) => reach.extend(device.table.iter().flat_map(rows::devices)),
            None => {
                reach.extend(kernel.block_device(number)?.map(|block| block.lower).unwrap_or_default());
            }
        }
    }
    Ok(None)
}

fn called(kernel: &dyn ReadKernel, number: DevNum) -> Result<Called, KernelError> {
    let listed = kernel.list()?.into_iter().find(|device| device.number == number);
    let name = listed.map(|device| device.name.to_string()).or_else(|| kernel.driver_name(number));
    Ok(Called { name, number })
}

#[cfg(test)]
mod tests {
    use crate::identity::Name;
    use crate::kernel::Suspend;
    use crate::ops::fixture::{changes, kernel_with, row};
    use crate::ops::{self, Foreign, RemoveOptions};
    use crate::table::RawRow;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    const POOL: &str = "254:0 8:0 128 0";

    #[test]
    fn no_call_waits_above_a_suspended_device() {
        let kernel = kernel_with(&["below", "pool", "free"], |mappings| {
            mappings[0].suspended = true;
            mappings[0].open_count = 1;
            mappings[1].live = Some(vec![row("thin-pool", POOL)]);
        });
        let told = "thin-pool does I/O of its own to below (254:0), and `below` is suspended, so that the call would never \
                    end; run `dmctl resume below --foreign` first";
        let pool = name("pool");
        let suspended = ops::suspend(&kernel, &pool, Suspend::default(), Foreign::Allow).unwrap_err();
        assert_eq!(suspended.to_string(), told);
        let zeros = RawRow::new(0, 8, "error", String::new());
        let reloaded = ops::reload(&kernel, &pool, &[zeros], Foreign::Allow).unwrap_err();
        assert_eq!(reloaded.to_string(), told);
        let options = RemoveOptions { foreign: Foreign::Allow, ..RemoveOptions::default() };
        assert_eq!(ops::remove(&kernel, &pool, options).unwrap_err().to_string(), told);
        let new = RawRow::new(0, 8, "thin-pool", POOL.to_string());
        let loaded = ops::reload(&kernel, &name("free"), &[new], Foreign::Allow).unwrap_err();
        assert_eq!(loaded.to_string(), told);
        assert_eq!(changes(&kernel), [""; 0]);
    }
}
