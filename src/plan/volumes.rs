//! Volumes of a pool that the plan formats: it has those alone that other mappings make. A message of the map to the pool
//! comes too late for them: it is sent once the pool is live, and that waits for no volume.

use std::collections::HashSet;

use super::change::Change;
use super::changes::Changes;
use super::conflict::{Conflict, Obstacle};
use super::ground::Ground;
use super::overlap::Identity;
use super::position::ChangeId;
use crate::device::Device;
use crate::observed::{Head, Observed};
use crate::targets::Found;

/// A volume that a new table needs.
struct Needed<'c, 'a> {
    change: &'c Change<'a>,
    device: &'c Device,
    pool: ChangeId,
    id: u32,
    /// Whether it is the one that a snapshot is taken of.
    is_copied: bool,
}

/// Returns a conflict for each new table that needs a volume which its new pool does not have.
pub(super) fn conflicts(changes: &Changes<'_>, observed: &Observed) -> Vec<Conflict> {
    let ground = Ground::new(changes, observed);
    let (mut needed, mut made) = (Vec::new(), HashSet::new());
    for change in changes.demanding() {
        for row in change.new_rows() {
            let Some((device, id)) = row.target.volume() else { continue };
            let Some(Identity::Mapping(pool)) = ground.lower(device) else { continue };
            let (id, is_copied) = match row.target.prepare().map(|prepare| prepare.copies) {
                None => (id, false),
                Some(copied) => {
                    made.insert((pool, id));
                    let Some(origin) = copied else { continue };
                    (origin, true)
                }
            };
            needed.push(Needed { change, device, pool, id, is_copied });
        }
    }
    needed.retain(|volume| {
        let pool = &changes.all[volume.pool];
        !made.contains(&(volume.pool, volume.id)) && begins_empty(pool, changes, observed)
    });
    let told = needed.into_iter().map(|Needed { change, device, id, is_copied, .. }| Conflict {
        mapping: change.mapping.key.clone(),
        name: change.mapping.name.clone(),
        reason: Obstacle::VolumeAbsent { pool: device.into(), id, is_copied },
    });
    told.collect()
}

/// Whether a pool has no live table, and no metadata on disk either.
fn begins_empty(pool: &Change<'_>, changes: &Changes<'_>, observed: &Observed) -> bool {
    let is_live = pool.device().is_some_and(|device| device.info.live_table);
    let places = pool.rows.iter().flat_map(|row| row.target.metadata());
    let mut blank = places.map(|place| match observed.head(changes.map, place.device, place.offset) {
        Some(Head::Bytes(head)) => (place.look)(head) == Found::Blank,
        _ => false,
    });
    !is_live && blank.any(|is_blank| is_blank)
}
