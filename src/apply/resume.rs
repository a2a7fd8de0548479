//! Resumes a device that was left suspended.

use super::journal::{UndoEntry, UndoLog};
use super::rows;
use crate::diff;
use crate::kernel::{ChangeKernel, Id, KernelError, Slot};
use crate::table::RawRow;

/// Resumes a device on the table that it has. A table whose target reads its metadata while suspended is loaded again
/// first: if the device is suspended because a disk failed, the target's copy in memory may be damaged, and would then be
/// written to the disk (`era_preresume` in `drivers/md/dm-era-target.c` commits it).
pub(crate) fn resume(kernel: &dyn ChangeKernel, journal: &UndoLog, id: &Id) -> Result<(), KernelError> {
    let found = kernel.device(id, Slot::Live)?;
    let Some(now) = found.filter(|now| now.info.suspended && loads_late(&now.table)) else {
        return kernel.resume(id);
    };
    kernel.load(id, &rows::to_load_again(&now.table), now.info.access())?;
    journal.push(UndoEntry::Loaded { id: id.clone(), name: now.info.name });
    kernel.resume(id)
}

fn loads_late(table: &[RawRow]) -> bool {
    let rows = diff::understand(table).unwrap_or_default();
    rows.iter().any(|row| row.target.traits().suspend_before_load)
}
