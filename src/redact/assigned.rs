//! Finds the values that a line assigns to a field that takes a key, however they are written: in quotes, as a number, a
//! date or a bare word, in a list or a table, as the name of an entry, and under a name with a typing mistake.

use std::ops::Range;

use strsim::damerau_levenshtein;

/// Fields whose value is a key.
const KEYS: [&str; 2] = ["key", "hex"];
/// Fields whose text is an algorithm and, in the kernel's own writing, a key behind its colon.
const ALGORITHMS: [&str; 3] = ["internal_hash", "journal_crypt", "journal_mac"];
/// Fields whose value is text in quotes or a list of it: anything else there may be the key of a row.
const ROWS: [&str; 2] = ["params", "messages"];
/// Entries of the table of a key whose text in quotes tells where the key is, and is no key.
const PLACES: [&str; 4] = ["file", "keyring", "credential", "encoding"];
/// Entries of the table of a key that are a number of bytes, and the most digits that such a number has: fewer than a key.
const COUNTS: [&str; 2] = ["bytes", "random"];
const MAX_COUNT_DIGITS: usize = 5;

/// How far before a sign its name begins, in bytes.
const MAX_PATH: usize = 256;

/// The meaning of what is behind a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Key,
    /// An entry of the table of a key: text in quotes is shown.
    Place,
    /// An entry of the table of a key: a short number is shown.
    Count,
    Algorithm,
    Row,
    Other,
}

/// Finds the parts of `line`, or of some lines, that may be a key by the name before them.
pub(super) fn assigned_keys(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, sign) in line.match_indices(['=', ':', '.']) {
        let rest = &line[at + 1..];
        let value = line.len() - rest.trim_start_matches([' ', '\t']).len();
        // Of more signs than one the last is before the value.
        if line[value..].starts_with(['=', ':']) {
            continue;
        }
        let path = path_before(line, at);
        let meaning = meaning(&line[path.clone()]);
        // What is assigned as other languages do is a key just as well; an algorithm has colons of its own.
        if meaning == Meaning::Other || sign != "=" && meaning != Meaning::Key {
            continue;
        }
        // A name goes on behind its dot.
        if sign == "." && rest.starts_with(is_part) {
            hide_name(line, at + 1, &mut found);
        } else {
            hide_value(line, value, meaning, &mut found);
        }
    }
    found
}

/// Tells what the value of a dotted name is.
fn meaning(path: &str) -> Meaning {
    let mut parts = path.split('.').map(unquoted);
    let last = parts.next_back().unwrap_or_default();
    let in_key = parts.any(is_name_of_key);
    match last {
        _ if PLACES.contains(&last) && in_key => Meaning::Place,
        _ if COUNTS.contains(&last) && in_key => Meaning::Count,
        _ if in_key || is_name_of_key(last) => Meaning::Key,
        _ if ALGORITHMS.contains(&last) => Meaning::Algorithm,
        _ if ROWS.contains(&last) => Meaning::Row,
        _ => Meaning::Other,
    }
}

/// Tells whether a field of this name takes a key, or was meant to: a name that is mistyped has the key all the same.
pub(crate) fn is_name_of_key(name: &str) -> bool {
    // The longest name that can be meant; a longer one is not compared.
    if !(2..=32).contains(&name.len()) {
        return false;
    }
    let name = name.to_ascii_lowercase();
    KEYS.iter().any(|key| damerau_levenshtein(&name, key) <= 1)
        || name.ends_with("key") | name.ends_with("keys") | name.ends_with("hex") | name.starts_with("hex")
}

/// Hides the part at `at` of a dotted name, below a key, where it can't be an entry of one: `key.0011 = 1`.
fn hide_name(line: &str, at: usize, found: &mut Vec<Range<usize>>) {
    let end = line[at..].find(|c| c == '.' || !is_part(c)).map_or(line.len(), |length| at + length);
    if !is_entry(unquoted(&line[at..end])) {
        found.push(at..end);
    }
}

/// Tells whether a name in the table of a key is one of its entries, or a word with a mistake in it: a key has digits.
pub(crate) fn is_entry(name: &str) -> bool {
    name.len() <= 16 && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}

