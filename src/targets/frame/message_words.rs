//! The words of a message that may be keys.

use crate::redact::{long_hex, redact_hex};
use crate::secret::REDACTED;

/// Replaces what may be a key in a message of unknown meaning: long hex, and what follows the words `key set`, by which
/// crypt is given a key. The kernel takes the backslashes out of a word before it reads it (`dm_split_args` in
/// `drivers/md/dm-table.c`), so a word that has them is looked at without.
pub(crate) fn redact_unknown(message: &str) -> String {
    if sets_a_key(message) {
        let is_order = |word: &str| ORDERS.iter().any(|order| plain(word).eq_ignore_ascii_case(order));
        let names_a_keyring = |word: &str| word.starts_with(':') && !word.contains('\\');
        return redact_hex(&redact_words(message, |word| !is_order(word) && !names_a_keyring(word)));
    }
    if !message.contains('\\') {
        return redact_hex(message);
    }
    redact_words(message, |word| !long_hex(&plain(word)).is_empty())
}

/// The words by which crypt is given a key.
const ORDERS: [&str; 2] = ["key", "set"];

fn sets_a_key(message: &str) -> bool {
    let mut words = message.split_whitespace();
    ORDERS.iter().all(|order| words.next().is_some_and(|word| plain(word).eq_ignore_ascii_case(order)))
}

/// Takes the backslashes out of a word.
fn plain(word: &str) -> String {
    word.replace('\\', "")
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
