//! Parses text as TOML, within bounds.
//!
//! A map is written by hand, and now and then it is 64 MiB of garbage from a program. The cost of refusing
//! that is bounded before the parser sees it: nesting, by counting brackets, and a large file that can't be a
//! map, by its beginning.

use std::ops::Range;

use toml::de::{DeTable, Error};

use super::diagnostic::{Diagnostic, Diagnostics};

/// The deepest nesting of arrays and tables. The parser's own limit is a little higher.
const MAX_DEPTH: usize = 64;
/// The largest file, in bytes, of which every error is looked for; of a larger one, only the first is.
const MAX_RECOVERED: usize = 4 << 20;
/// How many bytes of a larger file are parsed by themselves before the whole is.
const BEGINNING_BYTES: usize = 1 << 20;

/// The message of the parser for a key or a table that is defined already.
const DUPLICATE: &str = "duplicate key";
/// The most times that the first of two definitions is looked for.
const MAX_LOOKUPS: usize = 5;

/// Looks over the text of file number `file`; returns `None` when it nests too deep for a map.
pub(super) fn outline(file: usize, text: &str, diagnostics: &mut Diagnostics) -> Option<Outline> {
    let outline = Outline::of(text);
    if let Some(at) = outline.too_deep {
        diagnostics.push(
            Diagnostic::error(format!("arrays and tables stand more than {MAX_DEPTH} deep in one another"))
                .at((file, at..at + 1))
                .label("one too many opens here"),
        );
        return None;
    }
    Some(outline)
}

/// Parses the text of file number `file`; returns `None` when it is not TOML.
pub(super) fn parse<'i>(
    file: usize,
    text: &'i str,
    outline: &Outline,
    diagnostics: &mut Diagnostics,
) -> Option<DeTable<'i>> {
    if text.len() > MAX_RECOVERED && !begins_well(file, text, outline.cut, diagnostics) {
        return None;
    }
    let error = match DeTable::parse(text) {
        Ok(document) => return Some(document.into_inner()),
        Err(error) => error,
    };
    let errors = if text.len() <= MAX_RECOVERED { DeTable::parse_recoverable(text).1 } else { vec![error] };
    let mut lookups = MAX_LOOKUPS;
    let mut repeated = 0..0;
    for error in errors {
        // A table defined twice has every key twice; that is not reported again.
        let at = error.span().map_or(0, |span| span.start);
        if error.message() == DUPLICATE {
            if repeated.contains(&at) {
                continue;
            }
            repeated = table_from(text, at);
        }
        // Counted, where it would not be shown anyway.
        let diagnostic = if diagnostics.is_full() {
            Diagnostic::error(error.message())
        } else {
            describe(file, text, &error, &mut lookups)
        };
        diagnostics.push(diagnostic);
    }
    None
}

/// Tells whether the beginning of a large file looks like a map.
fn begins_well(file: usize, text: &str, cut: usize, diagnostics: &mut Diagnostics) -> bool {
    if !text.contains("format") {
        diagnostics.push(
            Diagnostic::error("`format` is missing")
                .at((file, 0..0))
                .label("no map starts like this")
                .help("write `format = 1` at the top"),
        );
        return false;
    }
    match DeTable::parse(&text[..cut]) {
        Ok(_) => true,
        Err(error) => {
            diagnostics.push(describe(file, text, &error, &mut 0));
            false
        }
    }
}

/// The findings from the brackets and quotes of a text, without parsing it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outline {
    /// The place of the first bracket that opens too deep.
    too_deep: Option<usize>,
    /// The end of a line near the end of the beginning, outside of all brackets and quotes; 0 when there is
    /// not such a line.
    cut: usize,
}

impl Outline {
    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let (mut at, mut depth, mut cut) = (0, 0_usize, 0);
        // A dotted key nests as well: `a.b.c` is a table in a table.
        let mut dots = 0;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'.' => {
                    dots += 1;
                    if dots > MAX_DEPTH {
                        return Self { too_deep: Some(at), cut };
                    }
                    at += 1;
                    continue;
                }
                b'=' | b',' | b'\n' | b'[' | b'{' => dots = 0,
                _ => {}
            }
            match byte {
                b'#' => at += bytes[at..].iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len() - at),
                b'"' | b'\'' => at = after_quotes(bytes, at),
                b'[' | b'{' => {
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return Self { too_deep: Some(at), cut };
                    }
                    at += 1;
                }
                b']' | b'}' => {
                    depth = depth.saturating_sub(1);
                    at += 1;
                }
                b'\n' => {
                    at += 1;
                    if depth == 0 && at <= BEGINNING_BYTES {
                        cut = at;
                    }
                }
                _ => at += 1,
            }
        }
        Self { too_deep: None, cut }
    }
}

/// Returns the first byte after the text that opens at `at`. Text of one line ends with the line at the
/// latest.
fn after_quotes(bytes: &[u8], at: usize) -> usize {
    let quote = bytes[at];
    let long = bytes[at..].starts_with(&[quote; 3]);
    let mut end = at + if long { 3 } else { 1 };
    while let Some(byte) = bytes.get(end) {
        match byte {
            b'\\' if quote == b'"' => end += 2,
            b'\n' if !long => return end,
            byte if *byte == quote && !long => return end + 1,
            byte if *byte == quote && bytes[end..].starts_with(&[quote; 3]) => {
                // Up to two quotes may come before the three that close.
                let run = bytes[end..].iter().take(5).take_while(|byte| **byte == quote).count();
                return end + run;
            }
            _ => end += 1,
        }
    }
    bytes.len()
}

