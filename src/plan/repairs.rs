//! Tables that need metadata which the kernel does not write any more: another table of the same pool or cache, and a volume
//! that a pool would have to make.

use super::change::Change;
use super::changes::Changes;
use super::conflict::{Conflict, Obstacle};
use super::matching::Match;
use super::preparation;
use crate::device::Device;
use crate::observed::{Observed, Seen};
use crate::table::Row;
use crate::targets::Repair;

/// Finds what must be repaired before another table of a live device can be loaded.
pub(super) fn before_reload(rows: &[Row], found: Option<Match<'_>>) -> Option<Obstacle> {
    let seen = found?.seen;
    let live = seen.mapped.as_ref()?.table.understood().ok()?;
    let needed = |row: &Row| {
        let old = live.iter().find(|old| old.start == row.start && old.target.kind() == row.target.kind())?;
        repair(seen, old, row.length > old.length).filter(|_| has_same_metadata(row, old))
    };
    rows.iter().find_map(needed).map(Obstacle::Repair)
}

/// Returns a conflict for each volume that a pool would have to make and can't.
pub(super) fn conflicts(changes: &Changes<'_>, observed: &Observed) -> Vec<Conflict> {
    let refused = |change: &Change<'_>| -> Option<Obstacle> {
        preparation::made(change, changes, observed).into_iter().find_map(|made| {
            let live = || of_pool(&made.pool, changes, observed);
            let repair = made.repair.or_else(live)?;
            Some(Obstacle::VolumeOfDamagedPool { id: made.id, pool: (&made.pool).into(), repair })
        })
    };
    let conflict = |change: &Change<'_>| {
        Some(Conflict {
            mapping: change.mapping.key.clone(),
            name: change.mapping.name.clone(),
            reason: refused(change)?,
        })
    };
    changes.demanding().filter_map(conflict).collect()
}

/// Returns what must be repaired before a live pool makes a volume.
fn of_pool(pool: &Device, changes: &Changes<'_>, observed: &Observed) -> Option<Repair> {
    let by_number = || pool.number.and_then(|number| changes.key_of(number, observed));
    let change = pool.key().or_else(by_number).and_then(|key| changes.get(key));
    let seen = match change {
        Some(change) => change.found?.seen,
        None => observed.by_number(pool.number?)?,
    };
    let live = seen.mapped.as_ref()?.table.understood().ok()?;
    live.iter().find_map(|old| repair(seen, old, true))
}

/// Returns what must be repaired before a live row is changed, or grows.
fn repair(seen: &Seen, live: &Row, grows: bool) -> Option<Repair> {
    let damage = seen.health.as_deref()?.state(live.start, live.length)?.damage()?;
    live.target.repair(damage, grows)
}

/// Whether two rows have their metadata at the same places.
pub(super) fn has_same_metadata(one: &Row, other: &Row) -> bool {
    let (one, other) = (one.target.metadata(), other.target.metadata());
    one.len() == other.len() && one.iter().zip(&other).all(|(one, other)| one.is_at(other))
}
