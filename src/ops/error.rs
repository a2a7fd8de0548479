//! Why an operation on a device failed, and in what state that leaves it.

use thiserror::Error;

use super::Usage;
use crate::device::Device;
use crate::identity::{DevNum, IdentityError, Name, Uuid};
use crate::kernel::KernelError;

/// Why an operation failed.
///
/// Up to [`Kernel`](Self::Kernel) nothing was changed. After [`Refused`](Self::Refused) everything is as it
/// was before. After [`NotPutBack`](Self::NotPutBack) it is not.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpError {
    /// No device has this name.
    #[error("there is no device `{name}`")]
    Missing {
        /// The name that was asked for.
        name: Name,
        /// The name of a device that is spelled alike.
        nearest: Option<Name>,
    },
    /// What was written can't be a name or a uuid.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A path that leads to no mapped device.
    #[error("`{}` is no mapped device", crate::identity::printable(.0))]
    NotMapped(String),
    /// Another device has the name.
    #[error("the name `{name}` is taken by device {number}")]
    NameTaken {
        /// The name.
        name: Name,
        /// Whose it is.
        number: DevNum,
    },
    /// Another device has the uuid.
    #[error("the uuid `{uuid}` is taken by `{name}` ({number})")]
    UuidTaken {
        /// The uuid.
        uuid: Uuid,
        /// The name of the device that has it.
        name: Name,
        /// The number of that device.
        number: DevNum,
    },
    /// The device has a uuid, and another one was asked for.
    #[error("`{name}` has the uuid `{has}` already; the kernel sets a uuid once and never changes it")]
    UuidSet {
        /// The device.
        name: Name,
        /// The uuid it has.
        has: Uuid,
    },
    /// The uuid marks a device of another subsystem.
    #[error("`{name}` belongs to {subsystem}: its uuid is `{uuid}`")]
    Foreign {
        /// The device.
        name: Name,
        /// Its uuid, or the one it was to get.
        uuid: Uuid,
        /// Whose mark that uuid carries.
        subsystem: &'static str,
    },
    /// A device to be removed is in use.
    #[error("`{name}` is in use: {usage}")]
    InUse {
        /// The device.
        name: Name,
        /// By what.
        usage: Usage,
    },
    /// A row names a block device that does not exist.
    #[error("row {row}: there is no block device `{}`", crate::identity::printable(&.device.to_string()))]
    NoDevice {
        /// The row, counted from 1.
        row: usize,
        /// The device as the row writes it.
        device: Device,
    },
    /// A row names a lower device by the key of a mapping.
    #[error("row {row}: `{device}` is a key, and keys stand in map files only; write the path or the number")]
    KeyInTable {
        /// The row, counted from 1.
        row: usize,
        /// The device as the row writes it.
        device: Device,
    },
    /// A table that leads back to the device it is for.
    #[error("row {row}: `{name}` would stand on itself{}", via(.through))]
    Itself {
        /// The row, counted from 1.
        row: usize,
        /// The device.
        name: Name,
        /// The devices between, from the top down.
        through: Vec<Name>,
    },
    /// The system gives no random bytes for a uuid.
    #[error("the system gives no random bytes for a uuid: {0}")]
    Random(String),
    /// The kernel could not be read.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The kernel refused a call; what had been done before it is undone.
    #[error("{cause}")]
    Refused {
        /// The kernel's answer.
        cause: KernelError,
        /// What dmctl knows about the reason, a sentence each.
        advice: Vec<String>,
    },
    /// The kernel refused a call, and then one of those that should have put things back.
    #[error("{cause}; and putting it back failed: {recovery}; {left}")]
    NotPutBack {
        /// The answer that made the operation fail.
        cause: Box<KernelError>,
        /// The answer that made the recovery fail.
        recovery: Box<KernelError>,
        /// What the device is left in, and what to do about it.
        left: String,
    },
    /// The change is made, the device nodes did not follow.
    #[error("the change is made, but its device node could not be brought up to date: {0}")]
    Unsettled(KernelError),
}

impl OpError {
    /// A refusal that dmctl knows nothing more about.
    pub(super) fn refused(cause: KernelError) -> Self {
        Self::Refused { cause, advice: Vec::new() }
    }

    /// A refusal, and another one on the way back.
    pub(super) fn not_put_back(cause: KernelError, recovery: KernelError, left: String) -> Self {
        Self::NotPutBack { cause: Box::new(cause), recovery: Box::new(recovery), left }
    }
}

fn via(names: &[Name]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    format!(", through {}", names.join(", "))
}
