//! The causes of failures: why a step of an apply was not carried out. Each is data, and its text is made where it is drawn.

use std::fmt;
use std::io;

use super::refused_step::RefusedStep;
use super::removal::KeptBy;
use crate::device::Device;
use crate::diff::TableDiff;
use crate::identity::{Name, printable};
use crate::kernel::KernelError;
use crate::keys::MissingKey;
use crate::plan::Conflict;
use crate::table::RawRow;
use crate::targets::{self, Contradiction, Leaving};

/// Why a step was not carried out, or had another effect than planned. Its `Display` is a sentence without its end, and
/// never shows a key.
#[derive(Debug)]
pub enum Cause {
    /// The kernel refused a call.
    Kernel(KernelError),
    /// The kernel refused a table.
    Load {
        /// The kernel's answer.
        error: Box<KernelError>,
        /// The row at fault.
        fault: Box<RowFault>,
    },
    /// The file system on a device could not be frozen, so the device was not suspended.
    Unfrozen {
        /// The kernel's answer.
        error: Box<KernelError>,
        /// The name of the device.
        device: Name,
        /// Whether the file system is frozen already; else its journal may be aborted.
        is_frozen: bool,
    },
    /// The system gave no random numbers for a key.
    Random(io::Error),
    /// The metadata on this device can't be read, and the new table would read it while its device is suspended.
    SilentMetadata(Box<Device>),
    /// The metadata of a device that was to tell its length does not tell it.
    UnknownLength,
    /// The volume to be copied is in use as the device of this name, which is not the map's.
    CopiedInUse(Name),
    /// The kernel took the step, and the device is not as planned.
    Unlike(Unlike),
    /// A device to be removed is in use.
    InUse {
        /// The name of the device.
        name: Name,
        /// Its users.
        by: Box<KeptBy>,
    },
    /// The apply was told to stop.
    Stopped,
    /// Metadata that could not be seen before is missing, and formatting it is not allowed.
    Unapproved(Box<RefusedStep>),
    /// Metadata that could not be seen before contradicts the table of a mapping.
    Contradicted(Box<Conflict>),
    /// Metadata that could not be seen before contradicts the table of a device without a mapping.
    Contradiction(Box<Contradiction>),
    /// The new table of the device of this name would leave behind what no other device has.
    Leaves(Name, Box<Leaving>),
    /// A thread of dmctl panicked.
    Panicked,
}

/// A row for which the kernel refused a table.
#[derive(Debug)]
pub enum RowFault {
    /// The kernel has no such target type.
    Type(RawRow),
    /// The kernel's log names the type of this row alone, or the table has one row.
    Row {
        /// The row.
        row: RawRow,
        /// The key of it that the kernel did not find.
        missing: Option<MissingKey>,
    },
}

/// How a device is not as planned, though the kernel took the step.
#[derive(Debug)]
pub enum Unlike {
    /// It should be removed.
    StillThere,
    /// It does not exist.
    Gone,
    /// Its removal is pending, and should not be.
    RemovalPending,
    /// It has another name than this.
    Called {
        /// The name that it has.
        is: Name,
        /// The name that it should have.
        wanted: Name,
    },
    /// Its table is another one.
    Table(Box<TableDiff>),
}

impl From<KernelError> for Cause {
    fn from(error: KernelError) -> Self {
        Self::Kernel(error)
    }
}

impl From<Unlike> for Cause {
    fn from(unlike: Unlike) -> Self {
        Self::Unlike(unlike)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(error) => error.fmt(f),
            Self::Load { error, fault } => write!(f, "{error}; {fault}"),
            Self::Unfrozen { error, device, is_frozen } => {
                let why = if *is_frozen {
                    "it is frozen already; thaw it with `fsfreeze --unfreeze`"
                } else {
                    "its journal may be aborted; unmount it, or thaw it if it is frozen"
                };
                write!(
                    f,
                    "{error}: the suspend of {device} failed, because the file system on it can't be frozen: {why}, or leave \
                     the freeze out with suspend = {{ freeze = false }} in its mapping"
                )
            }
            Self::Random(error) => write!(f, "its key can't be drawn at random: {error}"),
            Self::SilentMetadata(device) => {
                write!(f, "its metadata on {device} can't be read, so it is not suspended")
            }
            Self::UnknownLength => {
                f.write_str("its metadata does not tell how long it may be; give it a length")
            }
            Self::CopiedInUse(name) => write!(
                f,
                "the volume to be copied is in use as {name}, which no mapping of this map is; suspend it for the time of \
                 the copy, with `dmctl suspend {}`, or declare it",
                name.word()
            ),
            Self::Unlike(unlike) => unlike.fmt(f),
            Self::InUse { by, .. } => write!(f, "in use: {by}"),
            Self::Stopped => f.write_str("told to stop"),
            Self::Unapproved(refused) => refused.fmt(f),
            Self::Contradicted(conflict) => conflict.reason.fmt(f),
            Self::Contradiction(contradiction) => contradiction.fmt(f),
            Self::Leaves(name, leaving) => f.write_str(&leaving.describe(&name.plain())),
            Self::Panicked => f.write_str("dmctl itself failed; please report it"),
        }
    }
}

