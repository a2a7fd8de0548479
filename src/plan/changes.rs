//! A map and a kernel, compared: a change for each mapping, lower ones first, and the questions asked of them.

use std::collections::{BTreeSet, HashMap};

use super::change::{self, Change, Drift};
use super::change_index::ChangeIndex;
use super::conflict::{Conflict, Obstacle};
use super::mappings::Mappings;
use super::matching;
use super::position::{ChangeId, MappingId};
use super::remark::{Fact, Ignored, Unjudged, Warning};
use super::step::Through;
use crate::config::Map;
use crate::device::Device;
use crate::diff::{self, Unjudgeable, Verdict};
use crate::identity::{DevNum, Key, Name, Uuid};
use crate::observed::{Observed, Seen};
use crate::stack::{IndexVec, Position as _, Positions};
use crate::table::Row;
use crate::targets::{IgnoredValue, Style};

/// All mappings of a map, compared.
pub struct Changes<'a> {
    /// The map that was compared.
    pub map: &'a Map,
    /// The mappings, lower ones first.
    pub all: IndexVec<ChangeId, Change<'a>>,
    /// For each of them, those that it should use.
    pub lowers: IndexVec<ChangeId, Positions<ChangeId>>,
    /// Owned devices that no mapping declares.
    pub orphans: Vec<&'a Seen>,
    /// The conflicts that the comparison found.
    pub conflicts: Vec<Conflict>,
    /// The warnings about sectors that one mapping writes to and another only reads.
    pub(super) shared: Vec<Warning>,
    /// Where the changes are that need a second look.
    pub(super) index: ChangeIndex,
    pub(super) mappings: Mappings<'a>,
    /// For each mapping its change, once it was compared.
    by_mapping: IndexVec<MappingId, Option<ChangeId>>,
    /// The names of the orphans that are removed.
    pruned: HashMap<DevNum, &'a Name>,
}

impl<'a> Changes<'a> {
    /// Creates an empty list of changes.
    pub(super) fn new(map: &'a Map, mappings: Mappings<'a>, orphans: Vec<&'a Seen>) -> Self {
        let removed = if map.policy.prune { orphans.as_slice() } else { &[] };
        let pruned = removed.iter().map(|seen| (seen.listed.number, &seen.listed.name)).collect();
        let count = mappings.len();
        Self {
            map,
            all: IndexVec::with_capacity(count),
            lowers: IndexVec::with_capacity(count),
            orphans,
            conflicts: Vec::new(),
            shared: Vec::new(),
            index: ChangeIndex::default(),
            by_mapping: IndexVec::filled(None, count),
            mappings,
            pruned,
        }
    }

    /// Adds the change of the mapping `id`, which uses `lowers`.
    pub(super) fn push(&mut self, id: MappingId, change: Change<'a>, lowers: Positions<ChangeId>) {
        let place = self.all.push(change);
        self.index.note(place, &self.all[place]);
        self.by_mapping[id] = Some(place);
        self.lowers.push(lowers);
    }

    /// Blocks a mapping that was compared already.
    pub(super) fn block(&mut self, place: ChangeId, reason: Obstacle) {
        let change = &mut self.all[place];
        change.block();
        self.index.busy.retain(|busy| *busy != place);
        self.index.touched.extend(change.number());
        let mapping = change.mapping;
        self.conflicts.push(Conflict { mapping: mapping.key.clone(), name: mapping.name.clone(), reason });
    }

    /// Records the values that the kernel would accept and ignore, of the mapping that is pushed next.
    pub(super) fn note_ignored(&mut self, ignored: Vec<IgnoredValue>) {
        if !ignored.is_empty() {
            self.index.ignored.push((ChangeId::new(self.all.len()), ignored));
        }
    }

    /// Records obstacles that are only in the way of another load, of the mapping that is pushed next.
    pub(super) fn note_warnings(&mut self, obstacles: impl IntoIterator<Item = Obstacle>) {
        let place = ChangeId::new(self.all.len());
        self.index.warnings.extend(obstacles.into_iter().map(|obstacle| (place, obstacle)));
    }

    /// The change of the mapping `id`, once it was compared.
    pub(super) fn of_mapping(&self, id: MappingId) -> Option<ChangeId> {
        self.by_mapping[id]
    }

