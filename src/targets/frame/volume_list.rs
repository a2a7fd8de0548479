//! Where a target that has volumes keeps the list of them.

use crate::device::Device;

/// Where a target that has volumes keeps the list of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VolumeList<'a> {
    /// On a metadata device.
    On(&'a Device),
    /// The kernel printed a failure in place of the devices.
    Untold,
}