impl fmt::Display for RowFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(row) => write!(
                f,
                "the kernel has no target type `{}`, and its module `{}` is missing or can't be loaded",
                printable(&row.kind),
                printable(&targets::module(&row.kind))
            ),
            Self::Row { row, missing } => {
                write!(f, "the row is `{row}`")?;
                missing.as_ref().map_or(Ok(()), |key| write!(f, "; {key}"))
            }
        }
    }
}

impl fmt::Display for Unlike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StillThere => f.write_str("the kernel still has it"),
            Self::Gone => f.write_str("the kernel does not have it"),
            Self::RemovalPending => f.write_str("the kernel still lets it go as soon as it is closed"),
            Self::Called { is, wanted } => write!(f, "the kernel calls it {is}, not {wanted}"),
            Self::Table(diff) => write!(f, "the kernel took the table and still shows a difference: {diff}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;
    use crate::identity::DevNum;
    use crate::kernel::Call;
    use crate::keys::Keyring;

    fn refused(call: Call, errno: Errno) -> KernelError {
        KernelError::Refused { call, device: "data".to_string(), errno, log: None }
    }

    #[test]
    fn each_cause_is_a_sentence_without_its_end() {
        let name = || Name::new("data").unwrap();
        let row = || RawRow::parse("0 8 linear 8:0 0").unwrap();
        let load =
            |fault| Cause::Load { error: refused(Call::Load, Errno::ENOKEY).into(), fault: Box::new(fault) };
        let missing = || Some(MissingKey(Keyring::new("logon:cryptsetup:1f-d0", 64).unwrap()));
        let unfrozen = |is_frozen| Cause::Unfrozen {
            error: refused(Call::Suspend, Errno::EBUSY).into(),
            device: name(),
            is_frozen,
        };
        for (cause, text) in [
            (load(RowFault::Row { row: row(), missing: None }), "; the row is `0 8 linear 8:0 0`"),
            (
                load(RowFault::Row { row: row(), missing: missing() }),
                "; the row is `0 8 linear 8:0 0`; no keyring of this process holds the logon key",
            ),
            (
                load(RowFault::Type(RawRow::new(0, 8, "odd", String::new()))),
                "; the kernel has no target type `odd`, and its module `dm-odd` is missing or can't be loaded",
            ),
            (
                unfrozen(true),
                "can't be frozen: it is frozen already; thaw it with `fsfreeze --unfreeze`, or leave the freeze out with suspend = { freeze = false } in its mapping",
            ),
            (
                unfrozen(false),
                ": the suspend of data failed, because the file system on it can't be frozen: its journal may be aborted; unmount it, or",
            ),
            (Cause::Random(io::Error::other("none")), "its key can't be drawn at random: none"),
            (
                Cause::SilentMetadata(Device::numbered(DevNum::new(8, 0)).into()),
                "its metadata on 8:0 can't be read, so it is not suspended",
            ),
            (Cause::UnknownLength, "its metadata does not tell how long it may be; give it a length"),
            (
                Cause::CopiedInUse(name()),
                "is in use as data, which no mapping of this map is; suspend it for the time of the copy, with `dmctl suspend data`, or declare it",
            ),
            (Unlike::StillThere.into(), "the kernel still has it"),
            (Unlike::Gone.into(), "the kernel does not have it"),
            (Unlike::RemovalPending.into(), "the kernel still lets it go as soon as it is closed"),
            (
                Unlike::Called { is: Name::new("x").unwrap(), wanted: name() }.into(),
                "the kernel calls it x, not data",
            ),
            (Cause::Stopped, "told to stop"),
            (Cause::Panicked, "dmctl itself failed; please report it"),
        ] {
            assert!(cause.to_string().contains(text), "{cause}");
        }
    }
}
