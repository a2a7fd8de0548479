//! Where the content of a row is found on its lower devices.

use smallvec::SmallVec;

use crate::device::Device;

/// Where a sector of a row is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Below<'a> {
    /// Any of these places has it.
    Places(SmallVec<[Place<'a>; 1]>),
    /// Every read fails.
    Fails,
    /// It is stored in another form, or only the kernel knows where.
    Unknown,
}

/// A sector of a lower device, and how far the row goes on there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The lower device.
    pub device: &'a Device,
    /// The sector.
    pub sector: u64,
    /// How many sectors of the row follow each other there, the first one included, up to the end of the row at most.
    pub run: u64,
}

impl<'a> Below<'a> {
    /// One place, at which the row goes on to its end.
    pub(crate) fn straight(device: &'a Device, sector: u64) -> Self {
        Self::copies([(device, sector)])
    }

    /// Places that all hold the same, at which the row goes on to its end.
    pub(crate) fn copies(places: impl IntoIterator<Item = (&'a Device, u64)>) -> Self {
        let place = |(device, sector)| Place { device, sector, run: u64::MAX };
        Self::Places(places.into_iter().map(place).collect())
    }

    /// The place in a layout of chunks, dealt out to `devices` in turn, each of which begins at its sector.
    pub(crate) fn striped(devices: &[(&'a Device, u64)], chunk: u64, sector: u64) -> Self {
        let count = devices.len() as u64;
        if chunk == 0 || count == 0 {
            return Self::Unknown;
        }
        let (number, inside) = (sector / chunk, sector % chunk);
        let turn = usize::try_from(number % count).unwrap_or_default();
        let (device, start) = devices[turn];
        match (number / count).checked_mul(chunk).and_then(|at| at.checked_add(inside)?.checked_add(start)) {
            Some(sector) => {
                Self::Places(SmallVec::from_iter([Place { device, sector, run: chunk - inside }]))
            }
            None => Self::Unknown,
        }
    }
}
