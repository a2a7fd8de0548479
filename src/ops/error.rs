//! Why an operation on a device failed, and in what state that leaves it.

use thiserror::Error;

use super::{Advice, Usage};
use crate::device::Device;
use crate::identity::{Called, DevNum, IdentityError, Name, Uuid, printable};
use crate::kernel::{Absence, KernelError};

/// Why an operation failed.
///
/// The variants up to [`Kernel`](Self::Kernel) are found before anything is changed. After
/// [`Refused`](Self::Refused) every change is undone. After [`NotRolledBack`](Self::NotRolledBack) some are not, and after
/// [`Unsettled`](Self::Unsettled) all of them stay.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpError {
    /// A device of this name does not exist.
    #[error("there is no device `{name}`")]
    Missing {
        /// The name that was given.
        name: Name,
        /// The name of a device with a similar spelling.
        nearest: Option<Name>,
    },
    /// The text can't be a name or a uuid.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The path does not lead to a mapped device.
    #[error("`{}` is not a mapped device", crate::identity::printable(.0))]
    NotMapped(String),
    /// Another device has the name.
    #[error("the name `{name}` is taken by device {number}")]
    NameTaken {
        /// The name that was to be given.
        name: Name,
        /// The number of the device that has it.
        number: DevNum,
    },
    /// Another device has the uuid.
    #[error("the uuid `{uuid}` is taken by `{name}` ({number})")]
    UuidTaken {
        /// The uuid that was to be given.
        uuid: Uuid,
        /// The name of the device that has it.
        name: Name,
        /// The number of that device.
        number: DevNum,
    },
    /// The device has another uuid already.
    #[error("`{name}` has the uuid `{has}` already; the kernel sets a uuid once and never changes it")]
    UuidSet {
        /// The name of the device.
        name: Name,
        /// The uuid of the device.
        has: Uuid,
    },
    /// The uuid marks a device of another subsystem.
    #[error("`{name}` belongs to {subsystem}: its uuid is `{uuid}`")]
    Foreign {
        /// The name of the device.
        name: Name,
        /// The uuid of the device, or the one that was given.
        uuid: Uuid,
        /// The subsystem whose mark the uuid carries.
        subsystem: &'static str,
    },
    /// The device is in use, and can't be removed.
    #[error("`{name}` is in use: {usage}")]
    InUse {
        /// The name of the device.
        name: Name,
        /// The users of the device.
        usage: Box<Usage>,
    },
    /// A row names a block device that is not found.
    #[error("row {row}: {}", not_found(.device, .absence))]
    NoDevice {
        /// The row, counted from 1.
        row: usize,
        /// The device as the row writes it.
        device: Device,
        /// Why it is not found.
        absence: Absence,
    },
    /// A row names a lower device by the key of a mapping.
    #[error("row {row}: `{device}` is a key, and keys stand in map files only; write the path or the number")]
    KeyInTable {
        /// The row, counted from 1.
        row: usize,
        /// The device as the row writes it.
        device: Device,
    },
    /// The table would make the device one of its own lower devices.
    #[error("row {row}: `{name}` would depend on itself{}", via(.through))]
    Loop {
        /// The row, counted from 1.
        row: usize,
        /// The name of the device.
        name: Name,
        /// The devices between the device and itself, from the top down.
        through: Vec<Called>,
    },
    /// The device is one of its own lower devices, and requests are in flight there, which never end.
    #[error(
        "`{name}` depends on itself{}, and requests are in flight in that circle: they never end, so its I/O can't be held; only a reboot ends them",
        via(.through)
    )]
    StuckInLoop {
        /// The name of the device.
        name: Name,
        /// The devices between the device and itself, from the top down.
        through: Vec<Called>,
    },
    /// A target would do I/O of its own to a device that is suspended: the call would never end.
    #[error(
        "{kind} does I/O of its own to {lower}, and `{suspended}` is suspended, so that the call would never end; run \
         `dmctl resume {}{}` first",
        suspended.word(),
        if *is_own { "" } else { " --foreign" }
    )]
    SuspendedBelow {
        /// The target type.
        kind: String,
        /// The lower device of the table.
        lower: Called,
        /// The suspended device, which is that one or below it.
        suspended: Name,
        /// Whether the suspended device has an owner.
        is_own: bool,
    },
    /// A lower device has grown, and the kernel does not resume the device before its table is loaded again.
    #[error(
        "{kind} counts {used} sectors of {lower}, which has {size} by now, and the kernel does not resume `{name}` before its \
         table is loaded again; load it with `dmctl table {0} | dmctl reload {0}`, or apply the map",
        name.word()
    )]
    Outgrown {
        /// The name of the device.
        name: Name,
        /// The target type.
        kind: String,
        /// The lower device that has grown.
        lower: Called,
        /// The sectors that are counted.
        used: u64,
        /// The sectors that it has.
        size: u64,
    },
    /// The system gives no random bytes for a uuid.
    #[error("the system gives no random bytes for a uuid: {0}")]
    Random(String),
    /// The kernel can't be read.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The kernel refused a call; the calls before it are undone.
    #[error("{cause}")]
    Refused {
        /// The answer of the kernel.
        cause: KernelError,
        /// The likely reasons; empty when none is known.
        advice: Vec<Advice>,
    },
    /// The kernel refused a call, and then one of those that undo the calls before it.
    #[error("{cause}; and putting it back failed: {recovery}; {left}")]
    NotRolledBack {
        /// The answer that made the operation fail.
        cause: Box<KernelError>,
        /// The answer that made the recovery fail.
        recovery: Box<KernelError>,
        /// The state that is left. Its `Display` says how to go on.
        left: LeftState,
    },
    /// The change is made, and a device that was suspended for it can't be resumed.
    #[error("the change is made, but {cause}; {left}")]
    Held {
        /// The answer of the kernel.
        cause: Box<KernelError>,
        /// The state that is left.
        left: LeftState,
    },
    /// The change is made, and its device node could not be updated.
    #[error("the change is made, but its device node could not be brought up to date: {0}")]
    Unsettled(KernelError),
}

