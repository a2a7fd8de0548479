//! The state of one device that a saved plan depends on, as it is kept in the file of the plan.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::kernel::Hallmarks;

/// How a device is found again when the plan is applied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Locator {
    /// The uuid of a mapped device.
    Uuid(SmolStr),
    /// The plain name of a mapped device that has no uuid.
    Name(SmolStr),
    /// The path, tag or number of a block device, as the map or the kernel writes it.
    Device(SmolStr),
}

/// The state of one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRecord {
    /// How the device is found again.
    pub by: Locator,
    /// The number, `major:minor`; null when the device does not exist.
    pub number: Option<String>,
    /// The size in sectors, of a device that is not mapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sectors: Option<u64>,
    /// What tells a device that is not mapped from another; empty where the system shows nothing of the kind, null in
    /// older plans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hallmarks: Option<Hallmarks>,
    /// Whether the device refuses writes.
    pub read_only: bool,
    /// The state that only a mapped device has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapped: Option<MappedState>,
}

/// The state that only a mapped device has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappedState {
    /// The plain name, decoded from the kernel's form.
    pub name: String,
    /// The uuid, if the device has one.
    pub uuid: Option<String>,
    /// Whether the device is suspended.
    pub suspended: bool,
    /// Whether the inactive slot holds a table.
    pub inactive_table: bool,
    /// The rows of the live table, without keys.
    pub table: Vec<String>,
}
