//! Snapshots: which mapping has the blocks of a COW device. A merge takes them over from the snapshot, which must be
//! suspended.
//! Kernel source: `snapshot_preresume` in `drivers/md/dm-snap.c`.

use nix::errno::Errno;

use super::model::{Loaded, World};
use super::refusal::Refusal;
use crate::identity::DevNum;
use crate::table::RawRow;

/// Returns the COW device in a row of one of these types.
fn cow(row: &RawRow, kinds: &[&str]) -> Option<DevNum> {
    let is_one = kinds.contains(&row.kind.as_str());
    is_one.then(|| DevNum::parse(row.params().split_whitespace().nth(1)?)).flatten()
}

/// Checks that no other active mapping has the COW devices of the table that `number` is about to serve.
pub(super) fn preresume(world: &World, number: DevNum, table: &Loaded) -> Result<(), Refusal> {
    let wanted: Vec<DevNum> =
        table.rows.iter().filter_map(|row| cow(row, &["snapshot", "snapshot-merge"])).collect();
    let active = |row: &RawRow| cow(row, &["snapshot"]).is_some_and(|cow| wanted.contains(&cow));
    let mut others = world.mappings().filter(|other| other.number != number && !other.suspended);
    if others.any(|other| other.live.iter().flat_map(|live| live.rows.iter()).any(active)) {
        let log = "snapshots: Unable to perform snapshot handover until source is suspended.";
        return Err(Refusal::new(Errno::EINVAL, log));
    }
    Ok(())
}
