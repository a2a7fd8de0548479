//! What each mapping has, against what it should have, from the bottom of the stacks up.
//!
//! The order matters: how long an upper table may be, and which device numbers stand in it, follows from
//! what becomes of the mappings below.

use std::collections::HashMap;
use std::sync::Arc;

use super::mappings::{Mappings, Neighbours};
use super::matching::{self, Match, Matches};
use super::noted::Noted;
use super::overlap::Claims;
use super::resolve::Resolver;
use super::sorting::Sorting;
use super::stacks::{self, Placed};
use super::{Conflict, Ignored, Unjudged};
use crate::config::{Map, Mapping, State};
use crate::device::Device;
use crate::diff::{self, Difference, TableDiff, Verdict};
use crate::identity::{DevNum, Key, Name};
use crate::kernel::DeviceState;
use crate::observed::{Observed, Seen};
use crate::table::Row;

/// A mapping, its device, and how the two compare.
pub struct Change<'a> {
    /// The mapping.
    pub mapping: &'a Mapping,
    /// Its device, when it has one.
    pub found: Option<Match<'a>>,
    /// The table it should have, with numbers for all lower devices that exist and stay.
    pub rows: Arc<[Row]>,
    /// How the two compare.
    pub standing: Standing,
    /// How long it will be, in sectors, where that can be told.
    pub size: Option<u64>,
    /// The size of the blocks below it, in sectors.
    pub block: u64,
}

/// How a mapping and its device compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// There is no device, and there should be none.
    Gone,
    /// There is no device, and there should be one.
    Missing,
    /// There is a device, and there should be none.
    Unwanted,
    /// There is a device, there should be none, and it goes away by itself as soon as it is closed.
    Leaving,
    /// The tables mean the same.
    Same,
    /// The device was made and never got a table.
    Unfinished,
    /// Another table makes them equal.
    Differs(Arc<TableDiff>),
    /// Only a new device makes them equal.
    Replaced(Arc<TableDiff>),
    /// The live table can't be judged.
    Unknown(String),
    /// A conflict stands in the way.
    Blocked,
}

/// All mappings of a map, compared.
pub struct Changes<'a> {
    /// The map.
    pub map: &'a Map,
    /// The mappings, lower ones first.
    pub all: Vec<Change<'a>>,
    /// For each of them, by its place, the places of those that it should stand on.
    pub lowers: Vec<Neighbours>,
    /// Owned devices that no mapping declares.
    pub leftovers: Vec<&'a Seen>,
    /// What stands in the way.
    pub conflicts: Vec<Conflict>,
    /// What was noted of the mappings on the way.
    pub(super) noted: Noted,
    mappings: Mappings<'a>,
    /// For each mapping its place in `all`, once it is there.
    places: Vec<Option<usize>>,
    pruned: HashMap<DevNum, &'a Name>,
}

impl Change<'_> {
    /// The state of its device.
    #[must_use]
    pub fn device(&self) -> Option<&DeviceState> {
        self.found.and_then(|found| found.seen.mapped.as_ref())
    }

    /// The number of its device, unless that is made anew.
    #[must_use]
    pub fn lasting_number(&self) -> Option<DevNum> {
        self.number().filter(|_| !self.is_made_anew())
    }

    /// Whether it is given another device in place of the one it has.
    #[must_use]
    pub fn is_made_anew(&self) -> bool {
        matches!(self.standing, Standing::Replaced(_))
    }

    /// The rows of the table that it is given; none where it keeps the one it has, or gets none.
    #[must_use]
    pub fn new_rows(&self) -> &[Row] {
        match self.standing {
            Standing::Missing | Standing::Unfinished | Standing::Differs(_) | Standing::Replaced(_) => {
                &self.rows
            }
            _ => &[],
        }
    }

    /// The number of its device.
    #[must_use]
    pub fn number(&self) -> Option<DevNum> {
        self.found.map(|found| found.seen.listed.number)
    }
}

impl<'a> Changes<'a> {
    /// Compares every mapping of `map` with what was observed.
    #[must_use]
    pub fn find(map: &'a Map, observed: &'a Observed) -> Self {
        let mut conflicts = Vec::new();
        let Matches { found, in_conflict, by_device } = matching::devices(map, observed, &mut conflicts);
        let leftovers = leftovers(map, &by_device, observed);
        let removed = if map.policy.prune { leftovers.as_slice() } else { &[] };
        let pruned = removed.iter().map(|seen| (seen.listed.number, &seen.listed.name)).collect();
        let mappings = Mappings::new(map, by_device);
        let count = found.len();
        let (all, lowers) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let (noted, places) = (Noted::default(), vec![None; count]);
        let mut changes = Self { map, all, lowers, leftovers, conflicts, noted, mappings, places, pruned };
        let mut claims = Claims::of(count);
        let mut add = |changes: &mut Self, placed: Placed| {
            let id = placed.id;
            changes.add(placed, found[id], in_conflict[id], observed, &mut claims);
        };
        let mut sorting = Sorting::of(count);
        while let Some((id, lowers)) = sorting.next(|id| changes.mappings.below(id, observed)) {
            add(&mut changes, Placed { id, lowers, circle: None });
        }
        for placed in stacks::circles(&changes.mappings, &sorting.left()) {
            add(&mut changes, placed);
        }
        let overlaps = claims.conflicts(&changes);
        changes.conflicts.extend(overlaps);
        changes
    }

