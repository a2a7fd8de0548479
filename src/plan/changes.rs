//! What each mapping has, against what it should have, from the bottom of the stacks up.
//!
//! The order matters: how long an upper table may be, and which device numbers stand in it, follows from
//! what becomes of the mappings below.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::matching::{self, Match};
use super::{Conflict, Unjudged};
use crate::config::{Length, Map, Mapping, Row, State};
use crate::device::Device;
use crate::diff::{self, TableDiff, Verdict};
use crate::identity::{DevNum, Key};
use crate::kernel::Mapped;
use crate::observed::{Observed, Seen};
use crate::sector_map::TypedRow;
use crate::targets::{Access, Lower};

/// A mapping, its device, and how the two compare.
pub struct Change<'a> {
    /// The mapping.
    pub mapping: &'a Mapping,
    /// Its device, when it has one.
    pub found: Option<Match<'a>>,
    /// The table it should have, with numbers for all lower devices that exist and stay.
    pub rows: Vec<TypedRow>,
    /// How the two compare.
    pub standing: Standing,
    /// The mappings it should stand on.
    pub lowers: Vec<Key>,
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
    /// The tables mean the same.
    Same,
    /// The device was made and never got a table.
    Unfinished,
    /// Another table makes them equal.
    Differs(TableDiff),
    /// Only a new device makes them equal.
    Replaced(TableDiff),
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
    /// Owned devices that no mapping declares.
    pub leftovers: Vec<&'a Seen>,
    /// What stands in the way.
    pub conflicts: Vec<Conflict>,
    index: BTreeMap<&'a Key, usize>,
    by_number: HashMap<DevNum, &'a Key>,
}

