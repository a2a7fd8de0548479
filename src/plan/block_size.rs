//! Finds the devices whose logical blocks grow, and what breaks with that.
//!
//! A file system with blocks that are smaller than those of its device fails at its next write, and can't be mounted any
//! more. The kernel takes such a table. A device above keeps the blocks that it has, until its own table is loaded
//! again, at the next boot at the latest; so what is on it counts as well.

use std::collections::{HashMap, HashSet};

use super::blocks_grow::BlocksGrow;
use super::change::{Change, Drift};
use super::changes::Changes;
use super::conflict::{Conflict, Obstacle};
use super::unseen_fact::UnseenFact;
use crate::block_size::RowBlocks;
use crate::device::Device;
use crate::diff::Difference;
use crate::identity::DevNum;
use crate::observed::{BlockUser, Observed, PieceUse};
use crate::table::Row;
use crate::units::SECTOR;

/// Lists the devices whose tables change, with the blocks that they get, where these are larger than a sector.
pub(crate) fn candidates(changes: &Changes<'_>) -> Vec<(DevNum, u64)> {
    let busy = changes.index.busy.iter().map(|id| &changes.all[*id]);
    busy.filter(|change| is_changed(change) && change.block > 1)
        .filter_map(|change| Some((change.number()?, change.block)))
        .collect()
}

/// Whether a device that is there gets another table.
fn is_changed(change: &Change<'_>) -> bool {
    let live = change.device().is_some_and(|device| device.info.live_table);
    live && matches!(change.drift, Drift::Differs(_) | Drift::Replaced(_))
}

/// Returns the difference of the logical block sizes, where they grow.
pub(crate) fn growth(change: &Change<'_>, observed: &Observed) -> Option<Difference> {
    let user = observed.block_user(change.number().filter(|_| is_changed(change))?)?;
    let bytes = |sectors: u64| sectors.saturating_mul(SECTOR);
    (change.block > user.block)
        .then(|| Difference::BlockSize { live: bytes(user.block), wanted: bytes(change.block) })
}

/// Returns a conflict for each mount and swap space under which blocks grow beyond its own.
pub(crate) fn conflicts(changes: &Changes<'_>, observed: &Observed) -> Vec<Conflict> {
    let mut walk =
        Walk { changes, observed, grown: HashMap::new(), told: HashSet::new(), conflicts: Vec::new() };
    for id in &changes.index.busy {
        let change = &changes.all[*id];
        if let Some(number) = change.number().filter(|_| growth(change, observed).is_some()) {
            walk.grow(change, number);
        }
    }
    walk.conflicts
}

/// A walk upwards from the devices whose blocks grow.
struct Walk<'w, 'a> {
    changes: &'w Changes<'a>,
    observed: &'w Observed,
    /// The devices whose blocks grow, with the blocks that they get, in sectors.
    grown: HashMap<DevNum, u64>,
    /// The devices whose uses were looked at.
    told: HashSet<DevNum>,
    conflicts: Vec<Conflict>,
}

impl Walk<'_, '_> {
    /// Follows the blocks of a mapping upwards. A device is visited again only when its blocks grow further.
    fn grow(&mut self, cause: &Change<'_>, number: DevNum) {
        let mut left = vec![(number, cause.block)];
        while let Some((number, block)) = left.pop() {
            let Some(user) = self.observed.block_user(number) else { continue };
            let known = self.grown.get(&number).copied().unwrap_or(user.block);
            if block <= known {
                continue;
            }
            self.grown.insert(number, block);
            if self.told.insert(number) {
                self.tell(cause, number, user, block);
            }
            left.extend(user.above.iter().map(|above| (*above, self.after(*above, number, block))));
        }
    }

    /// Adds the conflicts of the uses of one device.
    fn tell(&mut self, cause: &Change<'_>, number: DevNum, user: &BlockUser, block: u64) {
        let wanted = block.saturating_mul(SECTOR);
        let breaks = |used: &&PieceUse| used.piece.bytes() < wanted;
        let conflicts = user.uses.iter().filter(breaks).map(|used| Conflict {
            mapping: cause.mapping.key.clone(),
            name: cause.mapping.name.clone(),
            reason: Obstacle::BlocksGrow(Box::new(BlocksGrow {
                device: self.observed.name_of(number),
                live: user.block.saturating_mul(SECTOR),
                wanted,
                mount: used.mount.clone(),
                piece: used.piece,
            })),
        });
        self.conflicts.extend(conflicts);
        let unseen = user.unseen.iter().map(|unseen| Conflict {
            mapping: cause.mapping.key.clone(),
            name: cause.mapping.name.clone(),
            reason: Obstacle::Unseen(Box::new(UnseenFact::Blocks(
                self.observed.name_of(number),
                unseen.clone(),
            ))),
        });
        self.conflicts.extend(unseen);
    }

    /// Returns the blocks that a device gets at the next load of its table, when one below it has blocks of `block` sectors.
    /// 0 for one that goes away.
    fn after(&self, number: DevNum, below: DevNum, block: u64) -> u64 {
        if let Some(id) = self.changes.id_of_number(number, self.observed) {
            let change = &self.changes.all[id];
            return match change.drift {
                Drift::Extra | Drift::AbsentOk | Drift::Replaced(_) => 0,
                Drift::Blocked | Drift::Unknown(_) => block,
                _ => change.block,
            };
        }
        if self.changes.pruned(number).is_some() {
            return 0;
        }
        let table = self.observed.block_user(number).and_then(|user| user.table.as_ref());
        match table {
            Some(table) => {
                let blocks = table.readable().iter().map(|row| row_block(row, below, block)).max();
                // A row that can't be read may have any.
                if table.understood().is_ok() { blocks.unwrap_or(0) } else { blocks.unwrap_or(0).max(block) }
            }
            None => block,
        }
    }
}

/// Returns the blocks of a live row over a device that has blocks of `block` sectors.
fn row_block(row: &Row, below: DevNum, block: u64) -> u64 {
    let lowers = row.target.lower_devices(row.length);
    let block_of = |device: &Device| if device.number == Some(below) { block } else { 1 };
    RowBlocks::of(row.target.as_ref(), &lowers, block_of).own()
}
