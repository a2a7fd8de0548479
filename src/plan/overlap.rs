//! Finds mappings that write to the same sectors or are the same volume, by device number.
//!
//! The map was checked without the kernel, by the names of devices. Two names of one device are found here.

use super::change::Change;
use super::changes::Changes;
use super::conflict::{Conflict, Obstacle};
use super::neighbour::{Other, Part, ReadElsewhere, SharedPlace};
use super::position::ChangeId;
use super::remark::{Fact, Warning};
use crate::config::{self, Claim, MappingRow, Overlap, State};
use crate::device::Device;
use crate::identity::DevNum;
use crate::observed::Observed;
use crate::stack::{IndexVec, Positions};
use crate::targets::DeviceAccess;

/// The identity of a device. For a mapping this is its place, because it may not have a number yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Identity {
    Mapping(ChangeId),
    Other(DevNum),
}

/// The sectors that mappings claim of their lower devices, collected while the mappings are compared.
pub(crate) struct Claims<'a> {
    /// The claims on devices that are not written as `@key`.
    grounded: Vec<Claim<'a, Identity>>,
    /// For each mapping, by its place, whether a row uses it.
    carries: IndexVec<ChangeId, bool>,
    /// For each mapping, by its place, whether more than one row may use it. Most are used by one.
    contested: IndexVec<ChangeId, bool>,
}

impl<'a> Claims<'a> {
    /// Creates an empty collection for this number of mappings.
    pub(crate) fn of(mappings: usize) -> Self {
        Self {
            grounded: Vec::new(),
            carries: IndexVec::filled(false, mappings),
            contested: IndexVec::filled(false, mappings),
        }
    }

    /// Adds the claims of a mapping. Those of the mappings below come first.
    pub(crate) fn note(
        &mut self,
        change: &Change<'a>,
        lowers: &[ChangeId],
        changes: &Changes<'a>,
        observed: &Observed,
    ) {
        for lower in lowers {
            self.contested[*lower] |= self.carries[*lower] || change.mapping.rows.len() > 1;
            self.carries[*lower] = true;
        }
        if has_claims(change) && change.mapping.rows.iter().any(is_grounded) {
            let identity_of = |device: &Device| {
                // The kernel goes on with what the live table has, whatever became of a link or of a node.
                let number = observed.number_for(Some(change.mapping), device)?;
                let place = changes.id_of_number(number, observed);
                Some(place.map_or(Identity::Other(number), Identity::Mapping))
            };
            config::claim(change.mapping, identity_of, &mut self.grounded);
        }
    }

    /// Returns a conflict for each mapping that writes where another one does, and a warning for each that takes sectors
    /// which another one only reads, or the other way round.
    pub(crate) fn judge(self, changes: &Changes<'a>) -> (Vec<Conflict>, Vec<Warning>) {
        let Self { grounded: mut claims, contested, .. } = self;
        if contested.iter().any(|contested| *contested) {
            let is_contested = |lowers: &Positions<ChangeId>| lowers.iter().any(|lower| contested[*lower]);
            let upper =
                changes.all.iter().zip(changes.lowers.iter()).filter(|(_, lowers)| is_contested(lowers));
            for change in upper.map(|(change, _)| change).filter(|change| has_claims(change)) {
                let identity_of = |device: &Device| {
                    let place = changes.id_of(device.key()?)?;
                    contested[place].then_some(Identity::Mapping(place))
                };
                config::claim(change.mapping, identity_of, &mut claims);
            }
        }
        let reads = || claims.iter().any(|claim| claim.access == DeviceAccess::Read);
        let readings = if changes.index.takes && reads() { config::readings(&claims) } else { Vec::new() };
        let warnings = readings.iter().filter_map(|reading| warning(reading, changes)).collect();
        (config::overlaps(claims).iter().map(conflict).collect(), warnings)
    }
}

/// Whether a row uses a device that is not written as `@key`. The resolved row does not tell: there a device that is
/// recreated is a mapping, however the map writes it.
fn is_grounded(row: &MappingRow) -> bool {
    row.target.lower_devices(0).iter().any(|lower| lower.device.key().is_none())
}

/// Whether a mapping will have a table whose claims count.
fn has_claims(change: &Change<'_>) -> bool {
    change.mapping.state != State::Absent && !change.is_blocked()
}

/// Returns the warning about sectors that one mapping writes to and another only reads, if the plan brings that about. It is
/// one of the mapping that takes the sectors, and of the writer if both do.
fn warning(reading: &Overlap<'_, Identity>, changes: &Changes<'_>) -> Option<Warning> {
    let Overlap { first, second } = reading;
    let takes =
        |claim: &&Claim<'_, Identity>| changes.get(&claim.mapping.key).is_some_and(Change::takes_sectors);
    let writes = |claim: &Claim<'_, Identity>| claim.access != DeviceAccess::Read;
    let of = [first, second].into_iter().filter(takes).max_by_key(|claim| writes(claim))?;
    let other = if std::ptr::eq(of, first) { second } else { first };
    let part = of.volume.map_or(Part::Sectors(reading.sectors()), Part::Volume);
    let shared = ReadElsewhere {
        place: SharedPlace { part, device: of.device.into(), at: None },
        other: Other::Mapping(other.mapping.key.clone()),
        writes: writes(of),
    };
    Some(Warning {
        mapping: of.mapping.key.clone(),
        name: of.mapping.name.clone(),
        fact: Fact::ReadElsewhere(Box::new(shared)),
    })
}

fn conflict(overlap: &Overlap<'_, Identity>) -> Conflict {
    let Overlap { first, second } = overlap;
    let other = first.mapping.key.clone();
    let reason = match second.volume {
        Some(id) => Obstacle::SameVolume { id, pool: second.device.into(), other },
        None => Obstacle::Overlap {
            sectors: overlap.sectors(),
            device: second.device.into(),
            other,
            other_device: first.device.into(),
        },
    };
    Conflict { mapping: second.mapping.key.clone(), name: second.mapping.name.clone(), reason }
}
