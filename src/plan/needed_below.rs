//! Lower devices that the kernel takes only with a target of some type: a volume needs a pool, a cipher that makes tags needs
//! a device that keeps them. A mapping of the map is judged by the table that it will have, any other mapped device by the
//! one that it has.

use smol_str::SmolStr;

use super::change::Change;
use super::changes::Changes;
use super::conflict::{Conflict, Obstacle};
use super::ground::Ground;
use super::overlap::Identity;
use super::wrong_below::{FoundBelow, WrongBelow};
use crate::config::State;
use crate::identity::DevNum;
use crate::observed::Observed;
use crate::stack::Reach;
use crate::table::Row;
use crate::targets::{self, KeptTags, NeededBelow, NeededTags};

/// Returns a conflict for each new table whose lower device is not of the type that the kernel wants.
pub(super) fn conflicts(changes: &Changes<'_>, observed: &Observed) -> Vec<Conflict> {
    let ground = Ground::new(changes, observed);
    let mut conflicts = Vec::new();
    for change in changes.demanding() {
        for row in change.new_rows() {
            let Some(need) = row.target.needs_below() else { continue };
            let look = Look { changes, observed, ground: &ground };
            if look.is_kept(change, &need) {
                continue;
            }
            let Some(found) = look.wrong(row.target.kind(), &need) else { continue };
            conflicts.push(Conflict {
                mapping: change.mapping.key.clone(),
                name: change.mapping.name.clone(),
                reason: Obstacle::WrongBelow(Box::new(WrongBelow {
                    kind: row.target.kind().into(),
                    device: need.device.into(),
                    needed: need.kind,
                    found,
                })),
            });
        }
    }
    conflicts
}

/// Whether a new table needs a device below that keeps tags.
pub(super) fn needs_tags(changes: &Changes<'_>) -> bool {
    let mut rows = changes.demanding().flat_map(Change::new_rows);
    rows.any(|row| row.target.needs_below().is_some_and(|need| need.tags.is_some()))
}

/// A look at lower devices.
struct Look<'l, 'a> {
    changes: &'l Changes<'a>,
    observed: &'l Observed,
    ground: &'l Ground<'l, 'a>,
}

/// The targets of one device.
enum Targets {
    /// Their types, each once; the devices below them, where all pass tags on; the tags that they keep themselves.
    Known { types: Vec<SmolStr>, passed: Option<Vec<Identity>>, kept: Option<KeptTags> },
    /// It is no Device Mapper device.
    Unmapped,
    /// Its table could not be read.
    Unread,
    /// A conflict of its own is told.
    Blocked,
}

