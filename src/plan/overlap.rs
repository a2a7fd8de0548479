//! Which mappings write to the same sectors, now that devices are known by number.
//!
//! The map was checked offline, where a device is what it is called. Two names of one device show here.

use super::Conflict;
use super::changes::{Changes, Standing};
use crate::config::{self, Overlap, State};
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
    let contested = contested(changes);
    let placed = changes.all.iter().filter(|change| {
        let may_overlap = change.grounded || change.lowers.iter().any(|lower| contested[*lower]);
        may_overlap && change.mapping.state != State::Absent && change.standing != Standing::Blocked
    });
    let claims = config::claims(placed.map(|change| {
        let identity_of = |device: &Device| {
            let number = observed.number(device);
            let place = match number {
                Some(number) => changes.place_of_number(number),
                None => changes.place_below(&change.lowers, device, observed),
            };
            match place {
                Some(place) => contested[place].then_some(Identity::Mapping(place)),
                None => number.map(Identity::Other),
            }
        };
        (change.mapping, identity_of)
    }));
    config::overlaps(claims).iter().map(conflict).collect()
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
