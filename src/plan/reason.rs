//! Why a step is needed, as data. The sentence is made where it is shown.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::Held;
use super::kept_volume::{KeptVolume, UntoldVolume};
use super::staying::Staying;
use crate::device::Device;
use crate::diff::TableDiff;
use crate::identity::{Key, Name};
use crate::policy::Class;
use crate::targets::Leaving;

/// Why a step is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Whether no mapping declares the device.
    pub orphan: bool,
    /// The cause of the step.
    pub cause: Cause,
    /// The consequence of the cause, where one is worth a mention.
    pub consequence: Option<Consequence>,
    /// What the tables of the step put at stake, beyond its action.
    pub stake: Option<Stake>,
    /// The mapping that must have its device before metadata on it can be seen, which is then judged.
    pub unseen: Option<Key>,
    /// The volumes of its table that the map would make, and that their pools have already.
    pub kept: Vec<KeptVolume>,
}

/// The cause of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The map declares the device, and it does not exist.
    Missing,
    /// The map says that the device should be absent.
    Absent,
    /// No mapping declares the device, and the map removes such devices.
    Pruned,
    /// Only a new device can be as the map says: the removal of the old one.
    Replaced(Arc<TableDiff>),
    /// The device is recreated in place of the old one.
    Recreated,
    /// Another table is wanted.
    Differs(Arc<TableDiff>),
    /// The device never got a table.
    NoTable,
    /// The device is suspended, and should not be.
    Suspended,
    /// The device should be suspended, and is not.
    SuspendWanted,
    /// This layer, which is put below the device, copies what the device writes.
    CopiedBelow(Key),
    /// A table is in the inactive slot.
    InactiveTable,
    /// A table is in the inactive slot, which may use a device that is recreated.
    InactiveTableInTheWay,
    /// The kernel would remove the device with its last close.
    RemovalPending,
    /// Each load of the table is followed by this message.
    AfterLoad,
    /// A volume must exist before the table that uses it.
    Volume(Box<Volume>),
    /// The device has no uuid yet.
    NoUuid,
    /// The mapping has another name now.
    OtherName,
    /// The name of the device is not free yet, so a temporary one comes first.
    NameTaken,
    /// The name of the device is free now.
    NameFree,
    /// The device has a temporary name.
    TemporaryName,
}

/// A volume that a message makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its id in the pool.
    pub id: u32,
    /// The volume that it is a snapshot of.
    pub snapshot_of: Option<u32>,
    /// Why it is not known whether the pool has it; `None` for one that the pool does not have.
    pub untold: Option<UntoldVolume>,
    /// The mapping that will serve it.
    pub mapping: Key,
    /// The mapping that is suspended while its volume is copied.
    pub suspended: Option<Key>,
}

/// A consequence of the cause of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consequence {
    /// The length is known only after a first load.
    LengthAfterLoad,
    /// The device stays until its last close.
    RemovedOnClose,
    /// The table in the inactive slot is cleared.
    InactiveCleared,
    /// This stays on disk, where a table with the same devices has it again.
    Stays(Box<Staying>),
    /// What the target does when it takes the message.
    MessageDoes(&'static str),
    /// These devices are suspended while a snapshot is made.
    Suspends(Arc<[Held]>),
}

/// What the tables of a step put at stake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stake {
    /// This is lost with the live table.
    Loses(&'static str),
    /// This is on a lower device, and is written over.
    Overwrites {
        /// The content of the device.
        content: &'static str,
        /// The device.
        device: Device,
    },
    /// Metadata would be formatted.
    Formats(&'static str),
    /// This has no other copy yet.
    Leaves {
        /// What is left.
        leaving: Leaving,
        /// The name of the device.
        name: Name,
    },
}

impl Stake {
    /// Returns the risk class of a step with this at stake.
    pub fn class(&self) -> Class {
        match self {
            Self::Loses(_) | Self::Overwrites { .. } | Self::Leaves { .. } => Class::Loss,
            Self::Formats(_) => Class::Format,
        }
    }
}

impl From<Cause> for Reason {
    fn from(cause: Cause) -> Self {
        Self { orphan: false, cause, consequence: None, stake: None, unseen: None, kept: Vec::new() }
    }
}

impl Reason {
    /// Returns this reason with a consequence.
    #[must_use]
    pub fn with(self, consequence: Consequence) -> Self {
        Self { consequence: Some(consequence), ..self }
    }

    /// Returns the sentence. Most reasons have a fixed one.
    pub fn text(&self) -> Cow<'static, str> {
        match self.cause.sentence() {
            Some(sentence) if self.is_plain() => sentence.into(),
            _ => self.to_string().into(),
        }
    }

    /// Returns the sentence without the differences of two tables, for a step that lists these itself. Empty where the
    /// differences are the whole reason.
    pub fn beyond_differences(&self) -> Cow<'static, str> {
        if !matches!(self.cause, Cause::Differs(_)) {
            return self.text();
        }
        let beyond = self.beyond_cause();
        beyond.strip_prefix("; ").map_or(beyond.clone(), str::to_string).into()
    }

    /// Whether there is nothing but a cause.
    fn is_plain(&self) -> bool {
        let alone = self.consequence.is_none() && self.stake.is_none() && self.unseen.is_none();
        !self.orphan && alone && self.kept.is_empty()
    }

    /// Returns what follows the cause.
    fn beyond_cause(&self) -> String {
        let consequence = self.consequence.iter().map(|consequence| format!("; {consequence}"));
        let stake = self.stake.iter().map(|stake| format!("; {stake}"));
        let unseen =
            self.unseen.iter().map(|key| format!("; its metadata can't be seen before @{key} is there"));
        let kept = self.kept.iter().map(|volume| format!("; {volume}"));
        consequence.chain(stake).chain(unseen).chain(kept).collect()
    }
}

