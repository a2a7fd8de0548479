//! Drops the table in the inactive slot of a device.

use super::find::{stable_id, state_of};
use super::{Foreign, OpError};
use crate::identity::Name;
use crate::kernel::ChangeKernel;

/// Drops the table in the inactive slot of a device, and lets go of its lower devices. The live table serves on. A
/// device with an empty slot stays as it is.
///
/// ```
/// # use dmctl::{identity::Name, kernel::ChangeKernel, ops::{self, Foreign, OpError}};
/// /// Drops a table that another program loaded and did not make live.
/// fn forget(kernel: &dyn ChangeKernel, name: &Name) -> Result<(), OpError> {
///     ops::clear(kernel, name, Foreign::Refuse)
/// }
/// ```
///
/// # Errors
///
/// [`OpError::Missing`], [`OpError::Foreign`]; [`OpError::Refused`] when the kernel refuses.
pub fn clear(kernel: &dyn ChangeKernel, name: &Name, foreign: Foreign) -> Result<(), OpError> {
    let before = state_of(kernel, name)?;
    foreign.check(name, before.info.uuid.as_ref())?;
    kernel.clear(&stable_id(&before.info)).map_err(OpError::refused)?;
    tracing::info!("cleared the inactive slot of `{name}`");
    Ok(())
}
