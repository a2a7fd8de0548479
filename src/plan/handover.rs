//! Checks handovers: a mapping takes over blocks from another one. The giver must be suspended first, or the kernel
//! refuses (`snapshot_preresume` in `drivers/md/dm-snap.c`). A suspend is a step of the end, so it takes an apply of its
//! own.

use super::change::Change;
use super::changes::Changes;
use super::conflict::{Conflict, Obstacle};
use crate::identity::DevNum;
use crate::observed::{Observed, Seen};
use crate::table::ReadTable;
use crate::targets::Handover;

/// Returns a conflict for each giver that is not suspended.
pub(crate) fn conflicts(changes: &Changes<'_>, observed: &Observed) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    for change in changes.demanding() {
        for number in taken(change) {
            let mut others =
                observed.devices.iter().filter(|seen| Some(seen.listed.number) != change.number());
            let Some(giver) = others.find(|seen| is_active(seen) && has_blocks(seen, number)) else {
                continue;
            };
            conflicts.push(Conflict {
                mapping: change.mapping.key.clone(),
                name: change.mapping.name.clone(),
                reason: Obstacle::HandoverActive { giver: giver.listed.name.clone(), number },
            });
        }
    }
    conflicts
}

/// Returns the devices whose blocks a mapping takes over with its new table.
pub(crate) fn taken(change: &Change<'_>) -> impl Iterator<Item = DevNum> {
    change.new_rows().iter().filter_map(|row| match row.target.handover()? {
        Handover::Takes(device) => device.number,
        Handover::Gives(_) => None,
    })
}

fn is_active(seen: &Seen) -> bool {
    seen.mapped.as_ref().is_some_and(|mapped| !mapped.info.suspended)
}

fn has_blocks(seen: &Seen, number: DevNum) -> bool {
    seen.mapped.as_ref().is_some_and(|mapped| gives(&mapped.table, number))
}

/// Whether the device of a table has blocks on a device that another one may take over.
pub(crate) fn gives(table: &ReadTable, number: DevNum) -> bool {
    table.readable().iter().any(|row| match row.target.handover() {
        Some(Handover::Gives(device)) => device.number == Some(number),
        _ => false,
    })
}
