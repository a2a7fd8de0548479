//! Compares each mapping with its device, from the bottom of the stacks up.
//!
//! The order matters: the length of an upper table, and the device numbers in it, follow from the changes of the
//! mappings below.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::between;
use super::change::{self, Change, Compared, Drift};
use super::changes::Changes;
use super::circles;
use super::conflict::{Conflict, Obstacle};
use super::lower_devices::LowerDevices;
use super::mappings::Mappings;
use super::matching::{self, Match, Matches};
use super::on_disk;
use super::orders;
use super::overlap::Claims;
use super::placement::{self, Placement};
use super::position::{ChangeId, MappingId};
use super::repairs;
use super::resolve::Resolver;
use super::unfinished;
use crate::config::{Map, Mapping, State};
use crate::device::Device;
use crate::diff::{self, Difference, TableDiff, Verdict};
use crate::identity::{DevNum, Key};
use crate::kernel::DeviceState;
use crate::observed::{Observed, Seen, SeenId};
use crate::sector_map::{LowerTable, SectorMap};
use crate::stack::{IndexVec, LowerFirst, Positions};
use crate::table::Row;
use crate::targets::{Found, IgnoredValue, Metadata, Unfinished};

/// Compares every mapping of `map` with what was observed.
pub fn compare<'a>(map: &'a Map, observed: &'a Observed) -> Changes<'a> {
    let mut conflicts = Vec::new();
    let Matches { found, in_conflict, by_device } = matching::devices(map, observed, &mut conflicts);
    let orphans = orphans(map, &by_device, observed);
    let mut changes = Changes::new(map, Mappings::new(map, by_device, observed), orphans);
    changes.conflicts = conflicts;
    let claims = Claims::of(found.len());
    let mut comparison = Comparison { changes, observed, found, in_conflict, claims };
    let mut walk = LowerFirst::new(comparison.found.len());
    while let Some((id, lowers)) = walk.next(|id| comparison.changes.mappings.all_below(id, observed)) {
        comparison.add(Placement { id, lowers, circle: None });
    }
    let left = walk.left();
    if !left.is_empty() {
        comparison.add_left(&left.iter().map(|(id, _)| *id).collect());
    }
    let Comparison { mut changes, claims, .. } = comparison;
    let (overlaps, warnings) = claims.judge(&changes);
    changes.conflicts.extend(overlaps);
    changes.shared = warnings;
    between::note(&mut changes, observed);
    changes
}

/// Owned devices that no mapping declares, in the order of the list.
fn orphans<'a>(
    map: &Map,
    by_device: &IndexVec<SeenId, Option<MappingId>>,
    observed: &'a Observed,
) -> Vec<&'a Seen> {
    let undeclared = observed.devices.entries().filter(|(place, _)| by_device.get(*place) == Some(&None));
    let owned = |seen: &&Seen| seen.listed.uuid.as_ref().is_some_and(|uuid| uuid.is_of(&map.owner));
    undeclared.map(|(_, seen)| seen).filter(owned).collect()
}

/// A comparison on its way.
struct Comparison<'a> {
    changes: Changes<'a>,
    observed: &'a Observed,
    found: IndexVec<MappingId, Option<Match<'a>>>,
    in_conflict: IndexVec<MappingId, bool>,
    claims: Claims<'a>,
}

impl<'a> Comparison<'a> {
    /// Adds a mapping, after all those below it.
    fn add(&mut self, placement: Placement) {
        let (id, changes) = (placement.id, &self.changes);
        let lowers: Positions<ChangeId> =
            placement.lowers.iter().filter_map(|id| changes.of_mapping(*id)).collect();
        let mut change = self.change(placement, &lowers);
        change.through = self.changes.through(&change, self.observed);
        self.claims.note(&change, &lowers, &self.changes, self.observed);
        self.changes.push(id, change, lowers);
    }

