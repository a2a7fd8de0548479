//! Reads any bytes as each of the kernel's answers, for the law of replies.

use super::wire::{Answer, Malformed};
use crate::kernel::{Info, ListEntry};
use crate::table::Table;

/// What bytes are as each kind of answer; `None` where they are not one.
pub(crate) struct Replies {
    /// The list of devices.
    pub list: Option<Vec<ListEntry>>,
    /// The state of a device.
    pub info: Option<Info>,
    /// The rows of a table.
    pub table: Option<Table>,
}

/// Reads bytes as each kind of answer.
pub(crate) fn read(bytes: &[u8]) -> Replies {
    let answer = Answer(bytes.to_vec().into());
    let _: Result<Option<String>, Malformed> = answer.reply();
    Replies {
        list: answer.list().ok().map(|entries| entries.into_iter().map(|entry| entry.listed).collect()),
        info: answer.info().ok(),
        table: answer.table().ok(),
    }
}
