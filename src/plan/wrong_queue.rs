//! A lower device that does not take I/O as a target needs it: data, with the sentence where it is shown.

use std::fmt;

use smol_str::SmolStr;

use crate::device::Written;
use crate::identity::Called;
use crate::targets::QueueKind;

/// A lower device that does not take I/O as a target needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongQueue {
    /// The target type that needs it.
    pub kind: SmolStr,
    /// The lower device, as the map writes it.
    pub device: Written,
    /// What is needed.
    pub needed: QueueKind,
    /// The device below it that is in the way, where it is not the lower device itself.
    pub below: Option<Called>,
}

/// The clauses about the lower device, with the way out.
impl fmt::Display for WrongQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, device, needed, below } = self;
        if let Some(below) = below {
            write!(f, "{below} below ")?;
        }
        f.write_str(&device.described())?;
        match needed {
            QueueKind::Requests => write!(
                f,
                " takes no requests (it is a partition, or its driver takes bios alone), and {kind} hands on requests; write \
                 queue_mode = \"bio\""
            ),
            QueueKind::Memory => write!(
                f,
                " is not memory that the kernel can address directly (its queue/dax in sysfs is not 1), and {kind} with mode = \
                 \"pmem\" needs that; write mode = \"ssd\""
            ),
        }
    }
}