    /// Adds the mappings that may be in a circle or above one. The circles of mappings alone show here; those through other
    /// devices only once it is known which devices stay.
    fn add_left(&mut self, left: &BTreeSet<MappingId>) {
        let observed = self.observed;
        let below = |changes: &Changes<'_>, id: MappingId| -> Positions<MappingId> {
            if left.contains(&id) { changes.mappings.below(id, observed) } else { Positions::new() }
        };
        let mut suspects = Vec::with_capacity(left.len());
        let mut walk = LowerFirst::new(self.found.len());
        while let Some((id, lowers)) = walk.next(|id| below(&self.changes, id)) {
            if left.contains(&id) {
                suspects.push(id);
                self.add(Placement { id, lowers, circle: None });
            }
        }
        for placement in placement::circular(&self.changes.mappings, walk.left()) {
            self.add(placement);
        }
        circles::block(&mut self.changes, &suspects, observed);
    }

    /// Compares one mapping with its device.
    fn change(&mut self, Placement { id, circle, .. }: Placement, lowers: &[ChangeId]) -> Change<'a> {
        let (mapping, found) = (self.changes.mappings.get(id), self.found[id]);
        let present = mapping.state != State::Absent;
        let device = found.and_then(|found| found.seen.mapped.as_ref());
        let below = LowerDevices { observed: self.observed, changes: &self.changes, device, below: lowers };
        let mut resolver = Resolver::new(mapping, below);
        let mut rows = if present && circle.is_none() { resolver.table() } else { Vec::new() };
        let (block, caused_by_plan) = (resolver.blocks.block(), resolver.caused_by_plan);
        let (mut obstacles, assumed) = (std::mem::take(&mut resolver.obstacles), resolver.assumed.take());
        let short = present && rows.len() < mapping.rows.len();
        obstacles.extend(circle);
        obstacles.dedup();
        let (mut warnings, mut unknown) = (Vec::new(), None);
        if !short && !caused_by_plan && serves(mapping, device, &rows, &obstacles) {
            unknown = obstacles.iter().find_map(Obstacle::unrecorded);
            warnings = std::mem::take(&mut obstacles);
            warnings.retain(|warning| warning.unrecorded().is_none());
        }
        let mut blocked = !obstacles.is_empty() || self.in_conflict[id] || short;
        let (mut drift, mut ignored) = (Drift::Blocked, Vec::new());
        if let Some(unknown) = unknown.filter(|_| !blocked) {
            drift = Drift::Unknown(Box::new(unknown));
        } else if !blocked {
            let judged = judge(mapping, found, &mut rows);
            drift = self.followed(judged.0, &rows, found, lowers);
            drift = self.formatted(drift, &rows, found);
            drift = self.replaced_below(drift, found, lowers);
            if drift == Drift::InSync {
                // A table that could not be loaded now is left as it is.
                let due = warnings.is_empty().then(|| orders::due(&rows, found)).flatten();
                if let Some(diff) = due.or_else(|| on_disk::outgrown(&rows, below)) {
                    drift = Drift::Differs(Arc::new(diff));
                    prepare_reload(&mut rows, found);
                }
            } else {
                obstacles.extend(assumed);
            }
            if let Drift::Differs(_) = drift {
                let unfinished = unfinished::before_reload(&rows, found).map(Obstacle::UnfinishedFirst);
                obstacles.extend(repairs::before_reload(&rows, found).or(unfinished));
            }
            // A live table may not fit any more, though it is not loaded now.
            let is_cut = drift == Drift::InSync && lowers.iter().any(|id| self.changes.all[*id].shrinks());
            if drift.loads_table() || is_cut {
                obstacles.extend(on_disk::contradictions(&rows, below));
                obstacles.extend(on_disk::shortages(&rows, below));
            }
            blocked = !obstacles.is_empty();
            if blocked {
                drift = Drift::Blocked;
            } else {
                ignored = judged.1;
            }
        }
        self.changes.note_warnings(warnings);
        self.changes.note_ignored(ignored);
        self.changes.conflicts.extend(obstacles.into_iter().map(|reason| Conflict {
            mapping: mapping.key.clone(),
            name: mapping.name.clone(),
            reason,
        }));
        // A provisional length is known only after a first load.
        let known = present && !blocked && !rows.iter().any(|row| row.provisional);
        let size = known.then(|| rows.last().map_or(0, Row::end));
        let shifts = drift != Drift::InSync || lowers.iter().any(|id| self.changes.all[*id].shifts);
        Change::new(mapping, found, Compared { rows: rows.into(), drift, size, block, shifts })
    }

    /// Compares where sectors are in the end, where the tables alone tell that some are moved: a layer that is put below a
    /// mapping moves nothing.
    fn followed(&self, drift: Drift, rows: &[Row], found: Option<Match<'_>>, lowers: &[ChangeId]) -> Drift {
        let Drift::Differs(mut diff) = drift else { return drift };
        let live = found.and_then(|found| found.seen.mapped.as_ref()).filter(|_| !diff.map.moves.is_empty());
        let Some(live) = live.and_then(|live| live.table.understood().ok()) else {
            return Drift::Differs(diff);
        };
        let tables: RefCell<HashMap<DevNum, Option<Arc<[Row]>>>> = RefCell::default();
        let live_rows = |number: DevNum| {
            let known = tables.borrow().get(&number).cloned();
            known.unwrap_or_else(|| {
                let table = self.live_table(number);
                tables.borrow_mut().insert(number, table.clone());
                table
            })
        };
        let live_below =
            |device: &Device| Some(LowerTable { rows: live_rows(device.number?)?, is_new: false });
        let wanted_below = |device: &Device| {
            let Some(id) = self.changes.id_of_lower(lowers, device, self.observed) else {
                return live_below(device);
            };
            let change = Some(&self.changes.all[id]).filter(|change| change.size.is_some())?;
            // What a target has taken in since it was made is not where it was before.
            let old = change.number().and_then(live_rows);
            let was_there =
                |row: &Row| old.iter().flat_map(|old| old.iter()).any(|old| has_type_of(old, row));
            let is_new = !change.rows.iter().any(was_there) && (old.is_some() || change.number().is_none());
            Some(LowerTable { rows: Arc::clone(&change.rows), is_new })
        };
        let is_blank = |row: &Row| self.is_blank(row, &live);
        let health = found.and_then(|found| found.seen.health.as_deref());
        let map = SectorMap::followed((rows, &wanted_below), (&live, &live_below), &is_blank, &|row| {
            row.finished_copies(health.and_then(|health| health.state(row.start, row.length)))
        });
        // What such a target takes in is not where it was written before.
        let takes_in = |row: &Row| {
            row.linear_map().is_none()
                && row.fresh_map().is_some()
                && (row.target.hazards().data_loss_on_remove.is_some()
                    || row.target.unfinished() == Some(Unfinished::DirtyBlocks))
        };
        let diff_mut = Arc::make_mut(&mut diff);
        diff_mut.remaps |= !map.disturbs() && rows.iter().any(|row| takes_in(row) && is_blank(row));
        diff_mut.map = map;
        Drift::Differs(diff)
    }

    /// A row that gets its first metadata where the live one wrote none keeps nothing, whatever the tables tell.
    fn formatted(&self, drift: Drift, rows: &[Row], found: Option<Match<'_>>) -> Drift {
        let Drift::Differs(mut diff) = drift else { return drift };
        let writes = |row: &&Row| !row.target.leaves_blank() && !row.target.metadata().is_empty();
        let live = found
            .and_then(|found| found.seen.mapped.as_ref())
            .filter(|_| rows.iter().any(|row| writes(&row)));
        let live = live.and_then(|live| live.table.understood().ok()).unwrap_or_default();
        for old in live.iter().filter(|old| old.target.leaves_blank()) {
            let new = rows.iter().filter(writes).find(|new| {
                new.start == old.start && new.target.kind() == old.target.kind() && !self.has_metadata(new)
            });
            if let Some(new) = new {
                Arc::make_mut(&mut diff).map.give_up(&(new.start..new.end()));
            }
        }
        Drift::Differs(diff)
    }

    /// Whether all metadata of a row is there.
    fn has_metadata(&self, row: &Row) -> bool {
        let heads = self.observed.head_bytes(self.changes.map, row.target.as_ref());
        let places = row.target.metadata();
        let right = |(place, head): (&Metadata<'_>, &Option<Cow<'_, [u8]>>)| {
            head.as_deref().is_some_and(|head| (place.look)(head) == Found::Right)
        };
        places.iter().zip(&heads).all(right)
    }

    /// Whether a row that is new begins without metadata: all places of it are blank, and no live row uses them.
    fn is_blank(&self, row: &Row, live: &[Row]) -> bool {
        let is_new = live.iter().all(|old| !has_type_of(old, row));
        let heads = self.observed.head_bytes(self.changes.map, row.target.as_ref());
        let places = row.target.metadata();
        let blank = |(place, head): (&Metadata<'_>, &Option<Cow<'_, [u8]>>)| {
            head.as_deref().is_some_and(|head| (place.look)(head) == Found::Blank)
        };
        is_new && places.iter().zip(&heads).all(blank)
    }

    /// The live table of a mapped device, where it was read.
    fn live_table(&self, number: DevNum) -> Option<Arc<[Row]>> {
        let state = self.observed.by_number(number)?.mapped.as_ref()?;
        state.table.understood().ok()
    }

    /// A mapping that uses, and goes on using, a device that is replaced must be replaced itself: the old lower device
    /// can't go while it is held, and the new one is not there before the old one went.
    fn replaced_below(&self, drift: Drift, found: Option<Match<'_>>, lowers: &[ChangeId]) -> Drift {
        let Drift::Differs(diff) = drift else { return drift };
        let replaced: HashMap<DevNum, &Key> = lowers
            .iter()
            .map(|id| &self.changes.all[*id])
            .filter(|change| change.is_replaced())
            .filter_map(|change| Some((change.number()?, &change.mapping.key)))
            .collect();
        let live = found.and_then(|found| found.seen.mapped.as_ref()).filter(|_| !replaced.is_empty());
        let held = live.map(|live| live.table.lower_devices()).unwrap_or_default();
        match held.iter().find_map(|number| replaced.get(number)) {
            Some(key) => {
                let differences = vec![Difference::LowerDevice((*key).clone())];
                Drift::Replaced(Arc::new(TableDiff { differences, ..TableDiff::clone(&diff) }))
            }
            None => Drift::Differs(diff),
        }
    }
}

