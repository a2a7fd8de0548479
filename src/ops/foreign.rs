//! Keeps hands off the devices of other subsystems.

use super::OpError;
use crate::identity::{Name, Uuid};

/// Whether a device that its uuid marks as another subsystem's (LVM, cryptsetup, multipath, ...) may be
/// changed. Such a device is one of many parts that its own tools keep consistent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Foreign {
    /// It may not.
    #[default]
    Refuse,
    /// It may: someone asked for it.
    Allow,
}

impl Foreign {
    /// Refuses a device that is marked, unless someone asked for it.
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
