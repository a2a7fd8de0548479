//! Hides keys in the lines of a map that an error shows.
//!
//! It works on the text alone, because a broken map may not tell where its keys are: any value of a field
//! that takes a key, and any long word of hexadecimal digits where a table would have one, is replaced by as
//! many stars. Hiding too much costs a little; hiding too little can't be undone.

mod assigned;

use std::ops::Range;

use zeroize::Zeroizing;

use self::assigned::assigned_keys;
pub(crate) use self::assigned::{is_entry, is_name_of_key};
use crate::secret::REDACTED;
use crate::text::push;

/// Words of a row that have an algorithm and, behind its colon, a key.
const ALGORITHMS: [&str; 3] = ["internal_hash", "journal_crypt", "journal_mac"];
/// Fields that hold long hexadecimal words which are not secret.
const OPEN: [&str; 4] = ["root_hash", "salt", "uuid", "name"];
/// Before the `=` of a lower device that is named by a link of udev.
const LINKS: [&str; 4] = ["UUID", "PARTUUID", "LABEL", "PARTLABEL"];
/// The most digits of a number that is shown.
const MAX_DIGITS: usize = 20;
/// The shortest hexadecimal word taken for a key, in digits.
const MIN_KEY: usize = 16;
/// The shortest run of hexadecimal digits taken for a key in a word whose meaning is unknown, in digits: the
/// shortest key of a cipher in use has 128 bits.
const MIN_UNKNOWN: usize = 32;

/// Finds the runs of hexadecimal digits in a word of unknown meaning that are as long as a key.
pub(crate) fn long_hex(word: &str) -> Vec<Range<usize>> {
    let (mut found, mut start) = (Vec::new(), 0);
    for run in word.split_inclusive(|c: char| !c.is_ascii_hexdigit()) {
        let digits = run.trim_end_matches(|c: char| !c.is_ascii_hexdigit()).len();
        if digits >= MIN_UNKNOWN {
            found.push(start..start + digits);
        }
        start += run.len();
    }
    found
}

/// Replaces the runs of [`long_hex`] in a text of any number of words.
pub(crate) fn redact_hex(text: &str) -> String {
    let (mut shown, mut from) = (String::with_capacity(text.len()), 0);
    for range in long_hex(text) {
        shown.push_str(&text[from..range.start]);
        shown.push_str(REDACTED);
        from = range.end;
    }
    shown.push_str(&text[from..]);
    shown
}

/// Returns `line`, as long as before, with a star for every byte that may be part of a key. The lines before it belong to
/// it where a value goes on in it.
pub(crate) fn redact_line(line: &str) -> String {
    let mut bytes = line.as_bytes().to_vec();
    for range in assigned_keys(line).into_iter().chain(key_words(line)).chain(keys_in_messages(line)) {
        // A line end stays one, so that the lines stay apart.
        bytes[range].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b'*');
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// The most characters of a value that an error shows; and of the text around values, which is longer where a value holds
/// backticks.
const MAX_QUOTED: usize = 200;
const MAX_AROUND: usize = 2000;

/// Redacts the text between backticks in a message, but for numbers of sectors. Of a long one the beginning is left, with its
/// length.
pub(crate) fn redact_quoted(message: &str) -> String {
    let redacted = |(index, part): (usize, &str)| {
        if index % 2 == 0 || is_number(part) {
            return shortened(part.to_string(), MAX_AROUND, None);
        }
        // A key that reaches beyond the part that is shown is found as a key all the same.
        let (near, characters) = match part.char_indices().nth(2 * MAX_AROUND) {
            Some((end, _)) => (&part[..end], Some(part.chars().count())),
            None => (part, None),
        };
        shortened(redact_line(near), MAX_QUOTED, characters)
    };
    message.split('`').enumerate().map(redacted).collect::<Vec<_>>().join("`")
}

/// Cuts a text of more than `most` characters, and tells how many it has: those that are given, or its own.
fn shortened(mut text: String, most: usize, characters: Option<usize>) -> String {
    if let Some((end, _)) = text.char_indices().nth(most) {
        let characters = characters.unwrap_or_else(|| text.chars().count());
        text.truncate(end);
        push!(text, "... ({characters} characters)");
    }
    text
}

/// Finds what follows the words `key set` up to the end of their text: the message by which crypt is given a key.
fn keys_in_messages(line: &str) -> Vec<Range<usize>> {
    // A copy of what may be a key is wiped.
    let lower = Zeroizing::new(line.to_ascii_lowercase());
    let after = |text: &str, word: &str| {
        let rest = text.strip_prefix(word)?.trim_start();
        (rest.len() + word.len() < text.len()).then_some(rest.len())
    };
    lower
        .match_indices("key")
        .filter_map(|(at, _)| {
            let left = after(&lower[at..], "key")?;
            let start = line.len() - after(&lower[line.len() - left..], "set")?;
            let end = line[start..].find(['"', '\'', '\n']).map_or(line.len(), |length| start + length);
            Some(start..end)
        })
        .collect()
}

/// Returns the bare or quoted key that ends before the `=` at `at`.
fn field_before(line: &str, at: usize) -> &str {
    let before = line[..at].trim_end().trim_end_matches(['"', '\'']);
    let start = before
        .rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8));
    &before[start..]
}