    /// Adds one mapping, after all those below it.
    fn add(
        &mut self,
        placed: Placed,
        found: Option<Match<'a>>,
        in_conflict: bool,
        observed: &'a Observed,
        claims: &mut Claims<'a>,
    ) {
        let (id, place) = (placed.id, self.all.len());
        let lowers: Neighbours = placed.lowers.iter().filter_map(|id| self.places[*id]).collect();
        let change = self.compare(placed, &lowers, found, in_conflict, observed);
        self.noted.note(place, &change);
        claims.note(&change, &lowers, self, observed);
        self.places[id] = Some(place);
        self.all.push(change);
        self.lowers.push(lowers);
    }

    /// Compares one mapping with its device.
    fn compare(
        &mut self,
        placed: Placed,
        lowers: &[usize],
        found: Option<Match<'a>>,
        in_conflict: bool,
        observed: &'a Observed,
    ) -> Change<'a> {
        let Placed { id, circle, .. } = placed;
        let mapping = self.mappings.get(id);
        let present = mapping.state != State::Absent;
        let device = found.and_then(|found| found.seen.mapped.as_ref());
        let mut resolver = Resolver::new(observed, self, mapping, device, lowers);
        let mut rows = if present && circle.is_none() { resolver.table() } else { Vec::new() };
        let (mut says, block) = (resolver.says, resolver.block);
        let short = present && rows.len() < mapping.rows.len();
        says.extend(circle);
        says.dedup();
        let blocked = !says.is_empty() || in_conflict || short;
        self.conflicts.extend(says.into_iter().map(|reason| Conflict {
            mapping: mapping.key.clone(),
            name: mapping.name.clone(),
            reason,
        }));
        let mut ignored = Vec::new();
        let standing =
            if blocked { Standing::Blocked } else { standing(mapping, found, &mut rows, &mut ignored) };
        if !ignored.is_empty() {
            self.noted.ignored.push((self.all.len(), ignored));
        }
        let standing = self.made_anew_below(standing, found, lowers);
        // How long a device is that must be loaded to tell, nobody knows yet.
        let told = present && !blocked && !rows.iter().any(|row| row.provisional);
        let size = told.then(|| rows.last().map_or(0, Row::end));
        Change { mapping, found, rows: rows.into(), standing, size, block }
    }

    /// What stands, and goes on standing, on a device that is made anew must be made anew itself: the old
    /// one can't go while it is held, and the new one is not there before the old one went.
    fn made_anew_below(&self, standing: Standing, found: Option<Match<'_>>, lowers: &[usize]) -> Standing {
        let Standing::Differs(diff) = standing else { return standing };
        let replaced: HashMap<DevNum, &Key> = lowers
            .iter()
            .map(|place| &self.all[*place])
            .filter(|change| change.is_made_anew())
            .filter_map(|change| Some((change.number()?, &change.mapping.key)))
            .collect();
        let live = found.and_then(|found| found.seen.mapped.as_ref()).filter(|_| !replaced.is_empty());
        let held = live.map(|live| diff::lower_devices(&live.table)).unwrap_or_default();
        match held.iter().find_map(|number| replaced.get(number)) {
            Some(key) => {
                let differences = vec![Difference::LowerDevice((*key).clone())];
                Standing::Replaced(Arc::new(TableDiff { differences, ..TableDiff::clone(&diff) }))
            }
            None => Standing::Differs(diff),
        }
    }

    /// The mappings whose tables ask for more than lower devices.
    pub fn demanding(&self) -> impl Iterator<Item = &Change<'a>> {
        self.noted.demanding.iter().map(|place| &self.all[*place])
    }

    /// One mapping.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Change<'a>> {
        self.place(key).map(|place| &self.all[place])
    }

    /// The mapping whose device has this number.
    #[must_use]
    pub fn key_of(&self, number: DevNum, observed: &Observed) -> Option<&'a Key> {
        self.mappings.of_number(number, observed).map(|id| &self.mappings.get(id).key)
    }

    /// The place in [`all`](Self::all) of the mapping whose device has this number, once it is there.
    #[must_use]
    pub fn place_of_number(&self, number: DevNum, observed: &Observed) -> Option<usize> {
        self.mappings.of_number(number, observed).and_then(|id| self.places[id])
    }

    /// The place of a mapping in [`all`](Self::all).
    #[must_use]
    pub fn place(&self, key: &Key) -> Option<usize> {
        self.mappings.of_key(key).and_then(|id| self.places[id])
    }

    /// The place of the mapping that `device` is, however that is written. It is most likely one of `lowers`, the
    /// places of those that a mapping stands on: that is looked at first, for it costs no search.
    #[must_use]
    pub fn place_below(&self, lowers: &[usize], device: &Device, observed: &Observed) -> Option<usize> {
        let key = device.key();
        let known = lowers.iter().find(|place| key == Some(&self.all[**place].mapping.key));
        known.copied().or_else(|| self.mappings.of_device(device, observed).and_then(|id| self.places[id]))
    }

    /// The name of an owned device that is removed because no mapping declares it.
    #[must_use]
    pub fn pruned(&self, number: DevNum) -> Option<&'a Name> {
        self.pruned.get(&number).copied()
    }

    /// The numbers of devices that something may be done to.
    pub fn touched(&self) -> impl Iterator<Item = DevNum> + '_ {
        let prune = self.map.policy.prune;
        let shell = |seen: &Seen| seen.mapped.as_ref().is_some_and(|mapped| !mapped.info.live_table);
        let removed = self.leftovers.iter().filter(move |seen| prune || shell(seen));
        self.noted.touched.iter().copied().chain(removed.map(|seen| seen.listed.number))
    }

    /// What no table changes of the mapping at `place`: values that the kernel would take and ignore.
    #[must_use]
    pub fn ignored_at(&self, place: usize) -> &[String] {
        let ignored = &self.noted.ignored;
        ignored.binary_search_by_key(&place, |(place, _)| *place).map_or(&[], |index| &ignored[index].1)
    }

    /// What is asked for and no table changes.
    #[must_use]
    pub fn ignored(&self) -> Vec<Ignored> {
        let all = self.noted.ignored.iter().map(|(place, reasons)| (&self.all[*place], reasons));
        let stay = all.filter(|(change, _)| matches!(change.standing, Standing::Same | Standing::Differs(_)));
        let ignored = |change: &Change<'_>, reason: &String| Ignored {
            mapping: change.mapping.key.clone(),
            name: change.mapping.name.clone(),
            reason: reason.clone(),
        };
        stay.flat_map(|(change, reasons)| reasons.iter().map(move |reason| ignored(change, reason))).collect()
    }

    /// The devices that can't be judged.
    #[must_use]
    pub fn unjudged(&self) -> Vec<Unjudged> {
        let judge = |change: &Change<'_>| match &change.standing {
            Standing::Unknown(reason) => Some(Unjudged {
                mapping: change.mapping.key.clone(),
                name: change.mapping.name.clone(),
                reason: reason.clone(),
            }),
            _ => None,
        };
        self.noted.unknown.iter().map(|place| &self.all[*place]).filter_map(judge).collect()
    }
}

