//! Calls that would never end: they wait for a device that is suspended and stays so.
//!
//! Most targets that keep metadata read it when their table is loaded, and some write it when they are suspended or removed.
//! That I/O waits for each suspended device below, and the call waits for the I/O. A pool that is suspended gives no volume.
//!
//! A device that the plan suspends is no hindrance: that comes last. Neither is one that the plan resumes.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::action::Action;
use super::change::Drift;
use super::changes::Changes;
use super::conflict::{Conflict, Obstacle};
use super::dependencies::{Dependencies, Dependency};
use super::ground::Ground;
use super::overlap::Identity;
use super::position::{ChangeId, UnsortedId};
use super::suspended_below::{Call, SuspendedBelow};
use crate::config::State;
use crate::device::Device;
use crate::health::DeviceHealth;
use crate::identity::{DevNum, Key, Name, Uuid};
use crate::observed::{Observed, Seen};
use crate::stack::Reach;
use crate::table::Row;
use crate::targets::{self, OwnIo};

/// Lists the devices, outside of the map, below which a suspended one would matter.
pub(super) fn roots(changes: &Changes<'_>, observed: &Observed) -> BTreeSet<DevNum> {
    let look = Look { changes, observed, ground: Ground::new(changes, observed) };
    let mut roots = BTreeSet::new();
    look.each_wait(&mut |wait| {
        let mut reach = Reach::from_iter([wait.at]);
        while let Some(at) = reach.next() {
            match at {
                Identity::Mapping(_) => reach.extend(look.below(at)),
                Identity::Other(number) => roots.extend([number]),
            }
        }
    });
    roots
}

/// Returns a conflict for each call that would never end.
pub(super) fn conflicts(changes: &Changes<'_>, observed: &Observed) -> Vec<Conflict> {
    if !observed.any_is_suspended() {
        return Vec::new();
    }
    let look = Look { changes, observed, ground: Ground::new(changes, observed) };
    let mut conflicts = Vec::new();
    look.each_wait(&mut |wait| {
        let Some(found) = look.suspended(&wait) else { return };
        conflicts.push(Conflict {
            mapping: wait.mapping.clone(),
            name: wait.name.clone(),
            reason: Obstacle::SuspendedBelow(Box::new(found)),
        });
    });
    conflicts
}

/// Lets the plan suspend a device only once the calls are done that would wait for it.
pub(super) fn order(dependencies: &mut Dependencies, changes: &Changes<'_>, observed: &Observed) {
    if !dependencies.actions.contains(Action::Suspend) {
        return;
    }
    let look = Look { changes, observed, ground: Ground::new(changes, observed) };
    look.each_wait(&mut |wait| {
        let own: Vec<UnsortedId> = match wait.of {
            Some(change) => dependencies.ranges.of(change).collect(),
            None => dependencies.steps.positions().collect(),
        };
        let is_it = |id: &UnsortedId| {
            let is_of = wait.of.is_some() || dependencies.steps[*id].name == *wait.name;
            is_of && wait.call.is_of(dependencies.action(*id))
        };
        let waiting: Vec<UnsortedId> = own.into_iter().filter(is_it).collect();
        let mut reach = Reach::from_iter([wait.at]);
        while let Some(at) = reach.next() {
            reach.extend(look.below(at));
            let Identity::Mapping(below) = at else { continue };
            for suspend in dependencies.ranges.of(below) {
                if dependencies.suspends_last(suspend) {
                    for step in &waiting {
                        dependencies.add(*step, suspend, Dependency::UsesLower);
                    }
                } else if dependencies.action(suspend) == Action::Suspend {
                    let is_resumed = |id: &UnsortedId| dependencies.action(*id) == Action::Reload;
                    let resumed = dependencies.ranges.of(below).find(is_resumed);
                    for (resumed, step) in
                        resumed.iter().flat_map(|resumed| waiting.iter().map(move |step| (resumed, step)))
                    {
                        dependencies.add(*resumed, *step, Dependency::UsesLower);
                    }
                }
            }
        }
    });
}

/// A call that does I/O to a device, or needs one that serves.
struct Wait<'w> {
    /// The change whose step makes the call; `None` for a device that no mapping declares.
    of: Option<ChangeId>,
    mapping: &'w Key,
    name: &'w Name,
    kind: &'w str,
    device: &'w Device,
    at: Identity,
    call: Call,
}

