//! Remarks about state that a plan leaves as it is: devices that can't be judged, and values that the kernel would ignore.

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
