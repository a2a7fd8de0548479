//! What is to be said of a mapping or a device beside its word, as data.

use std::fmt;

use serde::Serialize;

use crate::access::Access;
use crate::diff::{Difference, Unjudgeable};
use crate::identity::{DevNum, Name};
use crate::observed::Circle;
use crate::plan::{Obstacle, Warning};
use crate::targets::IgnoredValue;

/// One remark. It is shown as a sentence, in JSON too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// The map wants the device to be absent.
    AbsentWanted,
    /// The device has no table.
    NoTable,
    /// The live table differs from the wanted one.
    Differs(Difference),
    /// The live table can't be judged.
    Unknown(Box<Unjudgeable>),
    /// The plan of the map has a conflict.
    Conflict(Obstacle),
    /// The device has another name than the mapping.
    OtherName {
        /// The name that it has.
        is: Name,
        /// The name of the mapping.
        wanted: Name,
    },
    /// The device is taken over, and has no uuid yet.
    NoUuid,
    /// A lower device of the live table does not exist any more.
    LowerGone(DevNum),
    /// The device is below itself.
    InCircle(Circle),
    /// The map wants the device to be suspended.
    SuspendWanted,
    /// A table is in the inactive slot.
    InactiveTable,
    /// The device is suspended.
    Suspended,
    /// The device goes away with its last close.
    RemovalPending,
    /// A value of the map that the kernel would take and ignore.
    Ignored(IgnoredValue),
    /// The live table could not be loaded again.
    Warning(Warning),
    /// The name of the mapping is that of another device.
    NameTaken(DevNum),
    /// No mapping declares the device.
    Orphan,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            // A difference tells what will be; here it is told as what is.
            Self::Differs(Difference::Access(Access::ReadOnly)) => "it is writable, the map says read-only",
            Self::Differs(Difference::Access(Access::Writable)) => "it is read-only, the map says writable",
            Self::Differs(difference) => return difference.fmt(f),
            Self::Unknown(why) => return why.fmt(f),
            Self::Conflict(obstacle) => return obstacle.fmt(f),
            Self::InCircle(circle) => return circle.fmt(f),
            Self::Ignored(value) => return value.fmt(f),
            Self::Warning(warning) => return warning.fact.fmt(f),
            Self::OtherName { is, wanted } => return write!(f, "it is called {is}, not {wanted}"),
            Self::LowerGone(number) => return write!(f, "its lower device {number} does not exist any more"),
            Self::NameTaken(number) => {
                return write!(f, "its name is taken by {number}, which no mapping declares");
            }
            Self::AbsentWanted => "the map says it should be absent",
            Self::NoTable => "it has no table",
            Self::NoUuid => "it does not carry its uuid yet",
            Self::SuspendWanted => "it should be suspended",
            Self::InactiveTable => "a table was left in its inactive slot",
            Self::Suspended => "it is suspended, and I/O to it waits",
            Self::RemovalPending => "it goes away as soon as it is closed",
            Self::Orphan => "no mapping declares it",
        })
    }
}

impl Serialize for Remark {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
