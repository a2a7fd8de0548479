//! Finds mappings that write to the same sectors, by device number.
//!
//! The map was checked without the kernel, by the names of devices. Two names of one device are found here.

use super::change::Change;
use super::changes::Changes;
use super::conflict::{Conflict, Obstacle};
use super::position::ChangeId;
use crate::config::{self, Claim, MappingRow, Overlap, State};
use crate::device::Device;
use crate::identity::DevNum;
use crate::observed::Observed;
use crate::stack::{IndexVec, Positions};

/// The identity of a device. For a mapping this is its place, because it may not have a number yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
                let number = observed.number(device)?;
                let place = changes.id_of_number(number, observed);
                Some(place.map_or(Identity::Other(number), Identity::Mapping))
            };
            config::claim(change.mapping, identity_of, &mut self.grounded);
        }
    }

    /// Returns a conflict for each mapping that writes where another one does.
    pub(crate) fn conflicts(self, changes: &Changes<'a>) -> Vec<Conflict> {
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
        config::overlaps(claims).iter().map(conflict).collect()
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

fn conflict(overlap: &Overlap<'_, Identity>) -> Conflict {
    let Overlap { first, second } = overlap;
    Conflict {
        mapping: second.mapping.key.clone(),
        name: second.mapping.name.clone(),
        reason: Obstacle::Overlap {
            sectors: overlap.sectors(),
            device: second.device.into(),
            other: first.mapping.key.clone(),
            other_device: first.device.into(),
        },
    }
}
