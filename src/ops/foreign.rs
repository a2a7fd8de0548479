//! Refuses devices of other subsystems.

use super::OpError;
use crate::identity::{Name, Uuid};

/// Whether a device that its uuid marks as another subsystem's (LVM, cryptsetup, multipath, ...) may be
/// changed. Such a device is one part of many, which only the tools of its subsystem keep consistent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Foreign {
    /// Refuses the device with an error that names its subsystem.
    #[default]
    Refuse,
    /// Changes the device like any other.
    Allow,
}

impl Foreign {
    /// Refuses a uuid with the mark of another subsystem, unless foreign devices are allowed.
    pub(super) fn check(self, name: &Name, uuid: Option<&Uuid>) -> Result<(), OpError> {
        let Some((uuid, subsystem)) = uuid.and_then(|uuid| Some((uuid, uuid.subsystem()?))) else {
            return Ok(());
        };
        match self {
            Self::Allow => Ok(()),
            Self::Refuse => Err(OpError::Foreign { name: name.clone(), uuid: uuid.clone(), subsystem }),
        }
    }
}
