//! Why a device that a map names is not found: data, with the sentence where it is shown.

use std::fmt;

use crate::files::FileKind;
use crate::identity::{DevNum, printable};

/// Why no block device is found by a path, a tag or a number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Absence {
    /// Nothing is there.
    #[default]
    Missing,
    /// The path leads to a file of another kind.
    Unlike(FileKind),
    /// The path is a link to a path where nothing is.
    Dangling {
        /// The path to which the last link leads.
        to: String,
    },
    /// The path can't be looked up.
    Unreadable {
        /// The answer of the system.
        why: String,
    },
    /// A tag has two readings, and each is another device.
    Ambiguous {
        /// The links, each with its device.
        links: [(String, DevNum); 2],
    },
}

impl Absence {
    /// Whether the device can appear by itself: something else is not in its place.
    pub fn can_end(&self) -> bool {
        matches!(self, Self::Missing | Self::Dangling { .. })
    }
}

impl fmt::Display for Absence {
    /// Writes what follows the device in a sentence: `does not exist`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("does not exist"),
            Self::Unlike(FileKind::Regular) => f.write_str(
                "is a regular file, not a block device; attach it with losetup, and write the loop device",
            ),
            Self::Unlike(kind) => write!(f, "is {kind}, not a block device"),
            Self::Dangling { to } => write!(f, "leads to {}, which does not exist", printable(to)),
            Self::Unreadable { why } => write!(f, "can't be looked up: {}", printable(why)),
            Self::Ambiguous { links: [(one, first), (other, second)] } => write!(
                f,
                "can mean {} ({first}) and {} ({second}); write one of these paths",
                printable(one),
                printable(other)
            ),
        }
    }
}
