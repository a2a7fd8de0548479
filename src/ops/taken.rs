//! Refuses names and uuids that other devices have.

use super::OpError;
use crate::identity::{DevNum, Name, Uuid};
use crate::kernel::ReadKernel;

/// Refuses a name or a uuid that another device than `own` has. The kernel would refuse it as well, with one errno for
/// both.
pub(super) fn refuse(
    kernel: &dyn ReadKernel,
    name: Option<&Name>,
    uuid: Option<&Uuid>,
    own: Option<DevNum>,
) -> Result<(), OpError> {
    for device in kernel.list()? {
        if Some(device.number) == own {
            continue;
        }
        if name == Some(&device.name) {
            return Err(OpError::NameTaken { name: device.name, number: device.number });
        }
        if let Some(has) = device.uuid
            && uuid == Some(&has)
        {
            return Err(OpError::UuidTaken { uuid: has, name: device.name, number: device.number });
        }
    }
    Ok(())
}
