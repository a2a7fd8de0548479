//! The devices and mappings that a conflict names beside its own, and how a sentence names them.

use std::fmt;

use crate::identity::{Called, Key, Uuid};
use crate::plan::other_stack::{OtherStack, Pruning};

/// A member of a circle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// A mapping of the map.
    Mapping(Key),
    /// Any other device.
    Device(Called),
}

/// A device that keeps the name of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameHolder {
    /// The device of a mapping.
    Mapping(Key),
    /// A device that is removed with its last close.
    RemovalPending,
    /// A device without uuid, and the mapping, which would adopt one, has a device.
    SecondWithoutUuid,
    /// A device without uuid.
    WithoutUuid,
    /// The device of a mapping of another stack.
    OtherStack(OtherStack),
    /// An orphan.
    Orphan(Uuid, Pruning),
    /// A device of another dmctl owner, of another subsystem, or of unknown origin.
    Foreign(Uuid),
}

/// The claimant of a block device: the kernel refuses a table that uses the device (`bd_prepare_to_claim`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimant {
    /// A file system, mounted here.
    Mount(String),
    /// The kernel, which swaps to it (`/proc/swaps`).
    Swap,
    /// Another block device, as an array is: its name.
    Holder(String),
}

/// `@key` as a map writes it, or `over (254:1)`.
impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mapping(key) => write!(f, "@{key}"),
            Self::Device(device) => device.fmt(f),
        }
    }
}

impl fmt::Display for NameHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mapping(key) => {
                write!(f, "the device of the mapping `{key}`, which this plan does not rename or remove")
            }
            Self::RemovalPending => {
                f.write_str("a device that goes away as soon as it is closed; then apply again")
            }
            Self::SecondWithoutUuid => f.write_str(
                "a device without uuid, and the mapping has a device already; remove one of the two",
            ),
            Self::WithoutUuid => f.write_str(
                "a device without uuid; write adopt = true to take it over, or give the mapping another name",
            ),
            Self::OtherStack(other) => {
                write!(f, "the device of the mapping `{}` of another stack; {other}", other.key)
            }
            Self::Orphan(uuid, pruning) => {
                write!(f, "an owned device ({uuid}) that no mapping declares; remove it, or ")?;
                match pruning {
                    Pruning::Off => f.write_str("let prune = true do so"),
                    pruning => pruning.fmt(f),
                }
            }
            Self::Foreign(uuid) => {
                let other = uuid.parts().map(|(owner, _)| format!("the dmctl owner {owner}"));
                let whose = other.or_else(|| uuid.subsystem().map(ToString::to_string));
                let whose = whose.map_or_else(String::new, |whose| format!(" of {whose}"));
                write!(f, "a device{whose} with the uuid {uuid}; give the mapping another name")?;
                match uuid.field() {
                    Some(field) => write!(f, ", or write {field} to declare that very device"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for Claimant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mount(mount) => write!(f, "mounted on {mount}"),
            Self::Swap => f.write_str("swap space"),
            Self::Holder(holder) => write!(f, "part of {holder}"),
        }
    }
}
