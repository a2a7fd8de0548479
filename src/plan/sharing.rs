//! Finds what the changed tables of a map share with other devices: sectors, and volumes of pools.
//!
//! A mapping may not take sectors that a device outside the map writes to: that is a conflict. Sectors that a device of
//! the plan lets go are handed over: who has them lets go first. Sectors that another device only reads are worth a
//! warning. Only sectors count that the live table does not use already, followed down to where they really are
//! (`ground`). Two mappings of the map that name one device are told by `overlap`.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

use super::change::Drift;
use super::changes::Changes;
use super::conflict::{Conflict, Obstacle};
use super::ground::{Ground, Moment, Place, Use};
use super::handover;
use super::neighbour::{Other, Part, ReadElsewhere, SharedPlace, WrittenElsewhere};
use super::outside::living;
use super::overlap::Identity;
use super::position::ChangeId;
use super::remark::{Fact, Warning};
use super::transfer::{Giver, Transfer};
use crate::config::SharedSectors;
use crate::identity::DevNum;
use crate::observed::Observed;
use crate::stack::IndexVec;
use crate::table::Row;
use crate::targets::DeviceAccess;

/// What the changed tables of a map share with other devices.
#[derive(Default)]
pub(crate) struct Sharing {
    pub conflicts: Vec<Conflict>,
    pub warnings: Vec<Warning>,
    pub transfers: Vec<Transfer>,
}

/// A device that uses places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Holder {
    /// A mapping of the map, as it is before the plan.
    Mapping(ChangeId),
    /// A device that the plan removes.
    Orphan(DevNum),
    /// A device that the plan leaves as it is.
    Stays(DevNum),
}

/// A use of another device.
struct Held {
    by: Holder,
    used: Use,
}

/// The uses of other devices at one place, by their first sectors, each with the furthest end so far.
#[derive(Default)]
struct Shelf {
    held: Vec<Held>,
    reach: Vec<u64>,
}

impl Shelf {
    fn sort(&mut self) {
        self.held.sort_by_key(|held| held.used.sectors.start);
        let mut furthest = 0;
        let ends = self.held.iter().map(|held| {
            furthest = held.used.sectors.end.max(furthest);
            furthest
        });
        self.reach = ends.collect();
    }

    /// The uses that overlap `sectors`.
    fn overlapping(&self, sectors: &Range<u64>) -> impl Iterator<Item = &Held> {
        let end = self.held.partition_point(|held| held.used.sectors.start < sectors.end);
        let begin = self.reach.partition_point(|reach| *reach <= sectors.start);
        let candidates = self.held.get(begin..end).unwrap_or_default().iter();
        candidates.filter(move |held| held.used.sectors.end > sectors.start)
    }
}

/// Finds what the changed tables share with other devices.
pub(crate) fn of(changes: &Changes<'_>, observed: &Observed) -> Sharing {
    let busy = || changes.index.busy.iter().copied();
    let takers: Vec<ChangeId> = busy().filter(|id| changes.all[*id].takes_sectors()).collect();
    if takers.is_empty() || observed.devices.is_empty() {
        return Sharing::default();
    }
    let givers: Vec<Holder> = busy()
        .filter(|id| changes.all[*id].releases_sectors())
        .map(Holder::Mapping)
        .chain(changes.pruned_numbers().map(Holder::Orphan))
        .collect();
    let removed: HashSet<DevNum> = changes.pruned_numbers().collect();
    // A device that is removed with its last close keeps what it has until then.
    let stays = |id: ChangeId| changes.all[id].drift == Drift::RemovalPending;
    let outside = |number: &DevNum| {
        changes.id_of_number(*number, observed).is_none_or(stays) && !removed.contains(number)
    };
    let outside: BTreeSet<DevNum> = observed.holders_around().filter(outside).collect();
    if givers.is_empty() && outside.is_empty() {
        return Sharing::default();
    }
    let mut search = Search {
        changes,
        observed,
        ground: Ground::new(changes, observed),
        shelves: HashMap::new(),
        seen: HashSet::new(),
        found: Sharing::default(),
    };
    for holder in outside.into_iter().map(Holder::Stays).chain(givers.iter().copied()) {
        search.shelve(holder, &|_| true);
    }
    search.shelves.values_mut().for_each(Shelf::sort);
    let meets = search.meets();
    let takers = takers.into_iter().filter(|id| meets[*id]);
    let fresh: Vec<(ChangeId, Vec<Use>)> = takers.map(|id| (id, search.fresh(id))).collect();
    // Mappings that name one device are compared elsewhere; those that meet below a device outside the map, here.
    let uses = || fresh.iter().flat_map(|(_, uses)| uses);
    if uses().any(|used| used.is_hidden) {
        let places: HashSet<Place> = uses().map(|used| used.place).collect();
        let others = changes.all.positions().map(Holder::Mapping).filter(|other| !givers.contains(other));
        others.for_each(|other| search.shelve(other, &|place| places.contains(place)));
        search.shelves.values_mut().for_each(Shelf::sort);
    }
    for (taker, uses) in &fresh {
        for used in uses {
            search.compare(*taker, used);
        }
    }
    search.found
}

