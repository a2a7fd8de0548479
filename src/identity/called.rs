//! A block device as a sentence names it.

use std::fmt;

use super::{DevNum, printable};

/// A block device by the name that people know it by, and by its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// The name of a mapped device, or the name that its driver gave to any other; `None` where it is not known.
    pub name: Option<String>,
    /// The device number.
    pub number: DevNum,
}

/// `over (254:1)`, or the number alone.
impl fmt::Display for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{} ({})", printable(name), self.number),
            None => self.number.fmt(f),
        }
    }
}

impl Called {
    /// Lists devices in a sentence, separated by commas.
    pub(crate) fn list(devices: &[Self]) -> String {
        devices.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}
