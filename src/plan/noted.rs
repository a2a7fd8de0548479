//! What is noted of mappings while each is compared and at hand: a map may have a hundred thousand, and need not be
//! gone through again for what few of them have.

use super::changes::{Change, Standing};
use super::{claims, steps};
use crate::config::State;
use crate::identity::DevNum;
use crate::table::Row;

/// What was noted. Places are those in [`Changes::all`](super::Changes::all).
#[derive(Default)]
pub struct Noted {
    /// The places of mappings that ask for more than lower devices: volumes of a pool, blocks of another mapping.
    pub demanding: Vec<usize>,
    /// The places of mappings that can't be judged.
    pub unknown: Vec<usize>,
    /// What no table changes, by the places of the mappings: values that the kernel would take and ignore.
    pub ignored: Vec<(usize, Vec<String>)>,
    /// The places of mappings that need steps.
    pub busy: Vec<usize>,
    /// Whether some mapping is protected or made anew.
    pub guarded: bool,
    /// The devices of mappings that something may be done to.
    pub touched: Vec<DevNum>,
    /// The devices that mappings stand on after the plan and not before, some more than once.
    pub entered: Vec<DevNum>,
}

impl Noted {
    /// Notes what there is to be noted of a mapping.
    pub fn note(&mut self, place: usize, change: &Change<'_>) {
        if change.rows.iter().any(demands) {
            self.demanding.push(place);
        }
        if matches!(change.standing, Standing::Unknown(_)) {
            self.unknown.push(place);
        }
        if !steps::is_settled(change) {
            self.busy.push(place);
        }
        self.guarded |= change.mapping.protect || change.is_made_anew();
        self.touched.extend(change.number().filter(|_| is_touched(change)));
        // Many stand on one disk, one after the other.
        let last = self.entered.last().copied();
        self.entered.extend(claims::new_lowers(change).into_iter().filter(|number| Some(*number) != last));
    }
}

/// Whether a row asks for more than lower devices.
fn demands(row: &Row) -> bool {
    row.target.volume().is_some() || row.target.handover().is_some()
}

/// Whether something may be done to the device of a mapping.
fn is_touched(change: &Change<'_>) -> bool {
    let suspended = change.device().is_some_and(|device| device.info.suspended);
    !matches!(change.standing, Standing::Same | Standing::Unknown(_) | Standing::Gone | Standing::Leaving)
        || suspended != (change.mapping.state == State::Suspended)
}
