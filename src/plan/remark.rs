//! Remarks about state that a plan leaves as it is: devices that can't be judged, values that the kernel would ignore, and
//! warnings.

use std::fmt;

use smol_str::SmolStr;

use super::conflict::Obstacle;
use super::neighbour::ReadElsewhere;
use super::step::Step;
use super::usage::InUse;
use crate::diff::Unjudgeable;
use crate::identity::{Key, Name, printable};
use crate::targets::{self, IgnoredValue};

/// A device that can't be judged, and is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unjudged {
    /// The key of the mapping.
    pub mapping: Key,
    /// The name of its device.
    pub name: Name,
    /// Why its live table can't be judged.
    pub reason: Unjudgeable,
}

/// A value that the kernel would accept and ignore, so that a plan can't set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// The key of the mapping.
    pub mapping: Key,
    /// The name of its device.
    pub name: Name,
    /// The value.
    pub value: IgnoredValue,
}

/// A fact about a device that no step changes, and that the reader of a plan should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The key of the mapping that it is about.
    pub mapping: Key,
    /// The name of its device.
    pub name: Name,
    /// The fact.
    pub fact: Fact,
}

impl Warning {
    /// Returns the warning about a device that becomes read-only while it is open.
    pub(super) fn of_access(step: &Step) -> Option<Self> {
        let users = step.users_of_read_only()?;
        let fact = Fact::WritesGoOn(Box::new(users.clone()));
        Some(Self { mapping: step.mapping.clone()?, name: step.name.clone(), fact })
    }

    /// Sorts warnings by mapping, name and sentence, and drops duplicates.
    pub(crate) fn sort(warnings: &mut Vec<Self>) {
        warnings.sort_by_cached_key(|warning| {
            (warning.mapping.clone(), warning.name.clone(), warning.fact.to_string())
        });
        warnings.dedup();
    }
}

/// What a [`Warning`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The live table is as the map says, though it could not be loaded again: this would be in the way. It serves I/O, so it is
    /// left as it is.
    NotLoadable(Obstacle),
    /// The mapping has no device, and an owned device that no mapping declares has its table, word for word: the mapping may
    /// have had that key.
    FormerKey(Key),
    /// The mapping writes to sectors that another device only reads, or the other way round.
    ReadElsewhere(Box<ReadElsewhere>),
    /// The table is as the map says, and it does not show what messages of the map did: whether they were changed since they
    /// were sent can't be told.
    MessagesNotShown {
        /// The name of the mapping.
        name: Name,
        /// The count of the messages.
        count: usize,
    },
    /// The device becomes read-only while it is open: the kernel logs writes of those who have it open for writing, and lets
    /// them pass (`bio_check_ro` in `block/blk-core.c`).
    WritesGoOn(Box<InUse>),
    /// The kernel does not list a target type of the new table.
    UnlistedType {
        /// The type.
        kind: SmolStr,
        /// Whether its module is known to be there: it is in the module index, which else can't be read.
        has_module: bool,
    },
    /// The device is suspended, its owner is that of the map, and no mapping declares it.
    SuspendedOrphan,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoadable(obstacle) => {
                write!(f, "the live table is as declared, but could not be loaded again: {obstacle}")
            }
            Self::FormerKey(key) => write!(
                f,
                "its table is that of the device of `{key}`, which no mapping declares any more; if that is its earlier key, \
                 write formerly = [\"{key}\"] and the device is kept"
            ),
            Self::ReadElsewhere(shared) => shared.fmt(f),
            Self::MessagesNotShown { name, count } => {
                let (messages, them, are) =
                    if *count == 1 { ("message", "it", "it is") } else { ("messages", "them", "they are") };
                write!(
                    f,
                    "{count} {messages} of `{name}` can't be compared: its table does not show {them}; {are} sent again only \
                     when a table is loaded"
                )
            }
            Self::WritesGoOn(users) => write!(
                f,
                "it becomes read-only while it is in use ({}): what has it open for writing, as a file system that is mounted \
                 writable, goes on writing; remount that read-only first",
                users.describe()
            ),
            Self::UnlistedType { kind, has_module } => {
                let module = targets::module(kind);
                write!(f, "the kernel lists no target type `{}`; ", printable(kind))?;
                if *has_module {
                    write!(f, "it loads the module `{module}` with the table")
                } else {
                    write!(
                        f,
                        "it asks for the module `{module}` with the table, and whether that is there can't be seen: the \
                         module index of this kernel is not in /lib/modules"
                    )
                }
            }
            Self::SuspendedOrphan => f.write_str(
                "it is suspended, and no mapping of this map declares it, so it stays suspended; `dmctl resume` resumes it, \
                 and prune = true removes it",
            ),
        }
    }
}
