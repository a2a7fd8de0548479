//! The line of a file that an error shows: cut to what can be read, keys hidden, nothing in it that could
//! move a cursor.

use std::fmt;
use std::ops::Range;

use unicode_width::UnicodeWidthStr;

use crate::identity::printable;
use crate::redact::redact_line;

/// The most characters of a line that are shown before the mark, marked, and after it.
const MAX_BEFORE: usize = 60;
const MAX_MARKED: usize = 80;
const MAX_AFTER: usize = 50;
/// How far beyond the shown part a key is looked for, in bytes.
const MAX_AROUND: usize = 4096;

/// A line with a mark in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted in characters from 1.
    pub column: usize,
    /// The part of the line to show.
    pub text: String,
    /// The bytes of `text` to mark.
    pub mark: Range<usize>,
}

impl Excerpt {
    /// Takes the excerpt at a line and a column, both counted from 1, the column in bytes.
    pub(crate) fn of_place(text: &str, line: usize, column: usize) -> Self {
        let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let at = before.saturating_add(column.saturating_sub(1)).min(text.len());
        Self::of(text, &(at..at.saturating_add(1)))
    }

    /// Takes the first line of `span`.
    pub(crate) fn of(text: &str, span: &Range<usize>) -> Self {
        let start = floor(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line_end = line_start + text[line_start..line_end].trim_end_matches('\r').len();
        let start = start.min(line_end);
        let end = floor(text, span.end).clamp(start, line_end);
        let line = text[..line_start].matches('\n').count() + 1;
        let column = text[line_start..start].chars().count() + 1;

        let window = back(text, line_start, start, MAX_BEFORE)
            ..forth(text, line_end, forth(text, end, start, MAX_MARKED), MAX_AFTER);
        let marked = start..forth(text, end, start, MAX_MARKED);
        let redacted = Redacted::new(text, line_start..line_end, &window);
        let mut shown = String::new();
        if window.start > line_start {
            shown.push_str("...");
        }
        shown.push_str(&readable(redacted.slice(window.start..marked.start)));
        let mark_start = shown.len();
        shown.push_str(&readable(redacted.slice(marked.clone())));
        let mark = mark_start..shown.len();
        shown.push_str(&readable(redacted.slice(marked.end..window.end)));
        if window.end < line_end {
            shown.push_str("...");
        }
        Self { line, column, text: shown, mark }
    }
}

/// A part of a line with its keys hidden.
struct Redacted {
    text: String,
    start: usize,
}

impl Redacted {
    fn new(text: &str, line: Range<usize>, window: &Range<usize>) -> Self {
        let start = floor(text, window.start.saturating_sub(MAX_AROUND));
        // The lines before tell whether this one is within the value of a key.
        let start = match text[start..line.start.max(start)].find('\n') {
            Some(at) => start + at + 1,
            None => start,
        };
        let end = floor(text, window.end.saturating_add(MAX_AROUND)).min(line.end);
        Self { text: redact_line(&text[start..end]), start }
    }

    /// Returns the part at `range` of the whole text. A mark may end inside of a hidden character.
    fn slice(&self, range: Range<usize>) -> &str {
        let (start, end) =
            (floor(&self.text, range.start - self.start), floor(&self.text, range.end - self.start));
        self.text.get(start..end).unwrap_or_default()
    }
}

/// Replaces tabs with blanks, and characters that could move a cursor with escapes.
fn readable(text: &str) -> String {
    printable(&text.replace('\t', "    ")).into_owned()
}

/// Returns the boundary of a character at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Returns the place `count` characters back from `from`, not further than `limit`.
fn back(text: &str, limit: usize, from: usize, count: usize) -> usize {
    text[limit..from].char_indices().rev().take(count).last().map_or(from, |(at, _)| limit + at)
}

/// Returns the place `count` characters on from `from`, not further than `limit`.
fn forth(text: &str, limit: usize, from: usize, count: usize) -> usize {
    text[from..limit].char_indices().nth(count).map_or(limit, |(at, _)| from + at)
}

impl fmt::Display for Excerpt {
    /// Draws the line with a mark below it, as errors show it; begins with a line end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let before = " ".repeat(self.text[..self.mark.start].width());
        let mark = "^".repeat(self.text[self.mark.clone()].width().max(1));
        write!(f, "\n{margin} |\n{number} | {}\n{margin} | {before}{mark}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_line_is_shown_whole() {
        let text = "one\ntwo = 3\r\nfour";
        let excerpt = Excerpt::of(text, &(10..11));
        assert_eq!((excerpt.line, excerpt.column, excerpt.text.as_str()), (2, 7, "two = 3"));
        assert_eq!(&excerpt.text[excerpt.mark], "3");
        let end = Excerpt::of(text, &(text.len()..text.len()));
        assert_eq!((end.line, end.column), (3, 5));
        let past = Excerpt::of(text, &(99..200));
        assert_eq!((past.line, past.column), (3, 5));
    }

    #[test]
    fn a_long_line_is_cut_around_the_mark() {
        let text = format!("{}X{}", "a".repeat(5000), "b".repeat(5000));
        let excerpt = Excerpt::of(&text, &(5000..5001));
        assert_eq!(excerpt.column, 5001);
        assert_eq!(&excerpt.text[excerpt.mark.clone()], "X");
        assert!(
            excerpt.text.len() < 200 && excerpt.text.starts_with("...a") && excerpt.text.ends_with("b...")
        );
    }

    #[test]
    fn a_mark_over_lines_ends_with_its_line() {
        let excerpt = Excerpt::of("x = [\n1,\n2]", &(4..11));
        assert_eq!(&excerpt.text[excerpt.mark], "[");
    }

    #[test]
    fn nothing_moves_the_cursor_and_no_key_is_shown() {
        let text = "a\t= \"\u{1b}[2J\u{202e}\" # ü";
        let excerpt = Excerpt::of(text, &(4..text.len()));
        assert!(excerpt.text.contains("\\u{1b}[2J\\u{202e}"), "{}", excerpt.text);
        assert_eq!(excerpt.column, 5);
        let long = format!("params = \"{} 0011223344556677{} \u{e9}\"", "x ".repeat(200), "8".repeat(300));
        for at in 0..long.len() {
            assert!(!Excerpt::of(&long, &(at..at + 9)).text.contains("7888"));
        }
    }
}
