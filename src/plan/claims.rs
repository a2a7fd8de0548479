//! Finds lower devices that are claimed outside of Device Mapper.
//!
//! Device Mapper claims its lower devices once for all its tables. A device that is mounted, swap space or part of an
//! array has another claimant, and the kernel refuses the table (`bd_prepare_to_claim`).

use std::collections::{BTreeSet, HashMap};

use super::changes::Changes;
use super::conflict::{Claimant, Conflict, Obstacle};
use crate::identity::DevNum;
use crate::observed::Observed;
use crate::table::Row;

/// Returns a conflict for each lower device that a mapping would use, and that has another claimant.
pub(crate) fn conflicts(changes: &Changes<'_>, observed: &Observed) -> Vec<Conflict> {
    let entered: BTreeSet<DevNum> = changes.index.entered.iter().copied().collect();
    let claimed = entered.into_iter().filter_map(|number| Some((number, claimed_by(number, observed)?)));
    let claimed: HashMap<DevNum, Claimant> = claimed.collect();
    let mut conflicts = Vec::new();
    if claimed.is_empty() {
        return conflicts;
    }
    for change in &changes.all {
        for &number in change.entered_devices() {
            let Some(by) = claimed.get(&number) else { continue };
            let shown = change.rows.iter().flat_map(Row::lower_devices);
            let shown = shown.map(|lower| lower.device).find(|device| device.number == Some(number));
            conflicts.push(Conflict {
                mapping: change.mapping.key.clone(),
                name: change.mapping.name.clone(),
                reason: Obstacle::LowerClaimed {
                    device: shown.map(Into::into).ok_or(number),
                    by: by.clone(),
                },
            });
        }
    }
    conflicts
}

/// Returns the claimant of a device. A lower device of a mapped device is open to all mapped devices.
fn claimed_by(number: DevNum, observed: &Observed) -> Option<Claimant> {
    let users = observed.users(number)?;
    if users.holders.iter().any(|holder| observed.by_number(*holder).is_some()) {
        return None;
    }
    if let Some(mount) = users.mounts.first() {
        return Some(Claimant::Mount(mount.clone()));
    }
    if users.swap {
        return Some(Claimant::Swap);
    }
    users.holders.first().map(|holder| Claimant::Holder(observed.name_of(*holder)))
}
