//! The state of a device's targets, as the kernel prints it.

use smol_str::SmolStr;

use super::Info;

/// A mapped device with the state of each row of its live table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceStatus {
    /// The state of the device.
    pub info: Info,
    /// The rows, in the order of the table.
    pub rows: Vec<StatusRow>,
}

/// The state of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRow {
    /// The first sector of the mapping that the target serves.
    pub start: u64,
    /// The number of sectors.
    pub length: u64,
    /// The target type.
    pub kind: SmolStr,
    /// The kernel's words, as they are: some targets end with a blank. Empty for a target that has none.
    pub text: String,
}