    /// The changes whose targets ask for more than lower devices.
    pub(super) fn demanding(&self) -> impl Iterator<Item = &Change<'a>> {
        self.index.demanding.iter().map(|id| &self.all[*id])
    }

    /// The change of the mapping `key`.
    pub fn get(&self, key: &Key) -> Option<&Change<'a>> {
        self.id_of(key).map(|id| &self.all[id])
    }

    /// The place of the mapping `key`, once it was compared.
    pub fn id_of(&self, key: &Key) -> Option<ChangeId> {
        self.mappings.of_key(key).and_then(|id| self.by_mapping[id])
    }

    /// The mapping whose device has this number.
    pub fn key_of(&self, number: DevNum, observed: &Observed) -> Option<&'a Key> {
        self.mappings.of_number(number, observed).map(|id| &self.mappings.get(id).key)
    }

    /// The place of the mapping whose device has this number, once it was compared.
    pub fn id_of_number(&self, number: DevNum, observed: &Observed) -> Option<ChangeId> {
        self.mappings.of_number(number, observed).and_then(|id| self.by_mapping[id])
    }

    /// The place of the mapping that `device` is, however that is written. A `@key` is mostly one of `lowers`, the
    /// mappings that the asking one uses, and found there without a search of the map.
    pub fn id_of_lower(&self, lowers: &[ChangeId], device: &Device, observed: &Observed) -> Option<ChangeId> {
        let key = device.key();
        let known = lowers.iter().find(|id| key == Some(&self.all[**id].mapping.key));
        known
            .copied()
            .or_else(|| self.mappings.of_device(device, observed).and_then(|id| self.by_mapping[id]))
    }

    /// The devices of mappings that the device of `change` uses through devices outside of the map.
    pub(super) fn through(&self, change: &Change<'_>, observed: &Observed) -> Through {
        let Some(device) = change.device().filter(|_| self.mappings.has_foreign_between()) else {
            return Through::default();
        };
        let lead_to = |number: DevNum| {
            let mappings = self.mappings.through(number).iter();
            mappings.filter_map(|id| self.all[self.by_mapping[*id]?].number()).collect::<Vec<_>>()
        };
        let new = change.rows.iter().flat_map(Row::lower_devices);
        let new: BTreeSet<DevNum> = new.filter_map(|lower| lower.device.number).collect();
        let old = device.table.lower_devices().iter().copied();
        let is_foreign = |number: &DevNum| self.mappings.of_number(*number, observed).is_none();
        let reached =
            |lowers: &mut dyn Iterator<Item = DevNum>| lowers.filter(is_foreign).flat_map(lead_to).collect();
        Through { old: reached(&mut { old }), new: reached(&mut new.into_iter()) }
    }

    /// The name of an orphan that is removed.
    pub fn pruned(&self, number: DevNum) -> Option<&'a Name> {
        self.pruned.get(&number).copied()
    }

    /// The numbers of the orphans that are removed, in the order of the list.
    pub(super) fn pruned_numbers(&self) -> impl Iterator<Item = DevNum> {
        let pending = |seen: &Seen| seen.mapped.as_ref().is_some_and(change::is_removal_pending);
        let removed = self.orphans.iter().filter(move |seen| !pending(seen)).map(|seen| seen.listed.number);
        removed.filter(|number| self.pruned.contains_key(number))
    }

    /// The orphans that this map may judge. None for a part of a map: a mapping of the rest may declare them.
    pub(super) fn own_orphans(&self) -> &[&'a Seen] {
        if self.map.rest.is_some() { &[] } else { &self.orphans }
    }

    /// The numbers of devices that something may be done to.
    pub fn touched(&self) -> impl Iterator<Item = DevNum> + '_ {
        let prune = self.map.policy.prune;
        let shell = |seen: &Seen| seen.mapped.as_ref().is_some_and(|mapped| !mapped.info.live_table);
        let removed = self.own_orphans().iter().filter(move |seen| prune || shell(seen));
        self.index.touched.iter().copied().chain(removed.map(|seen| seen.listed.number))
    }

    /// The values of the mapping at `id` that the kernel would take and ignore.
    pub fn ignored_at(&self, id: ChangeId) -> &[IgnoredValue] {
        let ignored = &self.index.ignored;
        ignored.binary_search_by_key(&id, |(id, _)| *id).map_or(&[], |index| &ignored[index].1)
    }

    /// What would be in the way of another load of the table that the mapping at `id` has.
    pub fn warnings_at(&self, id: ChangeId) -> impl Iterator<Item = Warning> {
        let warnings = &self.index.warnings;
        let first = warnings.partition_point(|(other, _)| *other < id);
        let own = warnings[first..].iter().take_while(move |(other, _)| *other == id);
        own.map(|(id, obstacle)| self.warning(*id, obstacle))
    }

    fn warning(&self, id: ChangeId, obstacle: &Obstacle) -> Warning {
        let mapping = self.all[id].mapping;
        let fact = Fact::NotLoadable(obstacle.clone());
        Warning { mapping: mapping.key.clone(), name: mapping.name.clone(), fact }
    }

    /// The values that the kernel would take and ignore, of all mappings whose devices stay.
    pub fn ignored(&self) -> Vec<Ignored> {
        let all = self.index.ignored.iter().map(|(id, values)| (&self.all[*id], values));
        let stay = all.filter(|(change, _)| matches!(change.drift, Drift::InSync | Drift::Differs(_)));
        let ignored = |change: &Change<'_>, value: &IgnoredValue| Ignored {
            mapping: change.mapping.key.clone(),
            name: change.mapping.name.clone(),
            value: value.clone(),
        };
        stay.flat_map(|(change, values)| values.iter().map(move |value| ignored(change, value))).collect()
    }

    /// The facts that no step changes, and that the reader should know.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings: Vec<Warning> =
            self.index.warnings.iter().map(|(id, obstacle)| self.warning(*id, obstacle)).collect();
        warnings.extend(self.former_keys());
        warnings.extend(self.all.iter().filter_map(messages_not_shown));
        if self.map.policy.prune {
            return warnings;
        }
        let warning = |seen: &&Seen| {
            let (_, mapping) = seen.listed.uuid.as_ref().and_then(Uuid::parts)?;
            Some(Warning { mapping, name: seen.listed.name.clone(), fact: Fact::SuspendedOrphan })
        };
        let suspended = self.own_orphans().iter().filter(|seen| self.stays_suspended(seen));
        warnings.extend(suspended.filter_map(warning));
        warnings
    }

    /// The mappings without a device whose table an orphan has. Tables are found by their text without keys, and then compared.
    fn former_keys(&self) -> Vec<Warning> {
        let missing = || self.all.iter().filter(|change| change.drift == Drift::Missing);
        if self.own_orphans().is_empty() || missing().next().is_none() {
            return Vec::new();
        }
        let text = |rows: &[Row]| rows.iter().map(|row| row.line(Style::Redacted)).collect::<Vec<_>>();
        let live = |seen: &&'a Seen| Some((text(&seen.mapped.as_ref()?.table.understood().ok()?), *seen));
        let tables: HashMap<Vec<String>, &Seen> = self.own_orphans().iter().filter_map(live).collect();
        let former = |change: &Change<'_>| {
            let orphan = tables.get(&text(&change.rows))?;
            let (_, key) = orphan.listed.uuid.as_ref().and_then(Uuid::parts)?;
            let (verdict, _) = diff::judge(&change.rows, change.mapping.access(), orphan.mapped.as_ref()?);
            let (mapping, name) = (change.mapping.key.clone(), change.mapping.name.clone());
            (verdict == Verdict::Equal).then_some(Warning { mapping, name, fact: Fact::FormerKey(key) })
        };
        missing().filter_map(former).collect()
    }

    /// Whether an orphan holds its I/O back, and no mapping of the map uses it: then it stays so.
    pub(super) fn stays_suspended(&self, orphan: &Seen) -> bool {
        let number = Some(orphan.listed.number);
        let uses = |change: &Change<'_>| {
            let mut lowers = change.rows.iter().flat_map(Row::lower_devices);
            lowers.any(|lower| lower.device.number == number)
        };
        matching::is_suspended(orphan) && !self.all.iter().any(uses)
    }

    /// The devices that can't be judged.
    pub fn unjudged(&self) -> Vec<Unjudged> {
        let judge = |change: &Change<'_>| match &change.drift {
            Drift::Unknown(reason) => Some(Unjudged {
                mapping: change.mapping.key.clone(),
                name: change.mapping.name.clone(),
                reason: Unjudgeable::clone(reason),
            }),
            _ => None,
        };
        self.index.unknown.iter().map(|id| &self.all[*id]).filter_map(judge).collect()
    }
}

/// Returns a warning about the messages of a mapping whose table is as the map says, where the table does not show them.
fn messages_not_shown(change: &Change<'_>) -> Option<Warning> {
    if change.drift != Drift::InSync {
        return None;
    }
    let hidden =
        |row: &Row| row.messages.iter().filter(|text| !row.target.shows_message(text.reveal())).count();
    let count: usize = change.rows.iter().map(hidden).sum();
    let (mapping, name) = (change.mapping.key.clone(), change.mapping.name.clone());
    let fact = Fact::MessagesNotShown { name: name.clone(), count };
    (count > 0).then_some(Warning { mapping, name, fact })
}