struct Search<'c, 'a> {
    changes: &'c Changes<'a>,
    observed: &'c Observed,
    ground: Ground<'c, 'a>,
    shelves: HashMap<Place, Shelf>,
    /// The pairs that were told already.
    seen: HashSet<(ChangeId, Holder, bool)>,
    found: Sharing,
}

impl Search<'_, '_> {
    /// The uses of a mapping after the plan, without those that it has before.
    fn fresh(&self, id: ChangeId) -> Vec<Use> {
        let before = self.ground.uses(id, Moment::Before);
        let after = self.ground.uses(id, Moment::After);
        after.into_iter().flat_map(|used| without(&used, &before)).collect()
    }

    /// For each mapping, whether it may use what another device uses, at whatever level. A map may have a hundred thousand,
    /// and most of them meet no other device: only those that may are followed down.
    fn meets(&self) -> IndexVec<ChangeId, bool> {
        let mut meets = IndexVec::with_capacity(self.changes.all.len());
        for change in &self.changes.all {
            let found = change.rows.iter().any(|row| self.row_meets(row, &meets));
            meets.push(found);
        }
        meets
    }

    fn row_meets(&self, row: &Row, meets: &IndexVec<ChangeId, bool>) -> bool {
        if let Some((pool, id)) = row.target.volume()
            && let Some(device) = self.ground.lower(pool)
            && self.shelves.contains_key(&Place { device, volume: Some(id) })
        {
            return true;
        }
        row.lower_devices().iter().any(|lower| {
            let Some(device) = self.ground.lower(lower.device) else { return false };
            let below = match device {
                // A mapping that was not compared is in a circle.
                Identity::Mapping(id) => meets.get(id).is_none_or(|meets| *meets),
                Identity::Other(number) => self.ground.has_below(number),
            };
            let end = lower.length.map_or(u64::MAX, |length| lower.start.saturating_add(length));
            let known = self.shelves.get(&Place { device, volume: None });
            below || known.is_some_and(|shelf| shelf.overlapping(&(lower.start..end)).next().is_some())
        })
    }

    /// Adds the uses of a device at the places that `is_wanted` selects.
    fn shelve(&mut self, holder: Holder, is_wanted: &dyn Fn(&Place) -> bool) {
        let uses = match holder {
            Holder::Mapping(id) => {
                let mut uses = self.ground.uses(id, Moment::Before);
                if uses.is_empty() {
                    uses = self.ground.uses(id, Moment::After);
                }
                uses
            }
            Holder::Orphan(number) | Holder::Stays(number) => self.ground.uses_of_living(number),
        };
        for used in uses.into_iter().filter(|used| is_wanted(&used.place)) {
            self.shelves.entry(used.place).or_default().held.push(Held { by: holder, used });
        }
    }

    fn identity(&self, holder: Holder) -> Identity {
        match holder {
            Holder::Mapping(id) => Identity::Mapping(id),
            Holder::Orphan(number) | Holder::Stays(number) => self.ground.identity(number),
        }
    }

    /// Compares a use that a mapping takes with all others at that place.
    fn compare(&mut self, taker: ChangeId, fresh: &Use) {
        let Some(others) = self.shelves.remove(&fresh.place) else { return };
        for held in others.overlapping(&fresh.sectors).filter(|held| held.by != Holder::Mapping(taker)) {
            let layered = held.used.through.contains(&Identity::Mapping(taker))
                || fresh.through.contains(&self.identity(held.by));
            if !layered && !self.gives_blocks(taker, fresh, held.by) {
                self.pair(taker, fresh, held);
            }
        }
        self.shelves.insert(fresh.place, others);
    }

    fn pair(&mut self, taker: ChangeId, fresh: &Use, held: &Held) {
        let (one, two) = (fresh.access, held.used.access);
        match (one.writes(), two.writes()) {
            _ if one.is_shared() && two.is_shared() => {}
            (false, false) => {}
            (true, false) | (false, true) => self.warning(taker, fresh, held),
            (true, true) => match held.by {
                Holder::Mapping(other) => self.within(taker, other, fresh, held),
                Holder::Orphan(number) => self.hand_over(taker, Giver::Orphan(number)),
                Holder::Stays(number) => self.conflict(taker, number, fresh, held),
            },
        }
    }

    /// Two mappings of the map: the other one lets go, or both keep the sectors.
    fn within(&mut self, taker: ChangeId, other: ChangeId, fresh: &Use, held: &Held) {
        let after = self.ground.uses(other, Moment::After);
        let both = intersection(&fresh.sectors, &held.used.sectors);
        let writes = |used: &&Use| used.place == fresh.place && used.access.writes();
        let keeps = after.iter().filter(writes).find(|used| overlap(&used.sectors, &both));
        let above = |used: &Use| used.through.contains(&Identity::Mapping(taker));
        match keeps {
            // It will be a layer above the taker, or the taker one above it.
            Some(kept) if above(kept) || fresh.through.contains(&Identity::Mapping(other)) => {}
            Some(_) if !fresh.is_hidden && !held.used.is_hidden => {}
            Some(_) => self.overlap(taker, other, fresh, held),
            None => self.hand_over(taker, Giver::Mapping(other)),
        }
    }

