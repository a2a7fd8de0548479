//! The law of a reply of the kernel: whatever bytes come, each kind of answer is read or told to be malformed, and what
//! is read can be shown.

use super::text::is_plain;
use crate::kernel::live::replies;

/// Holds a reply to the law.
pub(super) fn hold(input: &[u8]) {
    let read = replies::read(input);
    for listed in read.list.into_iter().flatten() {
        is_plain("a name", &listed.name.to_string());
        is_plain("a name for a shell", &listed.name.word());
        listed.uuid.into_iter().for_each(|uuid| is_plain("a uuid", &uuid.to_string()));
    }
    if let Some(info) = read.info {
        is_plain("a name", &info.name.to_string());
    }
    for row in read.table.into_iter().flatten() {
        let _ = row.redacted_params();
        super::row::hold(format!("{} {}", row.kind, row.params()).as_bytes());
    }
}