impl Change<'_> {
    /// The state of its device.
    #[must_use]
    pub fn device(&self) -> Option<&Mapped> {
        self.found.and_then(|found| found.seen.mapped.as_ref())
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
        let matches = matching::devices(map, observed, &mut conflicts);
        let by_number: HashMap<DevNum, &Key> = map
            .mappings
            .keys()
            .filter_map(|key| matches.get(key).map(|found| (found.seen.listed.number, key)))
            .collect();
        let leftovers = leftovers(map, observed);
        let mut changes =
            Self { map, all: Vec::new(), leftovers, conflicts, index: BTreeMap::new(), by_number };
        let unmatched: BTreeSet<Key> =
            changes.conflicts.iter().map(|conflict| conflict.mapping.clone()).collect();
        let mut numbers = BTreeMap::new();
        let mut sizes = BTreeMap::new();
        for (mapping, lowers) in changes.bottom_up(observed) {
            let found = matches.get(&mapping.key).copied();
            let mut resolver =
                Resolver { observed, changes: &changes, numbers: &numbers, sizes: &sizes, says: Vec::new() };
            let rows = resolver.table(mapping);
            let says = resolver.says;
            let blocked = !says.is_empty() || unmatched.contains(&mapping.key);
            changes.conflicts.extend(says.into_iter().map(|reason| Conflict {
                mapping: mapping.key.clone(),
                name: mapping.name.clone(),
                reason,
            }));
            let standing = if blocked { Standing::Blocked } else { standing(mapping, found, &rows) };
            if mapping.state != State::Absent && !blocked {
                sizes.insert(&mapping.key, rows.last().map_or(0, TypedRow::end));
            }
            if let Some(found) = found
                && !matches!(standing, Standing::Replaced(_))
            {
                numbers.insert(&mapping.key, found.seen.listed.number);
            }
            changes.index.insert(&mapping.key, changes.all.len());
            changes.all.push(Change { mapping, found, rows, standing, lowers });
        }
        changes
    }

    /// One mapping.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Change<'a>> {
        self.index.get(key).map(|index| &self.all[*index])
    }

    /// The mapping whose device has this number.
    #[must_use]
    pub fn key_of(&self, number: DevNum) -> Option<&'a Key> {
        self.by_number.get(&number).copied()
    }

    /// The numbers of devices that something may be done to.
    pub fn touched(&self) -> impl Iterator<Item = DevNum> + '_ {
        let changed = self.all.iter().filter(|change| {
            let suspended = change.device().is_some_and(|device| device.info.suspended);
            !matches!(change.standing, Standing::Same | Standing::Unknown(_) | Standing::Gone)
                || suspended != (change.mapping.state == State::Suspended)
        });
        let pruned = if self.map.policy.prune { self.leftovers.as_slice() } else { &[] };
        changed.filter_map(Change::number).chain(pruned.iter().map(|seen| seen.listed.number))
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
        self.all.iter().filter_map(judge).collect()
    }

    /// The mapping that `device` is, by key or by number.
    fn lower_key(&self, observed: &Observed, device: &Device) -> Option<Key> {
        match device.key() {
            Some(key) => Some(key.clone()),
            None => observed.number(device).and_then(|number| self.key_of(number)).cloned(),
        }
    }

    /// The mappings with the keys they stand on, lower ones first. Those in a circle are conflicts.
    fn bottom_up(&mut self, observed: &Observed) -> Vec<(&'a Mapping, Vec<Key>)> {
        let map = self.map;
        let mut waiting: BTreeMap<&Key, (usize, Vec<Key>)> = BTreeMap::new();
        let mut uppers: HashMap<&Key, Vec<&Key>> = HashMap::new();
        for mapping in map.mappings.values() {
            let mut lowers = BTreeSet::new();
            for row in &mapping.rows {
                lowers.extend(
                    row.target.lowers(0).iter().filter_map(|lower| self.lower_key(observed, lower.device)),
                );
            }
            for lower in &lowers {
                if let Some((key, _)) = map.mappings.get_key_value(lower) {
                    uppers.entry(key).or_default().push(&mapping.key);
                }
            }
            let known = lowers.iter().filter(|lower| map.mappings.contains_key(*lower)).count();
            waiting.insert(&mapping.key, (known, lowers.into_iter().collect()));
        }
        let mut ready: Vec<&Key> =
            waiting.iter().filter(|(_, (count, _))| *count == 0).map(|(key, _)| *key).collect();
        let mut ordered = Vec::with_capacity(map.mappings.len());
        let mut next = 0;
        while let Some(key) = ready.get(next).copied() {
            next += 1;
            for upper in uppers.get(key).into_iter().flatten() {
                if let Some((count, _)) = waiting.get_mut(upper) {
                    *count -= 1;
                    if *count == 0 {
                        ready.push(upper);
                    }
                }
            }
            if let Some((_, lowers)) = waiting.remove(key) {
                ordered.push((&map.mappings[key], lowers));
            }
        }
        for (key, (_, lowers)) in waiting {
            let below: Vec<String> = lowers.iter().map(|lower| format!("@{lower}")).collect();
            self.conflicts.push(Conflict {
                mapping: key.clone(),
                name: map.mappings[key].name.clone(),
                reason: format!("it stands on itself, through {}", below.join(", ")),
            });
        }
        ordered
    }
}

/// Owned devices that no mapping declares, by name.
fn leftovers<'a>(map: &Map, observed: &'a Observed) -> Vec<&'a Seen> {
    let declared: BTreeSet<_> = map.mappings.values().map(|mapping| &mapping.uuid).collect();
    let leftover = |seen: &&Seen| {
        seen.listed.uuid.as_ref().is_some_and(|uuid| uuid.is_of(&map.owner) && !declared.contains(uuid))
    };
    observed.devices.iter().filter(leftover).collect()
}

fn standing(mapping: &Mapping, found: Option<Match<'_>>, rows: &[TypedRow]) -> Standing {
    let Some(device) = found.and_then(|found| found.seen.mapped.as_ref()) else {
        return if mapping.state == State::Absent { Standing::Gone } else { Standing::Missing };
    };
    if mapping.state == State::Absent {
        return Standing::Unwanted;
    }
    if !device.info.live_table {
        return Standing::Unfinished;
    }
    match diff::compare(rows, mapping.readonly, device) {
        Verdict::Equal => Standing::Same,
        Verdict::Reload(diff) => Standing::Differs(diff),
        Verdict::Recreate(diff) => Standing::Replaced(diff),
        Verdict::Unknown(why) => Standing::Unknown(why),
    }
}