impl Look<'_, '_> {
    /// Whether the live table uses a device outside the map in the same way, and the kernel took it.
    fn is_kept(&self, change: &Change<'_>, need: &NeededBelow<'_>) -> bool {
        let Some(Identity::Other(number)) = self.ground.lower(need.device) else { return false };
        let live = change.device().filter(|_| !change.is_replaced());
        let live = live.and_then(|device| device.table.understood().ok()).unwrap_or_default();
        let same = |old: NeededBelow<'_>| {
            old.device.number == Some(number) && old.kind == need.kind && old.tags == need.tags
        };
        live.iter().filter_map(|row| row.target.needs_below()).any(same)
    }

    /// Returns what is in the place of the needed target; `None` where that is there, or where a device that is not mapped
    /// may do as well.
    fn wrong(&self, kind: &str, need: &NeededBelow<'_>) -> Option<FoundBelow> {
        let first = self.ground.lower(need.device)?;
        let mut reach = Reach::from_iter([first]);
        let mut all_kept = Vec::new();
        while let Some(at) = reach.next() {
            match self.targets(at) {
                Targets::Known { types, kept, .. }
                    if types.iter().all(|kind| kind == need.kind) && !types.is_empty() =>
                {
                    if need.tags.is_some() && kept.is_none() {
                        return Some(FoundBelow::OwnTags);
                    }
                    all_kept.extend(kept);
                }
                Targets::Known { passed: Some(below), .. } if need.tags.is_some() && !below.is_empty() => {
                    reach.extend(below);
                }
                // A type that dmctl does not know may pass tags.
                Targets::Known { types, .. }
                    if need.tags.is_some() && types.iter().any(|kind| targets::find(kind).is_none()) => {}
                Targets::Known { types, .. } if types.is_empty() => return Some(FoundBelow::NoTable),
                Targets::Known { types, .. } => return Some(FoundBelow::Types(types)),
                Targets::Unmapped if need.tags.is_none() => return Some(FoundBelow::Unmapped),
                Targets::Unread => return Some(FoundBelow::Unread),
                Targets::Unmapped => {
                    let number = self.ground.number(at).filter(|number| !self.observed.keeps_tags(*number));
                    if let Some(number) = number {
                        let lower = (at != first).then(|| self.observed.called(number));
                        return Some(FoundBelow::Untagged(lower));
                    }
                }
                Targets::Blocked => {}
            }
        }
        self.wrong_tags(kind, need.tags?, &all_kept)
    }

    /// Returns what is wrong with the tags of the devices at the lower end: all must have the same (`dm_table_get_integrity_disk`
    /// in `drivers/md/dm-table.c`), which are those of the table (`crypt_integrity_ctr` in `drivers/md/dm-crypt.c`).
    fn wrong_tags(&self, kind: &str, need: NeededTags, kept: &[KeptTags]) -> Option<FoundBelow> {
        let first = *kept.first()?;
        if let Some(other) = kept.iter().find(|other| **other != first) {
            return Some(FoundBelow::TagsDiffer(first, *other));
        }
        let NeededTags { tags, used, takes_longer } = need;
        if first.block != tags.block {
            return Some(FoundBelow::TagBlock { kept: first.block, needed: tags.block });
        }
        let takes_longer = self.observed.takes_longer_tags(kind, takes_longer);
        if first.size < tags.size || (first.size > tags.size && !takes_longer) {
            return Some(FoundBelow::TagSize { kept: first.size, needed: tags.size });
        }
        (used < tags.size && !takes_longer).then_some(FoundBelow::TagUnused { used, needed: tags.size })
    }

    fn targets(&self, device: Identity) -> Targets {
        match device {
            Identity::Mapping(id) => self.of_mapping(&self.changes.all[id]),
            Identity::Other(number) => self.of_number(number),
        }
    }

    fn of_mapping(&self, change: &Change<'_>) -> Targets {
        if change.is_blocked() || change.mapping.state == State::Absent {
            return Targets::Blocked;
        }
        self.known(&change.rows)
    }

    fn of_number(&self, number: DevNum) -> Targets {
        if self.observed.by_number(number).is_none() {
            return Targets::Unmapped;
        }
        let Some(state) = self.observed.state(number) else { return Targets::Unread };
        if let Ok(rows) = state.table.understood() {
            return self.known(&rows);
        }
        let types = types(state.table.iter().map(|row| row.kind.as_str()));
        Targets::Known { types, passed: None, kept: None }
    }

    fn known(&self, rows: &[Row]) -> Targets {
        let below = |row: &Row| {
            let lowers = row.lower_devices();
            lowers.iter().filter_map(|lower| self.ground.lower(lower.device)).collect::<Vec<_>>()
        };
        let is_passed_on = rows.iter().all(|row| row.target.traits().passes_tags);
        let passed = is_passed_on.then(|| rows.iter().flat_map(below).collect());
        let kept = rows.iter().find_map(|row| row.target.kept_tags());
        Targets::Known { types: types(rows.iter().map(|row| row.target.kind())), passed, kept }
    }
}

/// Lists types, each once.
fn types<'k>(kinds: impl Iterator<Item = &'k str>) -> Vec<SmolStr> {
    let mut types = Vec::<SmolStr>::new();
    for kind in kinds {
        if types.iter().all(|known| known != kind) {
            types.push(kind.into());
        }
    }
    types
}
