//! Devices that write what a layer copies that is put below them.
//!
//! A mirror, an array with parity or copies, and a clone begin to copy as soon as they are live (`dm_table_resume_targets` in
//! `drivers/md/dm-table.c` calls `mirror_resume`, `raid_resume` and `clone_resume`). A write that is under way then, of a
//! device that is still on its old table, goes past the layer: where its region was copied already, the copy lacks it. So
//! such a device is suspended first, which waits for its writes, and resumed with its new table.

use super::change::{Change, Drift};
use super::changes::Changes;
use super::ground::{Ground, Moment, Use};
use super::overlap::Identity;
use super::position::ChangeId;
use crate::config::State;
use crate::identity::Key;
use crate::observed::Observed;
use crate::stack::Reach;
use crate::table::Row;

/// A device, and a layer that copies what it writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passing {
    pub writer: ChangeId,
    pub layer: ChangeId,
}

/// Finds the devices whose writes would pass a layer that is put below them.
pub(crate) fn find(changes: &Changes<'_>, observed: &Observed) -> Vec<Passing> {
    let of = |is: &dyn Fn(&Change<'_>) -> bool| -> Vec<ChangeId> {
        changes.index.busy.iter().copied().filter(|id| is(&changes.all[*id])).collect()
    };
    let layers = of(&begins_to_copy);
    if layers.is_empty() {
        return Vec::new();
    }
    let writers = of(&is_swapped);
    let ground = Ground::new(changes, observed);
    let look = Look { changes, observed, ground };
    let written: Vec<_> = writers.into_iter().map(|id| (id, look.written_now(id))).collect();
    let mut found = Vec::new();
    for layer in layers {
        let copied = look.copied(layer);
        let passes = |(writer, written): &&(ChangeId, Vec<Use>)| {
            let (upper, lower) = (Identity::Mapping(*writer), Identity::Mapping(layer));
            look.ground.is_above(upper, lower) && written.iter().any(|one| meets(one, &copied))
        };
        found.extend(written.iter().filter(passes).map(|(writer, _)| Passing { writer: *writer, layer }));
    }
    found
}

/// Whether a device is made on another one as both are.
pub(crate) fn is_above_now(
    upper: ChangeId,
    lower: ChangeId,
    changes: &Changes<'_>,
    observed: &Observed,
) -> bool {
    let look = Look { changes, observed, ground: Ground::new(changes, observed) };
    look.reached_now(upper).contains(&Identity::Mapping(lower))
}

/// The key of the layer for which a device is suspended, if it is.
pub(crate) fn layer_below<'c>(
    passing: &[Passing],
    writer: ChangeId,
    changes: &Changes<'c>,
) -> Option<&'c Key> {
    let own = passing.iter().find(|one| one.writer == writer)?;
    Some(&changes.all[own.layer].mapping.key)
}

/// Whether a mapping becomes live by another call than the swap of its device, with a target that copies by itself.
fn begins_to_copy(change: &Change<'_>) -> bool {
    let device = change.device();
    let is_resumed =
        || change.mapping.state != State::Suspended && device.is_some_and(|device| device.info.suspended);
    let begins = match change.drift {
        Drift::Missing | Drift::NoTable | Drift::Replaced(_) => true,
        Drift::InSync => is_resumed(),
        _ => false,
    };
    begins && change.rows.iter().any(|row| row.target.copies_unasked())
}

/// Whether an active device gets another table.
fn is_swapped(change: &Change<'_>) -> bool {
    let is_active = || change.device().is_some_and(|device| device.info.live_table && !device.info.suspended);
    matches!(change.drift, Drift::Differs(_)) && is_active()
}

/// Whether sectors are written that the layer uses.
fn meets(written: &Use, copied: &[Use]) -> bool {
    let overlaps =
        |other: &Use| written.sectors.start < other.sectors.end && other.sectors.start < written.sectors.end;
    written.access.writes() && copied.iter().any(|other| other.place == written.place && overlaps(other))
}

struct Look<'l, 'a> {
    changes: &'l Changes<'a>,
    observed: &'l Observed,
    ground: Ground<'l, 'a>,
}

impl Look<'_, '_> {
    /// Everything that a device writes as it is, at whatever level.
    fn written_now(&self, writer: ChangeId) -> Vec<Use> {
        let reached = self.reached_now(writer).into_iter();
        reached.filter_map(|at| self.ground.number(at)).flat_map(|n| self.ground.uses_of_living(n)).collect()
    }

    /// A device and those below it, as they are. A volume has blocks of its own, whatever else its pool has.
    fn reached_now(&self, first: ChangeId) -> Vec<Identity> {
        let mut reach = Reach::from_iter([Identity::Mapping(first)]);
        let mut reached = Vec::new();
        while let Some(at) = reach.next() {
            reached.push(at);
            let live = self.ground.number(at).and_then(|number| self.observed.state(number));
            let Some(live) = live else { continue };
            if !live.table.readable().iter().any(|row| row.target.volume().is_some()) {
                reach.extend(live.table.lower_devices().iter().map(|number| self.ground.identity(*number)));
            }
        }
        reached
    }

    /// Everything that a layer uses once the plan is carried out, at whatever level.
    fn copied(&self, layer: ChangeId) -> Vec<Use> {
        let mut reach = Reach::from_iter([Identity::Mapping(layer)]);
        let mut uses = Vec::new();
        while let Some(at) = reach.next() {
            match at {
                Identity::Mapping(id) => {
                    uses.extend(self.ground.uses(id, Moment::After));
                    let rows = self.changes.all[id].rows.iter();
                    let lowers =
                        rows.filter(|row| row.target.volume().is_none()).flat_map(Row::lower_devices);
                    reach.extend(lowers.filter_map(|lower| self.ground.lower(lower.device)));
                }
                Identity::Other(number) => {
                    uses.extend(self.ground.uses_of_living(number));
                    let live = self.observed.state(number);
                    let lowers = live.into_iter().flat_map(|live| live.table.lower_devices().iter());
                    reach.extend(lowers.map(|number| self.ground.identity(*number)));
                }
            }
        }
        uses
    }
}
