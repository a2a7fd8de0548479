//! Hides the keys in the rows of a text that an error is about to show.
//!
//! What a key looks like does not tell it: one with a mistake in it is not hexadecimal any more. Its place in the row does,
//! and that is known to the target.

use zeroize::Zeroizing;

use super::command_line;
use super::concise::{Backslash, Field, fields};
use crate::targets;

/// Returns `text`, as long as before, with a star for every byte of the words of its rows that may be keys.
pub(super) fn hide(text: &str) -> String {
    let (devices, backslash) = match command_line::find(text) {
        Ok(value) if value.in_command_line => (value.at, Backslash::Plain),
        Ok(value) => (value.at, Backslash::Escapes),
        // Its quotes are wrong, and may be a part of a field.
        Err(_) => (0..text.len(), Backslash::Escapes),
    };
    let mut bytes = text.as_bytes().to_vec();
    for field in fields(&text[devices.clone()], backslash) {
        let Some(key) = first_key(&field) else { continue };
        let written = &text[devices.start + field.at.start..devices.start + field.at.end];
        // With escapes in it the words may be others than those of the row.
        let from = if written.contains('\\') { 0 } else { begin_of_word(written, key) };
        bytes[devices.start + field.at.start + from..devices.start + field.at.end].fill(b'*');
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// Returns the index of the first word of a row that its target hides. The type may stand anywhere, for the row may be wrong.
fn first_key(row: &Field) -> Option<usize> {
    let words: Vec<&str> = row.text.split_whitespace().collect();
    let kinds = words.iter().enumerate().filter_map(|(place, word)| Some((place, targets::find(word)?)));
    let hidden = |(place, kind): (usize, &targets::Kind)| {
        let params = Zeroizing::new(words[place + 1..].join(" "));
        let redacted = (kind.redact)(&params);
        let changed = params.split(' ').zip(redacted.split(' ')).position(|(word, shown)| word != shown);
        changed.map(|word| place + 1 + word)
    };
    kinds.filter_map(hidden).min()
}

/// Returns where the word at this index begins.
fn begin_of_word(text: &str, index: usize) -> usize {
    let word = text.split_whitespace().nth(index);
    word.map_or(0, |word| word.as_ptr() as usize - text.as_ptr() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_hidden_by_its_place_whatever_it_looks_like() {
        for (text, shown) in [
            ("a,,,,0 8 crypt aes 00x1 0 8:0 0,8 8 zero", "a,,,,0 8 crypt aes ************,8 8 zero"),
            ("a,,,,0 8 crypt aes", "a,,,,0 8 crypt aes"),
            ("a,,,,0 8 crypt aes :32:logon:a 0 8:0 0", "a,,,,0 8 crypt aes :32:logon:a 0 8:0 0"),
            ("a,,,,0 8 cr\\ypt aes wörd 0 8:0 0\\", "a,,,,****************************\\"),
            (
                "x dm-mod.create=\"a,,,,0 8 integrity 8:0 0 4 J 1 internal_hash:h:k\"",
                "x dm-mod.create=\"a,,,,0 8 integrity 8:0 0 4 J 1 *****************\"",
            ),
            ("a,,,,0 8 crypt aes k 0 8:0 0\"", "a,,,,0 8 crypt aes **********"),
        ] {
            assert_eq!(hide(text), shown);
        }
    }
}