struct Look<'l, 'a> {
    changes: &'l Changes<'a>,
    observed: &'l Observed,
    ground: Ground<'l, 'a>,
}

impl Look<'_, '_> {
    fn each_wait(&self, take: &mut dyn FnMut(Wait<'_>)) {
        for id in &self.changes.index.busy {
            let change = &self.changes.all[*id];
            let ends = match change.drift {
                Drift::Extra | Drift::Replaced(_) | Drift::Differs(_) => Some(Call::End),
                Drift::InSync if change.mapping.state == State::Suspended => Some(Call::Suspend),
                _ => None,
            };
            let device = change.device().filter(|_| change.found.is_some());
            let live = device.and_then(|device| device.table.understood().ok()).unwrap_or_default();
            self.loads(*id, &live, take);
            // The device that is suspended already has written what it had.
            let serves = device.is_some_and(|device| !device.info.suspended);
            if let Some(call) = ends.filter(|_| serves) {
                let name = change.found.map_or(&change.mapping.name, |found| &found.seen.listed.name);
                let health = change.found.and_then(|found| found.seen.health.as_deref());
                self.ends((Some(*id), &change.mapping.key, name), (&live, health), call, take);
            }
        }
        if self.changes.map.policy.prune {
            for orphan in self.changes.own_orphans() {
                self.pruned(orphan, take);
            }
        }
    }

    fn pruned(&self, orphan: &Seen, take: &mut dyn FnMut(Wait<'_>)) {
        let uuid = orphan.listed.uuid.as_ref();
        let Some((_, key)) = uuid.and_then(Uuid::parts) else { return };
        let device = orphan.mapped.as_ref().filter(|device| !device.info.suspended);
        let live = device.and_then(|device| device.table.understood().ok()).unwrap_or_default();
        self.ends((None, &key, &orphan.listed.name), (&live, orphan.health.as_deref()), Call::End, take);
    }

    /// The waits of a table that is loaded.
    fn loads(&self, id: ChangeId, live: &[Row], take: &mut dyn FnMut(Wait<'_>)) {
        let change = &self.changes.all[id];
        let of = Some(id);
        let (mapping, name) = (&change.mapping.key, &change.mapping.name);
        for row in change.new_rows() {
            let (kind, target) = (row.target.kind(), &row.target);
            for lower in row.lower_devices() {
                let is_known =
                    !change.is_replaced() && live.iter().any(|old| uses(old, kind, lower.device.number));
                if lower.own_io.is_for_a_load(is_known)
                    && let Some(at) = self.ground.lower(lower.device)
                {
                    take(Wait { of, mapping, name, kind, device: lower.device, at, call: Call::Load });
                }
            }
            let Some(need) = target.needs_below().filter(|need| need.tags.is_none()) else { continue };
            let Some(at) = self.ground.lower(need.device) else { continue };
            take(Wait { of, mapping, name, kind, device: need.device, at, call: Call::Volume });
            if target.prepare().is_some() {
                for (device, at) in self.kept_by(at) {
                    take(Wait {
                        of,
                        mapping,
                        name,
                        kind: need.kind,
                        device: &device,
                        at,
                        call: Call::Message,
                    });
                }
            }
        }
    }

    /// The waits of a live table that is suspended, swapped or removed: for what the target writes then, and for what it is
    /// copying.
    fn ends(
        &self,
        (of, mapping, name): (Option<ChangeId>, &Key, &Name),
        (live, health): (&[Row], Option<&DeviceHealth>),
        call: Call,
        take: &mut dyn FnMut(Wait<'_>),
    ) {
        for row in live {
            let state = health.and_then(|health| health.state(row.start, row.length));
            let row_copies = state.is_some_and(targets::State::may_copy);
            for lower in row.lower_devices() {
                let copies = row_copies || lower.own_io == OwnIo::Copies;
                let writes = match call {
                    Call::Suspend => lower.own_io.is_for_a_suspend(),
                    _ => lower.own_io.is_for_an_end(),
                };
                if !writes && !copies {
                    continue;
                }
                let call = if writes && lower.own_io != OwnIo::Copies { call } else { Call::Copy };
                if let Some(at) = self.ground.lower(lower.device) {
                    take(Wait { of, mapping, name, kind: row.target.kind(), device: lower.device, at, call });
                }
            }
        }
    }

    /// The devices that the target of a pool keeps its metadata on.
    fn kept_by(&self, pool: Identity) -> Vec<(Device, Identity)> {
        let rows = match pool {
            Identity::Mapping(id) => Arc::clone(&self.changes.all[id].rows),
            Identity::Other(number) => {
                let state = self.observed.state(number);
                state.and_then(|state| state.table.understood().ok()).unwrap_or_default()
            }
        };
        let lowers = rows.iter().flat_map(Row::lower_devices).filter(|lower| lower.own_io.is_for_a_suspend());
        lowers.filter_map(|lower| Some((lower.device.clone(), self.ground.lower(lower.device)?))).collect()
    }

    /// Returns the suspended device that a call would wait for.
    fn suspended(&self, wait: &Wait<'_>) -> Option<SuspendedBelow> {
        let found = if wait.call == Call::Volume {
            Some(wait.at).filter(|at| self.stays_suspended(*at))
        } else {
            let mut reach = Reach::from_iter([wait.at]);
            std::iter::from_fn(|| {
                let at = reach.next()?;
                reach.extend(self.below(at));
                Some(at)
            })
            .find(|at| self.stays_suspended(*at))
        }?;
        let (key, name) = match found {
            Identity::Mapping(id) => {
                let mapping = self.changes.all[id].mapping;
                let is_wanted = mapping.state == State::Suspended;
                (
                    Some(mapping.key.clone()).filter(|_| is_wanted),
                    self.changes.all[id].found?.seen.listed.name.clone(),
                )
            }
            Identity::Other(number) => (None, self.observed.by_number(number)?.listed.name.clone()),
        };
        let uuid =
            self.ground.number(found).and_then(|number| self.observed.by_number(number)?.listed.uuid.clone());
        Some(SuspendedBelow {
            kind: wait.kind.into(),
            device: wait.device.into(),
            call: wait.call,
            is_itself: found == wait.at,
            name,
            key,
            is_own: uuid.as_ref().and_then(Uuid::parts).is_some(),
        })
    }

    /// Whether a device is suspended and stays so.
    fn stays_suspended(&self, at: Identity) -> bool {
        match at {
            Identity::Mapping(id) => {
                let change = &self.changes.all[id];
                let stays = match change.drift {
                    Drift::Unknown(_) | Drift::Blocked | Drift::Extra | Drift::RemovalPending => true,
                    _ => change.mapping.state == State::Suspended,
                };
                stays && !change.is_replaced() && change.device().is_some_and(|device| device.info.suspended)
            }
            Identity::Other(number) => self.observed.is_suspended(number) && !self.is_resumed(number),
        }
    }

    /// Whether the plan resumes a device that no mapping declares: one of its owner that a mapping uses.
    fn is_resumed(&self, number: DevNum) -> bool {
        let mut orphans = self.changes.own_orphans().iter().filter(|orphan| orphan.listed.number == number);
        !self.changes.map.policy.prune && orphans.any(|orphan| !self.changes.stays_suspended(orphan))
    }

    /// The devices directly below one, as they are when the steps of those above it come.
    fn below(&self, at: Identity) -> Vec<Identity> {
        match at {
            Identity::Mapping(id) => {
                let change = &self.changes.all[id];
                if change.mapping.state == State::Absent {
                    // It goes after those above it, and has its table until then.
                    let live = change.device().map(|device| device.table.lower_devices());
                    return live.into_iter().flatten().map(|number| self.ground.identity(*number)).collect();
                }
                let lowers = change.rows.iter().flat_map(Row::lower_devices);
                lowers.filter_map(|lower| self.ground.lower(lower.device)).collect()
            }
            Identity::Other(number) => {
                let below = self.observed.read_below_of(number).iter();
                below.map(|number| self.ground.identity(*number)).collect()
            }
        }
    }
}

/// Whether a live row of this type uses the device of this number.
fn uses(old: &Row, kind: &str, number: Option<DevNum>) -> bool {
    let same = || old.lower_devices().iter().any(|lower| lower.device.number == number);
    number.is_some() && old.target.kind() == kind && same()
}