/// Turns the rows into those to load over the live table.
fn prepare_reload(rows: &mut [Row], found: Option<Match<'_>>) {
    if let Some(seen) = found.map(|found| found.seen)
        && let Some(device) = &seen.mapped
    {
        diff::prepare_reload(rows, &device.table, |row| seen.health.as_deref()?.state(row.start, row.length));
    }
}

/// Whether two rows are of one type.
fn has_type_of(one: &Row, other: &Row) -> bool {
    one.target.kind() == other.target.kind()
}

/// Whether the live table is as the map says, so that `obstacles` are only in the way of another load.
fn serves(mapping: &Mapping, device: Option<&DeviceState>, rows: &[Row], obstacles: &[Obstacle]) -> bool {
    let equal = |device: &DeviceState| {
        device.info.live_table && diff::compare(rows, mapping.access(), device) == Verdict::Equal
    };
    !obstacles.is_empty()
        && mapping.state != State::Absent
        && obstacles.iter().all(Obstacle::hinders_only_a_load)
        && device.is_some_and(equal)
}

/// Compares a mapping with its device, and turns the rows into those to load over the live table: without orders that
/// were carried out already. Also returns the values that the kernel would take and ignore.
fn judge(mapping: &Mapping, found: Option<Match<'_>>, rows: &mut [Row]) -> (Drift, Vec<IgnoredValue>) {
    let settled = |drift| (drift, Vec::new());
    let absent = mapping.state == State::Absent;
    let Some(device) = found.and_then(|found| found.seen.mapped.as_ref()) else {
        return settled(if absent { Drift::AbsentOk } else { Drift::Missing });
    };
    if absent {
        let pending = change::is_removal_pending(device);
        return settled(if pending { Drift::RemovalPending } else { Drift::Extra });
    }
    if !device.info.live_table {
        return settled(Drift::NoTable);
    }
    let (verdict, ignored) = diff::judge(rows, mapping.access(), device);
    let drift = match verdict {
        Verdict::Equal => Drift::InSync,
        Verdict::Reload(diff) => {
            prepare_reload(rows, found);
            Drift::Differs(Arc::new(diff))
        }
        Verdict::Recreate(diff) => Drift::Replaced(Arc::new(diff)),
        Verdict::Unknown(why) => Drift::Unknown(why),
    };
    (drift, ignored)
}
