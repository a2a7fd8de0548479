//! Why a live table can't be judged, as data.

use std::fmt;

use smol_str::SmolStr;

use crate::targets::{Incomparable, ParamsError};

/// Why a live table can't be judged, so that its device is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unjudgeable {
    /// The kernel prints a row that can't be read.
    Row {
        /// The type of the row.
        kind: SmolStr,
        /// The wrong word.
        error: ParamsError,
    },
    /// A row can be read, and not compared with the wanted one.
    Target(Incomparable),
}

impl fmt::Display for Unjudgeable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row { kind, error } => {
                write!(f, "the kernel prints a {kind} row that can't be read: {error}")
            }
            Self::Target(incomparable) => incomparable.fmt(f),
        }
    }
}
