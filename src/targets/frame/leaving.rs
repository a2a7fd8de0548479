//! What a table that takes the place of a live one leaves behind.

use super::Target;
use super::state::{Left, Remedy, State};
use crate::device::Device;

/// What becomes of a live row.
#[derive(Clone, Copy)]
pub enum After<'a> {
    /// Its device is removed; what is below stays as it is.
    Removed,
    /// A row with a target of the same type takes its place.
    Same(&'a dyn Target),
    /// Its sectors are on this device from now on, the first one at this sector.
    At(&'a Device, u64),
    /// Its sectors are elsewhere, or nowhere.
    Elsewhere,
}

impl After<'_> {
    /// Whether what the live target has on disk is used as before.
    pub(crate) fn goes_on(self, live: &dyn Target) -> bool {
        match self {
            Self::Same(wanted) => {
                wanted.kind() == live.kind() && wanted.keeps_state() && same_devices(wanted, live)
            }
            Self::Removed | Self::At(..) | Self::Elsewhere => false,
        }
    }
}

/// What is left, and how to have nothing left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    /// What is left.
    pub left: Left,
    /// What to do about it.
    pub remedy: Remedy,
}

impl Leaving {
    /// Judges what becomes of a live row: `None` where nothing is lost. `state` is `None` where it can't be told.
    pub(crate) fn of(live: &dyn Target, state: Option<&dyn State>, after: After<'_>) -> Option<Self> {
        let unfinished = live.unfinished()?;
        let on = |copy: Option<usize>| match (state, copy) {
            (Some(state), Some(copy)) => state.left_on(copy),
            (Some(state), None) => state.left(),
            (None, _) => Some(Left::Untold(unfinished)),
        };
        let place = |device: &Device, sector: u64| {
            let copies = live.copies(state);
            copies.iter().position(|copy| copy.device == device && copy.sector == sector)
        };
        let left = match after {
            After::Removed if live.keeps_state() => None,
            After::Removed => on(Some(0)),
            After::Same(_) if after.goes_on(live) => None,
            After::Same(wanted) => {
                let first = wanted.copies(None).first().and_then(|copy| place(copy.device, copy.sector));
                on(first)
            }
            After::At(device, sector) => on(place(device, sector)),
            After::Elsewhere => on(None),
        }?;
        Some(Self { left, remedy: live.remedy(state) })
    }

    /// Returns the clause for the user; `name` is the name of the device.
    pub fn describe(&self, name: &str) -> String {
        let (left, end) = (&self.left, self.left.of().end());
        match self.remedy {
            Remedy::Wait => format!("{left}; `dmctl wait {name}` {end}"),
            Remedy::Order(order) => format!("{left}; {order}, and `dmctl wait {name}` {end}"),
            Remedy::Repair(repair) => format!("{left}; {repair}"),
            Remedy::GoodLegFirst => format!("{left}; put a leg first that has everything"),
        }
    }
}

/// Whether two targets of one type have the same lower devices.
fn same_devices(one: &dyn Target, two: &dyn Target) -> bool {
    let devices = |target: &dyn Target| -> Vec<Device> {
        target.lower_devices(0).into_iter().map(|lower| lower.device.clone()).collect()
    };
    devices(one) == devices(two)
}