/// Hides the value that begins at `at`, and all of a list or a table that is a key.
fn hide_value(line: &str, at: usize, meaning: Meaning, found: &mut Vec<Range<usize>>) {
    let end = value_end(line, at);
    let value = &line[at..end];
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    match (meaning, quote) {
        (Meaning::Place | Meaning::Row, Some(_)) => {}
        (Meaning::Row, None) if value.starts_with('[') => {}
        (Meaning::Count | Meaning::Row, None) if value.len() <= MAX_COUNT_DIGITS && is_number(value) => {}
        (Meaning::Algorithm, None) if value.starts_with('{') => {}
        (Meaning::Algorithm, _) => {
            let end = at + value.trim_end_matches(['"', '\'']).len();
            found.extend(line[at..end].find(':').map(|colon| at + colon + 1..end));
        }
        (_, Some(quote)) => found.push(inside_of_quotes(line, at..end, quote)),
        (_, None) if value.starts_with('{') => hide_entries(line, at + 1..end, found),
        // The bracket that closes a list is left: a reader sees where it ends.
        (_, None) if value.starts_with('[') && value.ends_with(']') => found.push(at..end - 1),
        (_, None) => found.push(at..end),
    }
}

/// Hides the entries of a table that is a key, but for its places: those names that can't be entries, and every value.
fn hide_entries(line: &str, table: Range<usize>, found: &mut Vec<Range<usize>>) {
    let mut at = table.start;
    while at < table.end {
        let end = value_end(line, at).min(table.end);
        let entry = &line[at..end];
        let (name, value) = entry.split_once('=').map_or((entry, None), |(name, value)| (name, Some(value)));
        let last = name.rsplit('.').next().map_or("", |last| unquoted(last.trim()));
        if !name.split('.').all(|part| is_entry(unquoted(part.trim()))) {
            found.push(at..at + name.len());
        }
        if let Some(value) = value {
            let start = end - value.trim_start().len();
            let meaning = match last {
                _ if PLACES.contains(&last) => Meaning::Place,
                _ if COUNTS.contains(&last) => Meaning::Count,
                _ => Meaning::Key,
            };
            hide_value(line, start, meaning, found);
        }
        // At least the comma, and what else ends a value and is none.
        at = end.max(at) + line[end.max(at)..].chars().next().map_or(1, char::len_utf8);
    }
}

/// Returns the inside of the quotes at the beginning of `value`; what is behind them belongs to it where it is not closed once.
fn inside_of_quotes(line: &str, value: Range<usize>, quote: char) -> Range<usize> {
    let text = &line[value.clone()];
    let start = value.start + (text.len() - text.trim_start_matches(quote).len());
    if start >= value.end {
        return value.end..value.end;
    }
    let closed = text.ends_with(quote);
    let length = if closed { text.trim_end_matches(quote).len() } else { text.len() };
    start..value.start + length
}

/// Returns the end of the value at `at`: before the comma, the bracket, the comment or the line end behind it, outside of
/// quotes and of brackets of its own.
fn value_end(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let (mut end, mut depth) = (at, 0_usize);
    while let Some(byte) = bytes.get(end) {
        match byte {
            b'"' | b'\'' => {
                end = quotes_end(text, end);
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' | b',' | b'#' | b'\n' if depth == 0 => break,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        end += 1;
    }
    trimmed(text, at, end.min(text.len()) - at)
}

/// Returns the place behind the text in quotes that opens at `at`. One pair of quotes ends with its line, three go on.
fn quotes_end(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let quote = bytes[at];
    let long = bytes[at..].starts_with(&[quote; 3]);
    let close = if long { &bytes[at..at + 3] } else { &bytes[at..=at] };
    let mut end = at + close.len();
    while end < bytes.len() {
        match bytes[end] {
            b'\\' if quote == b'"' => end += 2,
            b'\n' if !long => return end,
            _ if bytes[end..].starts_with(close) => return end + close.len(),
            _ => end += 1,
        }
    }
    text.len()
}

fn trimmed(line: &str, at: usize, length: usize) -> usize {
    at + line[at..at + length].trim_end().len()
}

/// Returns the place of the dotted name, with its quotes, that ends before the sign at `at`.
fn path_before(line: &str, at: usize) -> Range<usize> {
    let far = (at.saturating_sub(MAX_PATH)..=at).find(|far| line.is_char_boundary(*far)).unwrap_or(at);
    let near = &line[far..at];
    let end = near.trim_end_matches(['=', ':', ' ', '\t']).len();
    let start = near[..end].trim_end_matches(is_part).len();
    far + start..far + end
}

/// Tells whether a character may be in a dotted name, with its quotes, or was meant to.
fn is_part(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '.' | '"' | '\'')
}

fn unquoted(name: &str) -> &str {
    name.trim_matches(['"', '\''])
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
