//! Conflicts of what could not be seen: nothing is planned on a guess about a device.

use std::collections::HashSet;

use super::change::Change;
use super::changes::Changes;
use super::conflict::{Conflict, Obstacle};
use super::unseen_fact::UnseenFact;
use crate::device::Written;
use crate::identity::DevNum;
use crate::observed::Observed;
use crate::table::Row;
use crate::targets::Metadata;

/// Returns a conflict for each new table that depends on what could not be seen.
pub(crate) fn conflicts(changes: &Changes<'_>, observed: &Observed) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    for id in &changes.index.busy {
        let change = &changes.all[*id];
        for &number in change.entered_devices() {
            if let Some(unseen) = observed.unseen_use(number) {
                let fact = UnseenFact::Users(written(change, number).ok_or(number), unseen.clone());
                conflicts.push(conflict(change, fact));
            }
        }
    }
    for (key, devices) in observed.unread_metadata() {
        let Some(change) = changes.get(key) else { continue };
        let formatted = devices.iter().filter(|device| is_entered(change, device));
        conflicts.extend(formatted.map(|device| conflict(change, UnseenFact::Metadata(device.clone()))));
    }
    conflicts
}

fn conflict(change: &Change<'_>, fact: UnseenFact) -> Conflict {
    Conflict {
        mapping: change.mapping.key.clone(),
        name: change.mapping.name.clone(),
        reason: Obstacle::Unseen(Box::new(fact)),
    }
}

/// Returns the device with this number as the map writes it.
fn written(change: &Change<'_>, number: DevNum) -> Option<Written> {
    let mut shown = change.rows.iter().flat_map(Row::lower_devices);
    shown.find(|lower| lower.device.number == Some(number)).map(|lower| lower.device.into())
}

/// Whether the new table has metadata on this device, and the live one does not.
fn is_entered(change: &Change<'_>, device: &Written) -> bool {
    let is_it = |metadata: &Metadata<'_>| metadata.device.form == device.form;
    let wanted = change.new_rows().iter().flat_map(|row| row.target.metadata()).find(is_it);
    let Some(wanted) = wanted else { return false };
    let live = change.device().and_then(|device| device.table.understood().ok()).unwrap_or_default();
    let keeping = live.iter().filter(|row| !row.target.leaves_blank());
    let used: HashSet<Option<DevNum>> =
        keeping.flat_map(|row| row.target.metadata()).map(|metadata| metadata.device.number).collect();
    wanted.device.number.is_none_or(|number| !used.contains(&Some(number)))
}