impl Cause {
    /// The sentence, where it is the same for every device.
    fn sentence(&self) -> Option<&'static str> {
        Some(match self {
            Self::Missing => "it does not exist",
            Self::Absent => "the map says it should be absent",
            Self::Pruned => "no mapping declares it any more",
            Self::Recreated => "recreated",
            Self::NoTable => "it has no table: its creation was not finished",
            Self::Suspended => "it is suspended, and I/O to it waits",
            Self::SuspendWanted => "the map says it should be suspended",
            Self::InactiveTable => "a table was left in its inactive slot",
            Self::InactiveTableInTheWay => {
                "the table in its inactive slot may hold a device that is recreated"
            }
            Self::RemovalPending => "it would go away as soon as it is closed",
            Self::AfterLoad => "sent after each load of its table",
            Self::NoUuid => "it has no uuid, and the map adopts it",
            Self::OtherName => "the mapping has another name now",
            Self::NameTaken => "through a temporary name, for its own is not free yet",
            Self::NameFree => "its name is free now",
            Self::TemporaryName => {
                "its name is a temporary one; by its key it is called that, unless its map says otherwise"
            }
            Self::Replaced(_) | Self::Differs(_) | Self::Volume(_) | Self::CopiedBelow(_) => return None,
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replaced(diff) => write!(f, "recreated: {diff}"),
            Self::Differs(diff) => diff.fmt(f),
            Self::Volume(volume) => {
                write!(f, "it makes volume {} of {}", volume.id, volume.mapping)?;
                if let Some(why) = &volume.untold {
                    write!(f, ", unless the pool has it, which is not known: {why}")?;
                }
                volume.suspended.iter().try_for_each(|key| write!(f, "; {key} is suspended meanwhile"))
            }
            Self::CopiedBelow(layer) => write!(
                f,
                "@{layer} copies what it writes; a write under way would be missing there, so it is resumed only with its \
                 new table"
            ),
            _ => f.write_str(self.sentence().unwrap_or_default()),
        }
    }
}

impl fmt::Display for Consequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LengthAfterLoad => "its length is known after a first load",
            Self::RemovedOnClose => "it goes away as soon as it is closed",
            Self::InactiveCleared => "a table was left in its inactive slot, and is cleared",
            Self::Stays(staying) => return staying.fmt(f),
            Self::MessageDoes(does) => return write!(f, "it {does}"),
            Self::Suspends(held) => {
                let names: Vec<String> = held.iter().map(|held| held.name.plain().into_owned()).collect();
                return f.write_str(&suspended_meanwhile(&names));
            }
        })
    }
}

/// Tells that these devices are suspended while the step is carried out.
pub(crate) fn suspended_meanwhile<T: AsRef<str>>(names: &[T]) -> String {
    let Some((last, others)) = names.split_last() else { return String::new() };
    if others.is_empty() {
        return format!("{} is suspended meanwhile", last.as_ref());
    }
    let others: Vec<&str> = others.iter().map(AsRef::as_ref).collect();
    format!("{} and {} are suspended meanwhile", others.join(", "), last.as_ref())
}

impl fmt::Display for Stake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loses(lost) => write!(f, "this loses {lost}"),
            Self::Overwrites { content, device } => {
                write!(f, "this loses {content} on {}", device.described())
            }
            Self::Formats(formatted) => f.write_str(formatted),
            Self::Leaves { leaving, name } => f.write_str(&leaving.describe(&name.plain())),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.orphan {
            f.write_str("no mapping declares it; ")?;
        }
        write!(f, "{}", self.cause)?;
        f.write_str(&self.beyond_cause())
    }
}
