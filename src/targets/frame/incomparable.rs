//! Why a live target can't be compared with a wanted one, and which wanted values the kernel would ignore.

use std::fmt;

use super::value::Value;

/// Why a live target can't be compared with a wanted one. It is never reloaded then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incomparable {
    /// The wanted key of this field is not known.
    Key {
        /// The field.
        field: String,
        /// Why its key is not known.
        key: UnknownKey,
    },
    /// The kernel does not print the parameters of the target so that they can be read: the sentence of the target.
    Unreadable(&'static str),
}

/// Why a key is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownKey {
    /// The map holds a placeholder in its place.
    Placeholder,
    /// It was not read from its source.
    NotRead,
}

/// A wanted value that no reload can set, so that the kernel would accept and ignore it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IgnoredValue {
    /// The value was set when the device was formatted.
    Formatted {
        /// The field.
        field: &'static str,
        /// The live value.
        live: Value,
        /// The wanted value.
        wanted: Value,
    },
    /// The switch was off when the device was formatted.
    SwitchedOff(&'static str),
    /// The kernel uses a larger value than it is given.
    Enlarged {
        /// The field.
        field: &'static str,
        /// The live value.
        live: Value,
        /// The wanted value.
        wanted: Value,
        /// The rule of the kernel.
        rule: &'static str,
    },
}

impl fmt::Display for Incomparable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { field, key } => {
                let why = match key {
                    UnknownKey::Placeholder => "the map holds only a placeholder of it",
                    UnknownKey::NotRead => "it has not been read",
                };
                write!(f, "{field} can't be compared: {why}")
            }
            Self::Unreadable(why) => f.write_str(why),
        }
    }
}

impl fmt::Display for IgnoredValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Formatted { field, live, wanted } => write!(
                f,
                "{field} is {live}, as it was when the device was formatted; {wanted} takes effect when it is formatted again"
            ),
            Self::SwitchedOff(field) => write!(
                f,
                "{field} is off, as it was when the device was formatted; it takes effect when it is formatted again"
            ),
            Self::Enlarged { field, live, wanted, rule } => {
                write!(f, "{field} is {live}, the map asks for {wanted}: {rule}")
            }
        }
    }
}
