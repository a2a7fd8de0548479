//! Text that is built piece by piece, and lines that fit a terminal.
//!
//! [`push!`] and [`push_line!`] are how text is appended to a `String`: `write!` does the same, with an error to ignore
//! that can't occur.

use std::iter;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Appends to a `String` what `format!` would make of the rest.
macro_rules! push {
    ($text:expr, $($format:tt)+) => {{
        use std::fmt::Write as _;
        // Writing to a String cannot fail.
        let _ = write!($text, $($format)+);
    }};
}

/// Appends as [`push!`] does, with the end of a line after it.
macro_rules! push_line {
    ($text:expr, $($format:tt)+) => {{
        use std::fmt::Write as _;
        // Writing to a String cannot fail.
        let _ = writeln!($text, $($format)+);
    }};
}
pub(crate) use {push, push_line};

/// Counts the columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

/// Pads `text` with blanks up to `columns`.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    let mut padded = String::with_capacity(columns.max(text.len()));
    push_padded(&mut padded, text, columns);
    padded
}

/// Appends `text` to a line, and blanks up to `columns`.
pub(crate) fn push_padded(line: &mut String, text: &str, columns: usize) {
    line.push_str(text);
    line.extend(iter::repeat_n(' ', columns.saturating_sub(width(text))));
}

/// Writes a line for each row, with its cells in columns.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let widest = |column: usize| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(widest);
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            push_padded(&mut line, cell, width);
            line.push_str("  ");
        }
        push_line!(text, "{}", line.trim_end());
    }
    text
}

/// Cuts `text` at blanks into lines of at most `columns`; a word that is longer is cut where it must be.
pub(crate) fn wrap(text: &str, columns: Option<usize>) -> Vec<String> {
    let Some(columns) = columns else { return vec![text.to_string()] };
    let columns = columns.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_inclusive(' ') {
        if !line.is_empty() && width(&line) + width(word.trim_end()) > columns {
            lines.push(std::mem::take(&mut line).trim_end().to_string());
        }
        for character in word.chars() {
            let columns_needed = character.width().unwrap_or(0);
            if character != ' ' && !line.is_empty() && width(&line) + columns_needed > columns {
                lines.push(std::mem::take(&mut line).trim_end().to_string());
            }
            line.push(character);
        }
    }
    lines.push(line.trim_end().to_string());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_blanks_and_words_only_where_they_must() {
        assert_eq!(wrap("one two three", Some(7)), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh i", Some(3)), ["abc", "def", "gh", "i"]);
        assert_eq!(wrap("one  two", None), ["one  two"]);
        assert_eq!(wrap("", Some(5)), [""]);
        assert_eq!(wrap("漢字 漢字", Some(5)), ["漢字", "漢字"]);
    }
}
