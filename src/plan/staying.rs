//! What a removed device leaves on disk, and has again once it is brought up: the dirty blocks of a cache.

use std::fmt;

use super::leaving;
use crate::device::Written;
use crate::health::DeviceHealth;
use crate::table::Row;
use crate::targets::{Left, State};

/// What stays on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staying {
    /// What has no other copy.
    pub left: Left,
    /// The devices that keep it.
    pub keepers: Vec<Written>,
}

impl Staying {
    /// Returns what a live table leaves on disk when its device is removed.
    pub(super) fn of(old: &[Row], health: Option<&DeviceHealth>) -> Option<Self> {
        leaving::may_leave(old).find_map(|row| {
            let keepers = row.target.keepers();
            let left = if keepers.is_empty() {
                None
            } else {
                leaving::state(row, health).map_or(row.target.unfinished().map(Left::Untold), State::left)
            }?;
            Some(Self { left, keepers: keepers.into_iter().map(Into::into).collect() })
        })
    }
}

impl fmt::Display for Staying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keepers: Vec<String> = self.keepers.iter().map(|device| device.described()).collect();
        write!(
            f,
            "{}, kept by {}: bring it up again to read the data whole, and use the devices below for nothing else before",
            self.left,
            keepers.join(" and ")
        )
    }
}
