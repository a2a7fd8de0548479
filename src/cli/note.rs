//! Writes lines for a person to standard error.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::stderr;
use crate::kernel::Unseen;

/// Writes a line to standard error. An error is ignored: there is no other place to report it.
pub(crate) fn note(line: impl Display) {
    stderr::write(&format!("{line}\n"));
}

/// Tells what could not be seen of the host, so that the answer is what is known without it.
pub(crate) fn note_unseen(unseen: &BTreeSet<Unseen>) {
    const MAX_SHOWN: usize = 4;
    for part in unseen.iter().take(MAX_SHOWN) {
        note(format_args!("note: {part}; what is shown is what is known without it"));
    }
    let more = unseen.len().saturating_sub(MAX_SHOWN);
    if more > 0 {
        note(format_args!("note: and {more} more"));
    }
}
