//! Snapshots and what writes their origin.
//!
//! A snapshot keeps what its origin had when it was made. Two facts of `drivers/md/dm-snap.c` make that an order of
//! calls. `origin_map` splits a write at the boundary that `origin_resume` took from the snapshots that were loaded by
//! then, and lets only the first chunk of each part be copied: a snapshot that comes later, with smaller chunks, is torn by
//! the next large write. And what a file system has not written yet is not in a snapshot. So the devices through which the
//! origin is written are suspended, from the top down, while a snapshot of it is made, and resumed after all of them;
//! those that are made or resumed by the plan itself come after the snapshots.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::change::Change;
use super::changes::Changes;
use super::conflict::{Conflict, Obstacle};
use super::held::Held;
use super::origin::{Origin, taken, written};
use super::other_stack::OtherStack;
use crate::config::State;
use crate::device::Device;
use crate::identity::DevNum;
use crate::kernel::{DeviceState, Info, Suspend};
use crate::observed::Observed;
use crate::stack::{NamedStacks, Position as _, Reach, position};
use crate::table::ReadTable;
use crate::targets::OriginUse;

position! {
    /// A device that is suspended.
    struct HeldId;
}

/// Whether a live table writes an origin in such a way that its snapshots keep the old content.
fn writes(table: &ReadTable, origin: DevNum) -> bool {
    table.readable().iter().any(|row| match row.target.origin_use() {
        Some(OriginUse::Writes(device)) => device.number == Some(origin),
        _ => false,
    })
}

/// The numbers of the origins of which `change` makes snapshots.
fn numbers(change: &Change<'_>) -> impl Iterator<Item = DevNum> {
    taken(change).into_iter().filter_map(Origin::number)
}

/// The active devices, apart from that of `change`, that write an origin of which it makes a snapshot.
fn writers<'o>(
    change: &Change<'_>,
    observed: &'o Observed,
) -> impl Iterator<Item = (&'o DeviceState, DevNum)> {
    let own = change.number();
    numbers(change).flat_map(move |origin| {
        let holders = observed.users(origin).map_or(&[][..], |users| &users.holders);
        let above = holders.iter().filter(move |holder| Some(**holder) != own);
        let states = above.filter_map(|holder| observed.state_of(*holder));
        states
            .filter(move |state| is_active(state) && writes(&state.table, origin))
            .map(move |state| (state, origin))
    })
}

fn is_active(device: &DeviceState) -> bool {
    device.info.live_table && !device.info.suspended
}

/// The devices that are suspended while the snapshots of `change` are made, upper ones first: those that write an origin
/// of theirs, and what the owner has above these.
pub(super) fn held(change: &Change<'_>, changes: &Changes<'_>, observed: &Observed) -> Arc<[Held]> {
    let mut reach: Reach<DevNum> = writers(change, observed).map(|(state, _)| state.info.number).collect();
    let mut found: Vec<&DeviceState> = Vec::new();
    while let Some(number) = reach.next() {
        reach.extend(observed.users(number).into_iter().flat_map(|users| users.holders.iter().copied()));
        let seen = observed.by_number(number).and_then(|seen| seen.mapped.as_ref());
        found.extend(seen.filter(|state| is_active(state) && Some(number) != change.number()));
    }
    if found.is_empty() {
        return Arc::default();
    }
    let lowers = found.iter().map(|state| (state.info.number, state.table.lower_devices().iter().copied()));
    let stacks: NamedStacks<DevNum, HeldId> = lowers.collect();
    let top_down = stacks.bottom_up().into_iter().rev().map(|id| found[id.index()]);
    top_down.map(|state| held_as(state, changes, observed)).collect()
}

fn held_as(state: &DeviceState, changes: &Changes<'_>, observed: &Observed) -> Held {
    let info = &state.info;
    let declared = changes.id_of_number(info.number, observed).map(|id| changes.all[id].mapping);
    Held {
        mapping: declared.map(|mapping| mapping.key.clone()),
        name: info.name.clone(),
        uuid: info.uuid.clone(),
        number: info.number,
        how: declared.map_or_else(Suspend::default, |mapping| mapping.suspend),
    }
}