/// Finds words that look like keys anywhere in a line, and the third part of `internal_hash:algorithm:key`.
fn key_words(line: &str) -> Vec<Range<usize>> {
    let ends_word =
        |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '[' | ']' | '{' | '}' | '`');
    let mut found = Vec::new();
    let mut start = 0;
    for whole in line.split(ends_word) {
        let end = start + whole.len();
        let next = end + line[end..].chars().next().map_or(0, char::len_utf8);
        // `length=1024` without blanks. A link of udev, `UUID=`, is a word.
        let name = whole.rfind('=').filter(|at| !LINKS.contains(&&whole[..*at]));
        if let Some(at) = name {
            hide_in_word(&whole[..at], start, &mut found);
            start += at + 1;
        }
        let word = &line[start..end];
        let quoted = line[..start].ends_with(['"', '\'']);
        let open = quoted && {
            let before = line[..start].trim_end_matches(['"', '\'']).trim_end();
            before.ends_with('=') && OPEN.contains(&field_before(before, before.len() - 1))
        };
        // A number of TOML does not have quotes; a key has them, or is longer.
        let number = line[..start].trim_end().ends_with('=') && is_number(word);
        if !open && !number {
            hide_in_word(word, start, &mut found);
        }
        start = next;
    }
    found
}

/// Finds what looks like a key in a word that begins at `start`.
fn hide_in_word(word: &str, start: usize, found: &mut Vec<Range<usize>>) {
    let end = start + word.len();
    let part = start + word.rfind(':').map_or(0, |colon| colon + 1);
    let algorithm = ALGORITHMS.iter().any(|name| word.starts_with(&format!("{name}:")));
    if algorithm && word.matches(':').count() > 1 || is_like_a_key(&word[part - start..]) {
        found.push(part..end);
    } else if !(word.starts_with('/') || word.starts_with("mappings.")) {
        let is_border = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
        let whole = |run: &Range<usize>| {
            is_border(word[..run.start].chars().next_back()) && is_border(word[run.end..].chars().next())
        };
        let runs = long_hex(word).into_iter().filter(whole);
        found.extend(runs.map(|run| start + run.start..start + run.end));
    }
}

/// Tells whether a word is a number that a map may have: of sectors, of bytes, each at most 2^64.
fn is_number(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    digits <= MAX_DIGITS && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}

