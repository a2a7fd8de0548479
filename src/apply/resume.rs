//! Resumes a device that was left suspended.

use super::journal::{UndoEntry, UndoLog};
use super::rows;
use crate::kernel::{ChangeKernel, Id, KernelError, Slot};
use crate::table::{ReadTable, Row};
use crate::targets::SizeTaken;

/// Resumes a device on the table that it has. A table whose target reads its metadata while suspended is loaded again
/// first: if the device is suspended because a disk failed, the target's copy in memory may be damaged, and would then be
/// written to the disk (`era_preresume` in `drivers/md/dm-era-target.c` commits it). So is one that took the size of a
/// lower device when it was loaded: the device may have grown since, and a cache does not resume then (`can_resume` in
/// `drivers/md/dm-cache-target.c`).
pub(crate) fn resume(kernel: &dyn ChangeKernel, journal: &UndoLog, id: &Id) -> Result<(), KernelError> {
    let found = kernel.device(id, Slot::Live)?;
    let Some(now) = found.filter(|now| now.info.suspended && loads_late(&now.table)) else {
        return kernel.resume(id);
    };
    kernel.load(id, &rows::to_load_again(&now.table), now.info.access())?;
    journal.push(UndoEntry::Loaded { id: id.clone(), name: now.info.name });
    kernel.resume(id)
}

fn loads_late(table: &ReadTable) -> bool {
    let rows = table.understood().unwrap_or_default();
    let takes_size = |row: &Row| {
        let lowers = row.lower_devices();
        lowers.iter().any(|lower| lower.size == SizeTaken::AtLoad)
    };
    rows.iter().any(|row| row.target.traits().suspend_before_load || takes_size(row))
}