/// Makes a diagnostic of an error of the parser, with its place, and the other place where a key is written
/// twice.
fn describe(file: usize, text: &str, error: &Error, lookups: &mut usize) -> Diagnostic {
    let span = error.span().unwrap_or_default();
    if error.message() == DUPLICATE {
        return describe_duplicate(file, text, span, lookups);
    }
    let (message, expected) = match error.message().split_once(", expected ") {
        Some((message, expected)) => (message, Some(expected)),
        None => (error.message(), None),
    };
    let diagnostic = Diagnostic::error(message).at((file, span));
    match expected {
        Some("nothing") => diagnostic.label("nothing may stand here"),
        Some(expected) => diagnostic.label(format!("expected {expected}")),
        None => diagnostic,
    }
}

fn describe_duplicate(file: usize, text: &str, span: Range<usize>, lookups: &mut usize) -> Diagnostic {
    let key = text.get(span.clone()).unwrap_or_default();
    let second = Diagnostic::error(format!("`{key}` is defined twice"))
        .at((file, span.clone()))
        .label("defined again here");
    let first = if *lookups > 0 { first_definition(text, &span) } else { None };
    *lookups = lookups.saturating_sub(1);
    match first {
        Some(first) => second.related((file, first), "first defined here"),
        None => second.help("write each key, and each `[table]`, once"),
    }
}

/// Returns the text of a table from its header at `at` to the next header; empty when there is not a header
/// at `at`.
fn table_from(text: &str, at: usize) -> Range<usize> {
    if !line_at(text, at).trim_start().starts_with('[') {
        return 0..0;
    }
    at..text[at..].find("\n[").map_or(text.len(), |length| at + length)
}

/// Returns the line around `at`.
fn line_at(text: &str, at: usize) -> &str {
    let start = text[..at].rfind('\n').map_or(0, |at| at + 1);
    text[start..].lines().next().unwrap_or_default()
}

/// Finds the first definition of the key or the table that is defined again at `span`.
fn first_definition(text: &str, span: &Range<usize>) -> Option<Range<usize>> {
    let before = text.get(..span.start)?;
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    if line_at(text, span.start).trim_start().starts_with('[') {
        return first_table(text, line_start);
    }
    // A key of this table: a line above, not further up than the header, that begins with it.
    let key = &text[span.clone()];
    let table = before[..line_start].rfind("\n[").map_or(0, |at| at + 1);
    let mut at = table;
    before[table..line_start].split_inclusive('\n').find_map(|line| {
        let start = at + (line.len() - line.trim_start().len());
        at += line.len();
        let rest = line.trim_start().strip_prefix(key)?;
        rest.trim_start().starts_with(['=', '.']).then(|| start..start + key.len())
    })
}

/// Finds the first definition of the table whose header is in the line at `line_start`.
fn first_table(text: &str, line_start: usize) -> Option<Range<usize>> {
    let header = DeTable::parse(line_at(text, line_start)).ok()?;
    let mut path = Vec::new();
    let mut table = header.get_ref();
    while let Some((key, value)) = table.iter().next() {
        path.push(key.get_ref().as_ref());
        let Some(next) = value.get_ref().as_table() else { break };
        table = next;
    }
    // The text before this line is known to be right but for other keys defined twice.
    let before = DeTable::parse_recoverable(text.get(..line_start)?).0;
    let (last, parents) = path.split_last()?;
    let parent =
        parents.iter().try_fold(before.get_ref(), |table, key| table.get(*key)?.get_ref().as_table())?;
    parent.get_key_value(*last).map(|(key, _)| key.span())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_error(text: &str) -> Option<Diagnostic> {
        let mut diagnostics = Diagnostics::default();
        let outline = outline(0, text, &mut diagnostics);
        let document = outline.and_then(|outline| parse(0, text, &outline, &mut diagnostics));
        assert_eq!(document.is_some(), diagnostics.is_usable());
        diagnostics.iter().next().cloned()
    }

    #[test]
    fn quotes_and_comments_hide_brackets() {
        for text in
            ["# [[[\n", "a = \"[[[ \\\" [\"", "a = '[[['", "a = \"\"\"[\"\" [ \\\"\"\"\"", "a = '''[ ' ['''"]
        {
            let deep = text.replace('[', &"[".repeat(100));
            assert_eq!(Outline::of(&deep).too_deep, None, "{text}");
        }
        assert_eq!(Outline::of(&"[".repeat(100)).too_deep, Some(64));
        assert_eq!(Outline::of(&"a.".repeat(100)).too_deep, Some(129));
        assert_eq!(Outline::of(&"a.b = 1.5\n".repeat(100)).too_deep, None);
        assert_eq!(Outline::of("a = [\n1,\n]\nb").cut, 11);
    }

    #[test]
    fn nesting_is_bounded() {
        let text = format!("a = {}{}", "[".repeat(64), "]".repeat(64));
        assert!(first_error(&text).is_none());
        let text = format!("a = {}{}", "{a=".repeat(5000), "}".repeat(5000));
        assert!(first_error(&text).unwrap().message.contains("more than 64 deep"));
    }

    #[test]
    fn a_table_defined_twice_names_both_places() {
        let error = first_error("[mappings.a]\n[mappings.b]\n[mappings.\"a\"]\n").unwrap();
        assert_eq!(error.related[0].0, (0, 10..11).into());
        let error = first_error("a = 1\n[t]\n  b.c = 1\nbb = 1\nb = 2\n").unwrap();
        assert_eq!(error.related[0].0, (0, 12..13).into());
    }
}
