//! The rules of the formats for other tools, which a device can break.

use thiserror::Error;

use super::devices::Unreadable;
use crate::identity::{Uuid, printable};
use crate::kernel::ListEntry;
use crate::targets::{self, Problem};

/// The longest text (`DM_MAX_STR_SIZE` in `drivers/md/dm-init.c`), in bytes.
pub(crate) const MAX_TEXT: usize = 4096;
/// The most devices (`DM_MAX_DEVICES`).
pub(crate) const MAX_DEVICES: usize = 256;
/// The most targets of a device (`DM_MAX_TARGETS`).
pub(crate) const MAX_TARGETS: usize = 256;
/// The largest minor number that is taken for one: the kernel reads the word as a whole device number.
pub(crate) const MAX_MINOR: u32 = 255;

/// Why a device can't be written in a form that is UTF-8 text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotText {
    /// The name is other bytes; a device can be renamed.
    #[error("its name is not UTF-8 text: `dmctl rename` gives it one that is")]
    Name,
    /// The uuid is other bytes; the kernel sets it once.
    #[error(
        "its uuid is not UTF-8 text, and the kernel can't change it: only a device made again gets another"
    )]
    Uuid,
}

impl NotText {
    /// Finds what is not text of a device.
    pub(super) fn of(listed: &ListEntry) -> Option<Self> {
        let uuid = || listed.uuid.as_ref().is_some_and(Uuid::is_bytes).then_some(Self::Uuid);
        listed.name.is_bytes().then_some(Self::Name).or_else(uuid)
    }
}

/// A rule that a device breaks, or all devices together. Its `Display` is a clause about the device.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rule {
    /// A device needs a table.
    #[error("it has no table")]
    NoTable,
    /// A row must be one that dmctl can read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A row must keep the rules of its target.
    #[error("its {kind} row can't be written: {problem}")]
    Invalid {
        /// The target type of the row.
        kind: String,
        /// The problem of a field.
        problem: Problem,
    },
    /// A row must not hold a key.
    #[error(
        "its {kind} row holds a key (`{field}`), which is never written; a key in a keyring of the kernel is not a secret"
    )]
    Key {
        /// The target type of the row.
        kind: String,
        /// The field of the key.
        field: &'static str,
    },
    /// A row must not hold `#`, where dmsetup begins a comment.
    #[error("dmsetup cuts a row at `#`, and this one holds one: {row}")]
    Hash {
        /// The row, without keys.
        row: String,
    },
    /// The kernel takes one device at least.
    #[error("there is no device, and an empty one is an error")]
    NoDevice,
    /// The kernel reads `MAX_TEXT` bytes.
    #[error("all of it has {bytes} bytes, the kernel reads {MAX_TEXT}")]
    TextLength {
        /// The length of the text.
        bytes: usize,
    },
    /// The kernel makes `MAX_DEVICES` devices.
    #[error("there are {count} devices, the kernel makes {MAX_DEVICES}")]
    DeviceCount {
        /// The count of the devices.
        count: usize,
    },
    /// The kernel trims names and uuids.
    #[error("its {field} begins or ends with a blank, which the kernel takes away")]
    Blank {
        /// The field: `name` or `uuid`.
        field: &'static str,
    },
    /// The text must not act on a terminal: it is copied by hand, and this form escapes no such character.
    #[error("`{}` holds a character that can't be seen, or acts on a terminal, and nothing can escape it here", printable(.text))]
    Hidden {
        /// The uuid, or the row without keys.
        text: String,
    },
    /// A name and a uuid must be text.
    #[error(transparent)]
    NotText(#[from] NotText),
    /// A name or a uuid must not hold a character that ends it.
    #[error("its {field} holds `{}`, and nothing can escape it", .character.escape_debug())]
    Separator {
        /// The field: `name` or `uuid`.
        field: &'static str,
        /// The character that would end the field.
        character: char,
    },
    /// A minor number is at most `MAX_MINOR`.
    #[error("its minor number would be {minor}, the largest that is taken for one is {MAX_MINOR}")]
    Minor {
        /// The minor number, which is too large.
        minor: u32,
    },
    /// The kernel takes `MAX_TARGETS` targets a device.
    #[error("it has {count} targets, the kernel takes {MAX_TARGETS}")]
    TargetCount {
        /// The count of the targets.
        count: usize,
    },
    /// Only some target types are allowed before there is a file system.
    #[error("the kernel makes no {kind} this early, only {}", early_kinds())]
    Late {
        /// The target type, which is not ready that early.
        kind: String,
    },
    /// A row needs parameters.
    #[error("its {kind} row has no parameters, and there must be some")]
    NoParams {
        /// The target type of the row.
        kind: String,
    },
    /// A row must not hold a character that ends it.
    #[error("its {kind} row holds `{}`, and nothing can escape it", .character.escape_debug())]
    RowSeparator {
        /// The target type of the row.
        kind: String,
        /// The character that would end the row.
        character: char,
    },
}

fn early_kinds() -> String {
    let early: Vec<&str> =
        targets::KINDS.iter().filter(|kind| kind.traits.early).map(|kind| kind.name).collect();
    early.join(", ")
}