/// Owned devices that no mapping declares, by name.
fn leftovers<'a>(map: &Map, by_device: &[Option<usize>], observed: &'a Observed) -> Vec<&'a Seen> {
    let undeclared = observed.devices.iter().zip(by_device).filter(|(_, mapping)| mapping.is_none());
    let owned = |seen: &&Seen| seen.listed.uuid.as_ref().is_some_and(|uuid| uuid.is_of(&map.owner));
    undeclared.map(|(seen, _)| seen).filter(owned).collect()
}

/// Whether a device is open, and goes away as soon as it is not.
pub fn leaves(device: &DeviceState) -> bool {
    device.info.deferred_remove && device.info.open_count > 0
}

/// Compares a mapping with its device. A table that is loaded over another one gives no order again that was
/// carried out already.
fn standing(
    mapping: &Mapping,
    found: Option<Match<'_>>,
    rows: &mut [Row],
    ignored: &mut Vec<String>,
) -> Standing {
    let Some(device) = found.and_then(|found| found.seen.mapped.as_ref()) else {
        return if mapping.state == State::Absent { Standing::Gone } else { Standing::Missing };
    };
    if mapping.state == State::Absent {
        return if leaves(device) { Standing::Leaving } else { Standing::Unwanted };
    }
    if !device.info.live_table {
        return Standing::Unfinished;
    }
    let (verdict, says) = diff::judge(rows, mapping.access(), device);
    *ignored = says;
    match verdict {
        Verdict::Equal => Standing::Same,
        Verdict::Reload(diff) => {
            diff::over(rows, &device.table);
            Standing::Differs(Arc::new(diff))
        }
        Verdict::Recreate(diff) => Standing::Replaced(Arc::new(diff)),
        Verdict::Unknown(why) => Standing::Unknown(why),
    }
}
