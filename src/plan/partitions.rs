//! Finds disks and partitions of one disk that would both be in use.
//!
//! They are the same sectors, and the kernel never gives out both, whichever sectors are meant and though all mapped
//! devices share one claim: a claim of a partition marks its disk, and a disk with that mark is not given out
//! (`bd_may_claim` and `bd_finish_claiming` in `block/bdev.c`).

use std::collections::BTreeSet;

use super::change::Change;
use super::changes::Changes;
use super::conflict::{Conflict, Obstacle};
use super::neighbour::{DiskUser, SameDisk};
use super::outside::living;
use super::position::ChangeId;
use super::transfer::{Giver, Transfer};
use crate::config::State;
use crate::device::Written;
use crate::identity::DevNum;
use crate::kernel::Partition;
use crate::observed::Observed;
use crate::table::Row;

/// The disks and partitions that mappings open and did not before.
pub(crate) fn compare(
    changes: &Changes<'_>,
    observed: &Observed,
    conflicts: &mut Vec<Conflict>,
    transfers: &mut Vec<Transfer>,
) {
    let entered: BTreeSet<DevNum> = changes.index.entered.iter().copied().collect();
    let is_kin =
        |number: &DevNum| partition(*number, observed).is_some() || !observed.partitions(*number).is_empty();
    if !entered.iter().any(is_kin) {
        return;
    }
    let mut search = Search { changes, observed, entered: Vec::new(), conflicts, transfers };
    for id in changes.index.busy.iter().copied() {
        for &number in changes.all[id].entered_devices() {
            search.enter(id, number);
        }
    }
}

struct Search<'s, 'a> {
    changes: &'s Changes<'a>,
    observed: &'s Observed,
    /// The disks and partitions that were entered so far, each with its mapping.
    entered: Vec<(ChangeId, DevNum)>,
    conflicts: &'s mut Vec<Conflict>,
    transfers: &'s mut Vec<Transfer>,
}

impl Search<'_, '_> {
    /// Compares a lower device with the disk that it is a partition of, or with its partitions.
    fn enter(&mut self, id: ChangeId, number: DevNum) {
        let kin = match partition(number, self.observed) {
            Some(partition) => vec![partition.disk],
            None => self.observed.partitions(number).to_vec(),
        };
        if kin.is_empty() {
            return;
        }
        for other in kin {
            let user = self.user(id, other);
            let together = || self.entered.iter().find(|(_, entered)| *entered == other).map(|(id, _)| *id);
            let key = |with: ChangeId| self.changes.all[with].mapping.key.clone();
            let user = user.or_else(|| together().map(|with| DiskUser::Mapping(key(with))));
            if let Some(by) = user {
                self.conflict(id, number, other, by);
                break;
            }
        }
        self.entered.push((id, number));
    }

    fn mapping(&self, id: ChangeId, user: ChangeId) -> DiskUser {
        if user == id {
            DiskUser::Itself
        } else {
            DiskUser::Mapping(self.changes.all[user].mapping.key.clone())
        }
    }

    /// The user of a device that keeps it once the plan is carried out. One that lets it go comes first.
    fn user(&mut self, id: ChangeId, number: DevNum) -> Option<DiskUser> {
        let (changes, observed) = (self.changes, self.observed);
        let users = observed.users(number)?;
        let mut keeps = None;
        for holder in &users.holders {
            if let Some(user) = changes.id_of_number(*holder, observed) {
                if user == id && !changes.all[id].is_replaced() || opens(&changes.all[user], number) {
                    keeps = keeps.or(Some(self.mapping(id, user)));
                } else if user != id {
                    self.transfers.push(Transfer { from: Giver::Mapping(user), to: id, before_load: true });
                }
            } else if changes.pruned(*holder).is_some() {
                self.transfers.push(Transfer { from: Giver::Orphan(*holder), to: id, before_load: true });
            } else {
                let outside = living(*holder, changes, observed);
                keeps = keeps.or(Some(
                    outside.map_or_else(|| DiskUser::Holder(observed.name_of(*holder)), DiskUser::Living),
                ));
            }
        }
        let mount = users.mounts.first().cloned().map(DiskUser::Mount);
        mount.or_else(|| users.swap.then_some(DiskUser::Swap)).or(keeps)
    }

    fn conflict(&mut self, id: ChangeId, number: DevNum, used: DevNum, by: DiskUser) {
        let change = &self.changes.all[id];
        let rows = change.rows.iter();
        let written = rows
            .flat_map(Row::lower_devices)
            .find_map(|lower| (lower.device.number == Some(number)).then(|| Written::from(lower.device)));
        let part = partition(number, self.observed);
        let instead = match part {
            Some(part) => self.on_disk(change, number, part, &by),
            None => self.on_partition(change, number),
        };
        let same = SameDisk {
            device: written.ok_or(number),
            used: self.observed.path_of(used),
            is_disk: part.is_some(),
            by,
            instead,
        };
        self.conflicts.push(Conflict {
            mapping: change.mapping.key.clone(),
            name: change.mapping.name.clone(),
            reason: Obstacle::SameDisk(Box::new(same)),
        });
    }

    /// The disk and the offset that hold what a mapping wants of a partition, if mapped devices may have that disk.
    fn on_disk(
        &self,
        change: &Change<'_>,
        number: DevNum,
        part: Partition,
        by: &DiskUser,
    ) -> Option<(String, u64)> {
        let is_open = matches!(by, DiskUser::Living(_) | DiskUser::Mapping(_) | DiskUser::Itself);
        let (start, _) = wanted(change, number).filter(|_| is_open)?;
        Some((self.observed.path_of(part.disk), part.start.checked_add(start)?))
    }

    /// The partition and the offset that hold what a mapping wants of a disk, if it can be had.
    fn on_partition(&self, change: &Change<'_>, disk: DevNum) -> Option<(String, u64)> {
        let (start, end) = wanted(change, disk)?;
        let is_free = |number: &DevNum| {
            self.observed.users(*number).is_none_or(|users| {
                users.mounts.is_empty()
                    && !users.swap
                    && users.holders.iter().all(|holder| self.observed.by_number(*holder).is_some())
            })
        };
        self.observed.partitions(disk).iter().copied().filter(is_free).find_map(|number| {
            let block = self.observed.block_around(number)?;
            let first = block.partition?.start;
            let holds = first <= start && end <= first.saturating_add(block.sectors);
            holds.then(|| (self.observed.path_of(number), start - first))
        })
    }
}

/// The place of a partition on its disk.
fn partition(number: DevNum, observed: &Observed) -> Option<Partition> {
    observed.block_around(number)?.partition
}

/// Whether a mapping has a device open once the plan is carried out.
fn opens(change: &Change<'_>, number: DevNum) -> bool {
    if change.mapping.state == State::Absent {
        return false;
    }
    let new = change.new_rows();
    match change.device() {
        Some(device) if new.is_empty() => device.table.lower_devices().contains(&number),
        _ => change.new_lower_devices().contains(&number),
    }
}

/// The first sector that a mapping wants of a device, and the one after the last.
fn wanted(change: &Change<'_>, number: DevNum) -> Option<(u64, u64)> {
    let rows = change.rows.iter().flat_map(Row::lower_devices);
    let uses = rows.filter(|lower| lower.device.number == Some(number));
    let uses = uses.map(|lower| Some((lower.start, lower.start.checked_add(lower.length?)?)));
    let uses: Option<Vec<(u64, u64)>> = uses.collect();
    let uses = uses?;
    Some((uses.iter().map(|used| used.0).min()?, uses.iter().map(|used| used.1).max()?))
}
