//! Why a live table can't be judged, as data.

use std::fmt;

use crate::device::Written;
use crate::identity::DevNum;
use crate::kernel::Absence;
use crate::table::UnreadRow;
use crate::targets::Incomparable;

/// Why a live table can't be judged, so that its device is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unjudgeable {
    /// The kernel prints a row that can't be read.
    Row(UnreadRow),
    /// A row can be read, and not compared with the wanted one.
    Target(Incomparable),
    /// A lower device of the map is not found, and no record tells whether it is the one of the live table.
    Lower {
        /// The lower device, as the map writes it.
        device: Written,
        /// Why it is not found.
        absence: Absence,
        /// The device that the live table has in its place.
        number: DevNum,
    },
}

impl fmt::Display for Unjudgeable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(UnreadRow { kind, error }) => {
                write!(f, "the kernel prints a {kind} row that can't be read: {error}")
            }
            Self::Target(incomparable) => incomparable.fmt(f),
            Self::Lower { device, absence, number } => write!(
                f,
                "the lower device {} {absence}; the live table has {number} in its place, and no record of {number} has that path",
                **device
            ),
        }
    }
}
