//! A device that is suspended while a snapshot is made.

use crate::identity::{DevNum, Key, Name, Uuid};
use crate::kernel::{Id, Suspend};

/// A device that is suspended while a snapshot is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The key of its mapping; `None` for an orphan.
    pub mapping: Option<Key>,
    /// The name of the device.
    pub name: Name,
    /// The uuid of the device.
    pub uuid: Option<Uuid>,
    /// The number of the device.
    pub number: DevNum,
    /// The flags of the suspend.
    pub how: Suspend,
}

impl Held {
    /// The identity that the kernel is asked by.
    pub fn id(&self) -> Id {
        Id::stable(&self.name, self.uuid.as_ref())
    }
}