    /// Whether the kernel itself hands over what is at a place, from this device to the new table of the taker. For that the
    /// giver must still be there.
    fn gives_blocks(&self, taker: ChangeId, fresh: &Use, giver: Holder) -> bool {
        let Some(number) = self.ground.number(fresh.place.device) else { return false };
        let giver = self.ground.number(self.identity(giver));
        let table = giver.and_then(|giver| self.observed.state(giver)).map(|state| &state.table);
        handover::taken(&self.changes.all[taker]).any(|taken| taken == number)
            && table.is_some_and(|table| handover::gives(table, number))
    }

    /// Lets the giver go first, unless one of the two is made on the other: such layers are reloaded as a stack.
    fn hand_over(&mut self, to: ChangeId, from: Giver) {
        let giver = match from {
            Giver::Mapping(id) => Identity::Mapping(id),
            Giver::Orphan(number) => Identity::Other(number),
        };
        let taker = Identity::Mapping(to);
        if self.ground.is_above(taker, giver) || self.ground.is_above(giver, taker) {
            return;
        }
        self.found.transfers.push(Transfer { from, to, before_load: false });
    }

    fn overlap(&mut self, taker: ChangeId, other: ChangeId, fresh: &Use, held: &Held) {
        let (mapping, with) = (self.changes.all[taker].mapping, self.changes.all[other].mapping);
        if (mapping.shared && with.shared) || !self.seen.insert((taker, held.by, true)) {
            return;
        }
        let both = intersection(&fresh.sectors, &held.used.sectors);
        self.found.conflicts.push(Conflict {
            mapping: mapping.key.clone(),
            name: mapping.name.clone(),
            reason: Obstacle::Overlap {
                sectors: SharedSectors { start: both.start, end: both.end },
                device: fresh.device.clone(),
                other: with.key.clone(),
                other_device: held.used.device.clone(),
            },
        });
    }

    fn conflict(&mut self, taker: ChangeId, number: DevNum, fresh: &Use, held: &Held) {
        let mapping = self.changes.all[taker].mapping;
        if mapping.shared || !self.seen.insert((taker, held.by, true)) {
            return;
        }
        let Some(by) = living(number, self.changes, self.observed) else { return };
        let place = self.place(fresh, held);
        let reason = WrittenElsewhere { place, by, is_known: held.used.is_known };
        self.found.conflicts.push(Conflict {
            mapping: mapping.key.clone(),
            name: mapping.name.clone(),
            reason: Obstacle::WrittenElsewhere(Box::new(reason)),
        });
    }

    fn warning(&mut self, taker: ChangeId, fresh: &Use, held: &Held) {
        let mapping = self.changes.all[taker].mapping;
        let Holder::Stays(number) = held.by else { return };
        if !fresh.is_known || !held.used.is_known || mapping.shared {
            return;
        }
        if !self.seen.insert((taker, held.by, false)) {
            return;
        }
        let Some(living) = living(number, self.changes, self.observed) else { return };
        let shared = ReadElsewhere {
            place: self.place(fresh, held),
            other: Other::Living(living),
            writes: fresh.access.writes(),
        };
        self.found.warnings.push(Warning {
            mapping: mapping.key.clone(),
            name: mapping.name.clone(),
            fact: Fact::ReadElsewhere(Box::new(shared)),
        });
    }

    fn place(&self, fresh: &Use, held: &Held) -> SharedPlace {
        let both = intersection(&fresh.sectors, &held.used.sectors);
        let part = match fresh.place.volume {
            Some(id) => Part::Volume(id),
            None => Part::Sectors(SharedSectors { start: both.start, end: both.end }),
        };
        let at = self.ground.number(fresh.place.device).filter(|_| !fresh.through.is_empty());
        SharedPlace { part, device: fresh.device.clone(), at }
    }
}

/// Takes the sectors of `before` out of a use, where they were used as much.
fn without(used: &Use, before: &[Use]) -> Vec<Use> {
    let as_much = |old: &&Use| {
        old.place == used.place
            && (old.access == used.access
                || old.access == DeviceAccess::Write
                || used.access == DeviceAccess::Read)
    };
    let mut left = vec![used.sectors.clone()];
    for old in before.iter().filter(as_much).map(|old| &old.sectors) {
        left = left
            .iter()
            .flat_map(|part| [part.start..part.end.min(old.start), part.start.max(old.end)..part.end])
            .collect();
        left.retain(|part| !part.is_empty());
    }
    left.into_iter().map(|sectors| Use { sectors, ..used.clone() }).collect()
}

fn overlap(one: &Range<u64>, two: &Range<u64>) -> bool {
    one.start < two.end && two.start < one.end
}

fn intersection(one: &Range<u64>, two: &Range<u64>) -> Range<u64> {
    one.start.max(two.start)..one.end.min(two.end)
}
