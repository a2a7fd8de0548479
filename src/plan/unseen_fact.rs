//! What a plan needs to know of a device, and could not be seen: data, with the sentence where it is shown.

use std::fmt;

use crate::device::Written;
use crate::identity::DevNum;
use crate::kernel::Unseen;

/// What a plan needs to know of a device, and could not be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnseenFact {
    /// The size, the blocks and the access of a lower device, or of a device below it.
    Lower(Written, Unseen),
    /// The users of a lower device.
    Users(Result<Written, DevNum>, Unseen),
    /// The metadata on a lower device, which does not answer.
    Metadata(Written),
    /// The users of a device whose blocks would grow, by its name.
    Blocks(String, Unseen),
}

impl fmt::Display for UnseenFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WAY_OUT: &str = "run dmctl where /sys, /proc and /dev are those of the host";
        match self {
            Self::Lower(device, unseen) => write!(
                f,
                "the size and the blocks of the lower device {} could not be seen: {unseen}; {WAY_OUT}",
                device.described()
            ),
            Self::Users(device, unseen) => {
                f.write_str("whether the lower device ")?;
                match device {
                    Ok(device) => f.write_str(&device.described())?,
                    Err(number) => write!(f, "{number}")?,
                }
                write!(f, " is in use could not be seen: {unseen}; {WAY_OUT}")
            }
            Self::Metadata(device) => write!(
                f,
                "the metadata on {} could not be read, and the kernel might format what is there; check that it is not \
                 suspended, and that it can be read",
                device.described()
            ),
            Self::Blocks(device, unseen) => write!(
                f,
                "the logical blocks of {device} would grow, and what uses it could not be seen: {unseen}; {WAY_OUT}"
            ),
        }
    }
}
