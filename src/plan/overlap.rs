//! Which mappings write to the same sectors, now that devices are known by number.
//!
//! The map was checked offline, where a device is what it is called. Two names of one device show here.

use super::Conflict;
use super::changes::{Changes, Standing};
use crate::config::{self, Claim, Overlap, State};
use crate::device::Device;
use crate::identity::DevNum;
use crate::observed::Observed;

/// What tells one device from another: a mapping by its place in the map, for it may have no number yet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    Mapping(usize),
    Other(DevNum),
}

/// A conflict for each mapping that writes where another one does.
pub fn conflicts(changes: &Changes<'_>, observed: &Observed) -> Vec<Conflict> {
    let placed = changes
        .all
        .iter()
        .filter(|change| change.mapping.state != State::Absent && change.standing != Standing::Blocked);
    let claims = config::claims(placed.map(|change| {
        let identity_of = |device: &Device| match changes.place_below(&change.lowers, device, observed) {
            Some(place) => Some(Identity::Mapping(place)),
            None => observed.number(device).map(Identity::Other),
        };
        (change.mapping, identity_of)
    }));
    config::overlaps(contested(claims, changes.all.len())).iter().map(conflict).collect()
}

/// Without the claims on mappings that nobody else has a claim on, which most of them are.
fn contested(mut claims: Vec<Claim<'_, Identity>>, mappings: usize) -> Vec<Claim<'_, Identity>> {
    let mut counts = vec![0_u32; mappings];
    for claim in &claims {
        if let Identity::Mapping(place) = claim.identity {
            counts[place] += 1;
        }
    }
    claims.retain(|claim| !matches!(claim.identity, Identity::Mapping(place) if counts[place] == 1));
    claims
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