/// Whether a word has the length of a key and is hexadecimal, but for a mistake in every ten characters at most. Letters
/// alone with a mistake are a word of a language. TOML takes `_` between the digits of a number.
fn is_like_a_key(word: &str) -> bool {
    let length = word.bytes().filter(|byte| *byte != b'_').count();
    let mistakes = word.bytes().filter(|byte| !byte.is_ascii_hexdigit() && *byte != b'_').count();
    let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
    length >= MIN_KEY
        && (mistakes == 0 && (has_digit || length == word.len()) || has_digit && mistakes * 10 <= length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_hidden_wherever_they_stand() {
        let key = "00112233445566778899aabbccddeeff";
        for line in [
            format!("{{ type = \"crypt\", key = {{ hex = \"{key}\" }}, device = \"@a\" }}"),
            format!("key.hex='{key}'"),
            format!("\"key\" = \"{key}\""),
            format!("key = \"{key}"),
            format!("params = \"aes-xts-plain64 {key} 0 /dev/a 0\""),
            format!("  \"{key}\","),
            format!("params = \"aes-xts-plain64 {}x{} 0 /dev/a 0\"", &key[..9], &key[10..]),
            format!("params = [\"aes\", \"{key}\", 0]"),
            format!("internal_hash:hmac(sha256):{key}"),
            format!("params = \"@{key}/{key} mac={key}:8\""),
        ] {
            let shown = redact_line(&line);
            assert_eq!(shown.len(), line.len());
            assert!(!shown.contains(&key[..4]), "{shown}");
        }
        for (line, expected) in [
            ("hex = \"beef\"", "hex = \"****\""),
            ("key={hex=0xc0ffee11c0ffee1}", "key={hex=*****************}"),
            ("key = {hex = beef } # x", "key = {hex = **** } # x"),
            ("key = 12, x = 1", "key = **, x = 1"),
            ("hex = [0xbe, 0xef], x = 1", "hex = ***********], x = 1"),
            ("0xc0ffee11c0ffee1}}]", "*****************}}]"),
            ("messages = [\"KEY set \\\\be\\\\ef\", \"x\"]", "messages = [\"KEY set ********\", \"x\"]"),
            ("\"key  set beef", "\"key  set ****"),
            ("key = \"wörd\" # x", "key = \"*****\" # x"),
            ("journal_mac = \"hmac(sha256):beef\"", "journal_mac = \"hmac(sha256):****\""),
            ("\"internal_hash:hmac(sha256):beef\"", "\"internal_hash:hmac(sha256):****\""),
        ] {
            assert_eq!(redact_line(line), expected);
        }
    }

    #[test]
    fn words_of_unknown_meaning_hide_long_hex_alone() {
        let key = "0011223344556677889900AABBCCDDeeff".get(..32).unwrap();
        for (word, shown) in [
            (key.to_string(), "<secret>".to_string()),
            (format!("{key}0"), "<secret>".to_string()),
            (key[1..].to_string(), key[1..].to_string()),
            (format!("a:{key}:{key}:8"), "a:<secret>:<secret>:8".to_string()),
            (format!("mac={key},x"), "mac=<secret>,x".to_string()),
            (format!("0x{key}"), "0x<secret>".to_string()),
            (format!("wörd-{key}ö"), "wörd-<secret>ö".to_string()),
            (format!("one {key} two"), "one <secret> two".to_string()),
            (String::new(), String::new()),
        ] {
            assert_eq!(redact_hex(&word), shown);
        }
    }

    #[test]
    fn messages_hide_what_they_quote() {
        let message =
            "`00112233445566aa` is not a device, at most 1801439850948198 of `18014398509481981` are left";
        assert_eq!(redact_quoted(message), message.replace("00112233445566aa", "****************"));
    }

    #[test]
    fn messages_show_the_beginning_of_what_is_long() {
        let long = |part: &str, count: usize| format!("the name `{}` is long", part.repeat(count));
        assert_eq!(redact_quoted(&long("xy", 100)), long("xy", 100));
        let cut = format!("the name `{}... (40000000 characters)` is long", "xü".repeat(100));
        assert_eq!(redact_quoted(&long("xü", 20_000_000)), cut);
        assert_eq!(redact_quoted(&long("\u{41}", 9_000_000)).len(), "the name `` is long".len() + 200 + 24);
        // Backticks in a value: what is between them is taken for the text around it.
        assert!(redact_quoted(&long("x`y", 1)).contains("x`y"));
        assert!(redact_quoted(&format!("`a`{}`", "z".repeat(50_000))).len() < 3000);
    }

    #[test]
    fn what_is_no_secret_stays_readable() {
        for line in [
            "root_hash = \"4392712ba01368efdf14b05c76f9e4df0d53664630b5d48632ed17a137f39076\"",
            "device = \"/dev/disk/by-id/wwn-0x5000c500a1b2c3d4\"",
            "device = \"/dev/disk/by-id/dm-uuid-LVM-0123456789abcdef0123\"",
            "key = { file = \"/etc/dmctl/keys/secret\" }",
            "key settings",
            "the key is set here",
            "device = \"/dev/disk/by-id/nvme-eui.00112233445566778899aabbccddeeff\"",
            "key = \"\"",
            "internal_hash = \"crc32c\"",
            "internal_hash:crc32c",
            "length = 1024, offset = 2048",
            "length = 18014398509481983",
            "=",
            "",
        ] {
            assert_eq!(redact_line(line), line);
        }
    }
}
