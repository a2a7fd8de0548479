//! The words of a message that may be keys.

use crate::redact::{long_hex, redact_hex};
use crate::secret::REDACTED;

/// Replaces what may be a key in a message of unknown meaning: long hex. The kernel takes the backslashes out of a word
/// before it reads it (`dm_split_args` in `drivers/md/dm-table.c`), so a word that has them is looked at without.
pub(crate) fn redact_unknown(message: &str) -> String {
    if !message.contains('\\') {
        return redact_hex(message);
    }
    redact_words(message, |word| !long_hex(&word.replace('\\', "")).is_empty())
}

/// Replaces the words of a message that `is_key` finds; the blanks stay.
pub(crate) fn redact_words(message: &str, is_key: impl Fn(&str) -> bool) -> String {
    let mut shown = String::with_capacity(message.len());
    for part in message.split_inclusive(char::is_whitespace) {
        let word = part.trim_end();
        shown.push_str(if !word.is_empty() && is_key(word) { REDACTED } else { word });
        shown.push_str(&part[word.len()..]);
    }
    shown
}
