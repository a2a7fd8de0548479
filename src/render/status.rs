//! Draws the status of mappings as text.

use anstyle::AnsiColor;

use super::ColorMode;
use crate::identity::printable;
use crate::status::{Entry, Word};
use crate::text::push_line;

/// Draws a line for each mapping: its name, its status in one word, how the device fares where it is
/// not `ok`, and the differences.
pub fn text(entries: &[Entry], mode: ColorMode) -> String {
    let widest = entries.iter().map(|entry| entry.name.to_string().chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for entry in entries {
        let colour = match entry.word {
            Word::InSync | Word::Up if entry.fares.is_unwell() => AnsiColor::Yellow,
            Word::InSync | Word::Up => AnsiColor::Green,
            Word::Missing | Word::Suspended | Word::Foreign => AnsiColor::Red,
            Word::Drifted | Word::Pending | Word::Leftover | Word::Unknown => AnsiColor::Yellow,
        };
        let word = mode.with(&format!("{:<9}", entry.word.name()), colour);
        let number = entry.number.map(|number| number.to_string()).unwrap_or_default();
        let fares = entry.fares.to_string();
        let remarks: Vec<String> = Some(fares)
            .filter(|fares| !fares.is_empty())
            .into_iter()
            .chain(entry.remarks.iter().map(ToString::to_string))
            .collect();
        let line =
            format!("{:<widest$}  {word}  {number:<7}  {}", entry.name, printable(&remarks.join("; ")));
        push_line!(out, "{}", line.trim_end());
    }
    out
}