/// Turns the rows of one mapping into a table: numbers for devices, lengths for `rest`.
struct Resolver<'r, 'a> {
    observed: &'r Observed,
    changes: &'r Changes<'a>,
    /// Of the mappings below: those that exist and stay.
    numbers: &'r BTreeMap<&'a Key, DevNum>,
    /// Of the mappings below: how long they will be.
    sizes: &'r BTreeMap<&'a Key, u64>,
    says: Vec<String>,
}

impl Resolver<'_, '_> {
    fn table(&mut self, mapping: &Mapping) -> Vec<TypedRow> {
        if mapping.state == State::Absent {
            return Vec::new();
        }
        let mut rows = Vec::with_capacity(mapping.rows.len());
        let mut start = 0;
        for row in &mapping.rows {
            let Some(resolved) = self.row(mapping, row, start) else { break };
            start = resolved.end();
            rows.push(resolved);
        }
        rows
    }

    fn row(&mut self, mapping: &Mapping, row: &Row, start: u64) -> Option<TypedRow> {
        let mut target = row.target.clone();
        let troubles = self.says.len();
        for device in target.devices_mut() {
            self.resolve(device);
        }
        if self.says.len() > troubles {
            return None;
        }
        let length = match row.length {
            Length::Sectors(length) => length,
            Length::Rest => match target.rest(&|device| self.size(device)) {
                Some(Ok(length)) => length,
                Some(Err(says)) => {
                    self.says.push(says);
                    return None;
                }
                None => {
                    self.says.push(format!(
                        "the length of the {} target at sector {start} follows from a device whose size is not known",
                        target.kind()
                    ));
                    return None;
                }
            },
        };
        target.settle(length);
        for lower in target.lowers(length) {
            self.check_lower(mapping, &lower);
        }
        Some(TypedRow { start, length, target, messages: row.messages.clone() })
    }

    fn resolve(&mut self, device: &mut Device) {
        if let Some(key) = device.key() {
            device.number = self.numbers.get(key).copied();
            return;
        }
        match self.observed.number(device) {
            Some(number) => device.number = Some(number),
            None => self.says.push(format!("the lower device {device} does not exist")),
        }
    }

    /// The size a lower device will have: a mapping of the map that of its new table.
    fn size(&self, device: &Device) -> Option<u64> {
        if let Some(key) = self.changes.lower_key(self.observed, device)
            && self.changes.map.mappings.contains_key(&key)
        {
            return self.sizes.get(&key).copied();
        }
        device.number.and_then(|number| self.observed.block(number)).map(|block| block.sectors)
    }

    fn check_lower(&mut self, mapping: &Mapping, lower: &Lower<'_>) {
        let own = self.changes.lower_key(self.observed, lower.device);
        if own.as_ref() == Some(&mapping.key) {
            self.says.push(format!("its table stands on itself: {}", lower.device.described()));
            return;
        }
        if let (Some(size), Some(length)) = (self.size(lower.device), lower.length) {
            let end = lower.start.saturating_add(length);
            if end > size {
                self.says.push(format!(
                    "the lower device {} is too small: the table reaches to sector {end}, it has {size}",
                    lower.device.described()
                ));
            }
        }
        if lower.access != Access::Read && !mapping.readonly && self.is_read_only(lower.device, own.as_ref())
        {
            self.says.push(format!(
                "the lower device {} is read-only, and this table would write to it; say readonly = true",
                lower.device.described()
            ));
        }
    }

    fn is_read_only(&self, device: &Device, key: Option<&Key>) -> bool {
        match key.and_then(|key| self.changes.map.mappings.get(key)) {
            Some(below) => below.readonly,
            None => device
                .number
                .and_then(|number| self.observed.block(number))
                .is_some_and(|block| block.read_only),
        }
    }
}
