//! Devices that are as the map declares and need attention all the same: a remark of a plan without steps.

use std::fmt;

use super::changes::Changes;
use crate::health::{self, Fares};
use crate::identity::{Key, Name};
use crate::kernel::{KernelError, ReadKernel};
use crate::table::RawRow;
use crate::targets;

/// A device that is degraded or failed, or of which that can't be told. Its `Display` is a clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwell {
    /// The key of the mapping.
    pub mapping: Key,
    /// The name of the device.
    pub name: Name,
    /// How it fares.
    pub fares: Fares,
}

/// Reads how the devices of the map fare, where a target has a state, and returns those that are not well.
pub(super) fn read(kernel: &dyn ReadKernel, changes: &Changes<'_>) -> Result<Vec<Unwell>, KernelError> {
    let stateful = || {
        let devices = changes.all.iter().filter_map(|change| change.device().map(|device| (change, device)));
        // Of a type that dmctl does not know nothing can be told, and the plan of it says so elsewhere.
        let is_known = |row: &RawRow| targets::find(&row.kind).is_some();
        devices.filter(move |(_, device)| health::may_be_unwell(device) && device.table.iter().all(is_known))
    };
    let mut fares = health::fares_of(kernel, stateful().map(|(_, device)| device))?;
    let unwell = stateful().filter_map(|(change, device)| {
        let fares = fares.remove(&device.info.number).filter(Fares::is_unwell)?;
        Some(Unwell { mapping: change.mapping.key.clone(), name: change.mapping.name.clone(), fares })
    });
    Ok(unwell.collect())
}

impl fmt::Display for Unwell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fares.fmt(f)
    }
}