impl OpError {
    /// Makes the error of a refusal without advice.
    pub(super) fn refused(cause: KernelError) -> Self {
        Self::Refused { cause, advice: Vec::new() }
    }

    /// Makes the error of a refusal whose undoing was refused as well.
    pub(super) fn not_put_back(cause: KernelError, recovery: KernelError, left: LeftState) -> Self {
        Self::NotRolledBack { cause: Box::new(cause), recovery: Box::new(recovery), left }
    }
}

/// The state of a device after an operation failed, and could not be undone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LeftState {
    /// A device that was created has no live table.
    #[error("`{name}` is left half made: try `dmctl remove {}`", name.word())]
    HalfMade {
        /// The name of the device.
        name: Name,
    },
    /// A device whose table was replaced, or that was resumed, may be suspended or hold an inactive table.
    #[error(
        "`{name}` may be suspended or keep an inactive table: look with `dmctl info {0}`, then try `dmctl resume {0}`",
        name.word()
    )]
    Suspended {
        /// The name of the device.
        name: Name,
    },
    /// A device has its new name, and not the new uuid.
    #[error("the device is called `{new}` and has no uuid: try `dmctl rename {} {}`", new.word(), old.word())]
    Renamed {
        /// The name that the device had.
        old: Name,
        /// The name that the device has.
        new: Name,
    },
}

fn not_found(device: &Device, absence: &Absence) -> String {
    let device = device.to_string();
    match absence {
        Absence::Missing => format!("there is no block device `{}`", printable(&device)),
        absence => format!("`{}` {absence}", printable(&device)),
    }
}

fn via(devices: &[Called]) -> String {
    if devices.is_empty() { String::new() } else { format!(", through {}", Called::list(devices)) }
}