/// Returns the conflicts of snapshots: an origin that is written through a device that may not be suspended, or one whose
/// writes do not pass a snapshot-origin.
pub(super) fn conflicts(changes: &Changes<'_>, observed: &Observed) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    for change in changes.index.snapshots.iter().map(|id| &changes.all[*id]) {
        let conflict = |reason| Conflict {
            mapping: change.mapping.key.clone(),
            name: change.mapping.name.clone(),
            reason,
        };
        let foreign = |(state, origin): (&DeviceState, DevNum)| {
            let is_foreign = observed.by_number(state.info.number).is_some_and(|seen| seen.mapped.is_none());
            let Info { name, number, .. } = &state.info;
            let rest = changes.map.rest.as_ref();
            let other = || OtherStack::declaring(rest, observed.by_number(*number)?, observed);
            is_foreign.then(|| Obstacle::OriginForeign { writer: name.clone(), origin, other: other() })
        };
        conflicts.extend(writers(change, observed).filter_map(foreign).map(conflict));
        conflicts.extend(deaf(change, changes, observed).map(conflict));
    }
    conflicts
}

/// Returns the conflict of a snapshot whose origin is a snapshot-origin, or is above one, and is not written through a
/// snapshot-origin itself: what is written there never asks the snapshot to keep the old content.
fn deaf(change: &Change<'_>, changes: &Changes<'_>, observed: &Observed) -> Option<Obstacle> {
    let live: BTreeSet<DevNum> = writers(change, observed).map(|(_, origin)| origin).collect();
    change.new_rows().iter().find_map(|row| {
        let Some(OriginUse::Keeps { origin, .. }) = row.target.origin_use() else { return None };
        if origin.number.is_some_and(|number| live.contains(&number)) {
            return None;
        }
        let is_this = |other: Origin| Some(other) == Origin::of(origin);
        if changes.index.writers.iter().any(|id| written(&changes.all[*id]).any(is_this)) {
            return None;
        }
        let (through, below) = written_below(origin, changes, observed)?;
        Some(Obstacle::OriginDeaf { origin: origin.into(), through, below })
    })
}

/// Finds a device that writes an origin at or below `device`: its name, and that origin as it is written there.
fn written_below(device: &Device, changes: &Changes<'_>, observed: &Observed) -> Option<(String, String)> {
    let mut reach: Reach<Origin> = Origin::of(device).into_iter().collect();
    while let Some(place) = reach.next() {
        let change = match &place {
            Origin::Mapping(key) => changes.get(key),
            Origin::Number(number) => changes.id_of_number(*number, observed).map(|id| &changes.all[id]),
        };
        let change = change.filter(|change| change.mapping.state != State::Absent);
        let foreign = match (&place, change) {
            (Origin::Number(number), None) => {
                observed.state_of(*number).and_then(|state| state.table.understood().ok())
            }
            _ => None,
        };
        let rows = change.map(|change| &*change.rows).or(foreign.as_deref()).unwrap_or_default();
        // A thin volume has blocks of its own, whatever else is on the device below its pool.
        for row in rows.iter().filter(|row| row.target.volume().is_none()) {
            if let Some(OriginUse::Writes(below)) = row.target.origin_use() {
                let through = match (&place, change) {
                    (_, Some(change)) => format!("`{}`", change.mapping.key),
                    (Origin::Number(number), None) => match observed.by_number(*number) {
                        Some(seen) => format!("`{}`", seen.listed.name),
                        None => number.to_string(),
                    },
                    (Origin::Mapping(key), None) => format!("`{key}`"),
                };
                return Some((through, below.described()));
            }
            reach.extend(row.lower_devices().iter().filter_map(|lower| Origin::of(lower.device)));
        }
        if let (Origin::Number(number), true) = (&place, rows.is_empty()) {
            reach.extend(observed.below(*number).iter().copied().map(Origin::Number));
        }
    }
    None
}
