//! Where the content of a target is once nothing is left, and what to do for that.

use crate::device::Device;
use crate::targets::frame::Repair;

/// A device that has all sectors of a row, each at its place, once nothing is [left](super::State::left): the origin of a cache, the
/// destination of a clone, a leg of a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copy<'a> {
    /// The device.
    pub device: &'a Device,
    /// The sector of the device that is sector 0 of the row.
    pub sector: u64,
}

/// What to do so that nothing is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Wait until the process is finished.
    Wait,
    /// Order it first, in the map, and wait.
    Order(&'static str),
    /// Repair the metadata first.
    Repair(Repair),
    /// Begin with a leg that has everything.
    GoodLegFirst,
}
