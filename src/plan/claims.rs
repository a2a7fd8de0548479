//! Lower devices that something else has for itself.
//!
//! Device Mapper claims what it stands on, once for all its tables; what is mounted, swap space or part of
//! an array is claimed by somebody else, and the kernel refuses the table (`bd_prepare_to_claim`).

use std::collections::{BTreeSet, HashMap};

use smallvec::SmallVec;

use super::Conflict;
use super::changes::{Change, Changes};
use crate::diff;
use crate::identity::DevNum;
use crate::observed::Observed;

/// The devices that a mapping stands on after the plan and not before, each once.
pub fn new_lowers(change: &Change<'_>) -> SmallVec<[DevNum; 4]> {
    let mut new = SmallVec::new();
    for row in change.new_rows() {
        new.extend(row.target.lower_devices(row.length).iter().filter_map(|lower| lower.device.number));
    }
    new.sort_unstable();
    new.dedup();
    if let Some(device) = change.device().filter(|_| !new.is_empty()) {
        let live = diff::lower_devices(&device.table);
        new.retain(|number| !live.contains(number));
    }
    new
}

/// A conflict for each of them that somebody else has.
pub fn conflicts(changes: &Changes<'_>, observed: &Observed) -> Vec<Conflict> {
    let entered: BTreeSet<DevNum> = changes.noted.entered.iter().copied().collect();
    let claimed = entered.into_iter().filter_map(|number| Some((number, claimed_by(number, observed)?)));
    let claimed: HashMap<DevNum, String> = claimed.collect();
    let mut conflicts = Vec::new();
    if claimed.is_empty() {
        return conflicts;
    }
    for change in &changes.all {
        for number in new_lowers(change) {
            let Some(by) = claimed.get(&number) else { continue };
            let shown = change.rows.iter().flat_map(|row| row.target.lower_devices(row.length));
            let shown = shown.map(|lower| lower.device).find(|device| device.number == Some(number));
            conflicts.push(Conflict {
                mapping: change.mapping.key.clone(),
                name: change.mapping.name.clone(),
                reason: format!(
                    "the lower device {} is {by}, so the kernel gives it to no table",
                    shown.map_or_else(|| number.to_string(), crate::device::Device::described)
                ),
            });
        }
    }
    conflicts
}

/// Who has a device for himself. What a mapped device stands on is open to all of them.
fn claimed_by(number: DevNum, observed: &Observed) -> Option<String> {
    let users = observed.users(number)?;
    if users.holders.iter().any(|holder| observed.by_number(*holder).is_some()) {
        return None;
    }
    if let Some(mount) = users.mounts.first() {
        return Some(format!("mounted on {mount}"));
    }
    if users.swap {
        return Some("swap space".to_string());
    }
    users.holders.first().map(|holder| format!("part of {holder}"))
}
