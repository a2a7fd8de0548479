//! A lower device that does not have the target which another one needs: data, with the sentence where it is shown.

use std::fmt;

use smol_str::SmolStr;

use crate::device::Written;

/// A lower device that does not have the target that another one needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongBelow {
    /// The target type that needs it.
    pub kind: SmolStr,
    /// The lower device, as the map writes it.
    pub device: Written,
    /// The target type that is needed.
    pub needed: &'static str,
    /// What is there instead.
    pub found: FoundBelow,
}

/// What a lower device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundBelow {
    /// A device of targets of these types.
    Types(Vec<SmolStr>),
    /// A mapped device without a table.
    NoTable,
    /// No Device Mapper device.
    Unmapped,
    /// A mapped device whose table could not be read.
    Unread,
}

/// The clauses about the lower device, with the way out.
impl fmt::Display for WrongBelow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, device, needed, found } = self;
        let device = device.described();
        let article = if needed.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        match found {
            FoundBelow::Types(types) => {
                write!(
                    f,
                    "{device} is a device of {}, {kind} needs {article} {needed}",
                    types.join(" and ")
                )?;
            }
            FoundBelow::NoTable => write!(f, "{device} has no table, {kind} needs {article} {needed}")?,
            FoundBelow::Unmapped => {
                write!(f, "{device} is not a Device Mapper device, {kind} needs {article} {needed}")?;
            }
            FoundBelow::Unread => {
                return write!(
                    f,
                    "the table of {device} could not be read, and {kind} needs {article} {needed}; run dmctl where that can be read"
                );
            }
        }
        write!(f, "; give it the device of {article} {needed}")
    }
}
