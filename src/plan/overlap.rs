//! Which mappings write to the same sectors, now that devices are known by number.
//!
//! The map was checked offline, where a device is what it is called. Two names of one device show here.

use super::Conflict;
use super::changes::{Change, Changes, Standing};
use super::mappings::Mappings;
use crate::config::{self, Claim, Mapping, Overlap, State};
use crate::device::Device;
use crate::identity::DevNum;
use crate::observed::Observed;

/// What tells one device from another: a mapping by its place in the map, for it may have no number yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    Mapping(usize),
    Other(DevNum),
}

/// The claims of mappings on sectors below them.
pub type Claims<'a> = Vec<Claim<'a, Identity>>;

/// Adds what a mapping claims of devices that are written as no mapping of the map.
pub fn claim<'a>(
    mapping: &'a Mapping,
    mappings: &Mappings<'_>,
    places: &[Option<usize>],
    observed: &Observed,
    claims: &mut Claims<'a>,
) {
    let identity_of = |device: &Device| {
        let number = observed.number(device)?;
        let place = mappings.of_number(number, observed).and_then(|id| places[id]);
        Some(place.map_or(Identity::Other(number), Identity::Mapping))
    };
    config::claim(mapping, identity_of, claims);
}

/// A conflict for each mapping that writes where another one does. `claims` are those on devices that are written as
/// no mapping.
pub fn conflicts<'a>(changes: &Changes<'a>, mut claims: Claims<'a>) -> Vec<Conflict> {
    let contested = contested(changes);
    let is_contested = |change: &&Change<'_>| change.lowers.iter().any(|lower| contested[*lower]);
    for change in changes.all.iter().filter(is_contested).filter(|change| has_claims(change)) {
        let identity_of = |device: &Device| {
            let place = changes.place(device.key()?)?;
            contested[place].then_some(Identity::Mapping(place))
        };
        config::claim(change.mapping, identity_of, &mut claims);
    }
    config::overlaps(claims).iter().map(conflict).collect()
}

/// Whether a mapping will be there to claim anything.
pub fn has_claims(change: &Change<'_>) -> bool {
    change.mapping.state != State::Absent && change.standing != Standing::Blocked
}

/// For each mapping, whether more than one row may stand on it. Most carry one.
fn contested(changes: &Changes<'_>) -> Vec<bool> {
    let (mut carries, mut contested) = (vec![false; changes.all.len()], vec![false; changes.all.len()]);
    for change in &changes.all {
        for lower in &change.lowers {
            contested[*lower] |= carries[*lower] || change.mapping.rows.len() > 1;
            carries[*lower] = true;
        }
    }
    contested
}

fn conflict(overlap: &Overlap<'_, Identity>) -> Conflict {
    let Overlap { first, second } = overlap;
    Conflict {
        mapping: second.mapping.key.clone(),
        name: second.mapping.name.clone(),
        reason: format!(
            "it writes to {} of {}, and so does `{}`, to which that device is {}; give them different sectors, or \
             say shared = true in both",
            overlap.sectors(),
            second.device,
            first.mapping.key,
            first.device
        ),
    }
}
