//! Remarks about state that a plan leaves as it is: devices that can't be judged, values that the kernel would ignore, and
//! live tables whose lower devices have changed.

use std::fmt;

use super::conflict::Obstacle;
use crate::diff::Unjudgeable;
use crate::identity::{Key, Name};
use crate::targets::IgnoredValue;

/// A device that can't be judged, and is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unjudged {
    /// The key of the mapping.
    pub mapping: Key,
    /// The name of its device.
    pub name: Name,
    /// Why its live table can't be judged.
    pub reason: Unjudgeable,
}

/// A value that the kernel would accept and ignore, so that a plan can't set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// The key of the mapping.
    pub mapping: Key,
    /// The name of its device.
    pub name: Name,
    /// The value.
    pub value: IgnoredValue,
}

/// A live table that is as the map says, though it could not be loaded again. It serves I/O, so it is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The key of the mapping.
    pub mapping: Key,
    /// The name of its device.
    pub name: Name,
    /// What would be in the way of another load.
    pub obstacle: Obstacle,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the live table is as declared, but could not be loaded again: {}", self.obstacle)
    }
}
