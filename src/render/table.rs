//! Compares the tables of a step: the rows that stay, that go and that come, in columns.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use crate::identity::printable;
use crate::plan::document::{RowData, Step};
use crate::targets::MAX_TYPE;

/// The longest run of rows that stay which is drawn whole.
const MAX_RUN: usize = 8;
/// The rows that are drawn at each end of a longer run.
const EDGE: usize = 3;
/// The most rows that are compared one by one: that takes time in proportion to the square of the rows that differ.
const MAX_COMPARED: usize = 5000;

/// A line of a drawing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// `+` for a row that comes, `-` for one that goes, a blank for one that stays.
    pub sign: char,
    /// The row, its columns aligned with those of the other lines.
    pub text: String,
}

/// Returns the lines for the tables of a step; empty for a step that does not load a table.
pub(crate) fn lines(step: &Step) -> Vec<Line> {
    let Some(new) = &step.table else { return Vec::new() };
    let old = step.old_table.as_deref().unwrap_or_default();
    let signed = signed(new, old);
    let widest =
        |number: fn(&RowData) -> u64| signed.iter().map(|(_, row)| digits(number(row))).max().unwrap_or(0);
    let (start, length) = (widest(|row| row.start), widest(|row| row.length));
    let kind = signed.iter().map(|(_, row)| row.kind.chars().count()).max().unwrap_or(0).min(MAX_TYPE);
    let line = |sign: char, row: &RowData| {
        let text =
            format!("{:<start$} {:<length$} {:<kind$} {}", row.start, row.length, row.kind, row.shown());
        Line { sign, text: printable(text.trim_end()).into_owned() }
    };
    shortened(&signed, line)
}

/// Counts the decimal digits of a number.
fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |power| power as usize + 1)
}

/// Merges both tables in order: the rows that stay, and between them those that go before those that come.
fn signed<'r>(new: &'r [RowData], old: &'r [RowData]) -> Vec<(char, &'r RowData)> {
    if old.is_empty() {
        return new.iter().map(|row| ('+', row)).collect();
    }
    let lines = |rows: &[RowData]| rows.iter().map(RowData::line).collect::<Vec<_>>();
    let mut signed = Vec::with_capacity(new.len().max(old.len()));
    for op in changes(&lines(old), &lines(new)) {
        if let DiffOp::Equal { .. } = op {
            signed.extend(new[op.new_range()].iter().map(|row| (' ', row)));
        } else {
            signed.extend(old[op.old_range()].iter().map(|row| ('-', row)));
            signed.extend(new[op.new_range()].iter().map(|row| ('+', row)));
        }
    }
    signed
}

/// Finds the changes from one table to the other. Tables with too many rows, which a plan from a file may hold, go and
/// come as a whole.
fn changes(old: &[String], new: &[String]) -> Vec<DiffOp> {
    if old != new && old.len().max(new.len()) > MAX_COMPARED {
        return vec![DiffOp::Replace { old_index: 0, old_len: old.len(), new_index: 0, new_len: new.len() }];
    }
    capture_diff_slices(Algorithm::Patience, old, new)
}

/// Draws the lines, and counts the middle rows of a long run that stays.
fn shortened(signed: &[(char, &RowData)], line: impl Fn(char, &RowData) -> Line) -> Vec<Line> {
    let mut lines = Vec::new();
    for run in signed.chunk_by(|(one, _), (two, _)| one == two) {
        let draw =
            |part: &[(char, &RowData)]| part.iter().map(|(sign, row)| line(*sign, row)).collect::<Vec<_>>();
        if run[0].0 != ' ' || run.len() <= MAX_RUN {
            lines.extend(draw(run));
            continue;
        }
        lines.extend(draw(&run[..EDGE]));
        let left_out = run.len() - 2 * EDGE;
        lines.push(Line { sign: ' ', text: format!("... {left_out} more rows that stay") });
        lines.extend(draw(&run[run.len() - EDGE..]));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::parse_table;

    fn table(text: &str) -> Vec<RowData> {
        RowData::live(&parse_table(text).unwrap().into())
    }

    fn drawn(old: &str, new: &str) -> String {
        let (old, new) = (table(old), table(new));
        signed(&new, &old)
            .iter()
            .map(|(sign, row)| format!("{sign}{}:{}", row.start, row.length))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn rows_that_go_come_first() {
        let old = "0 8 zero\n8 8 error\n16 8 zero\n24 8 zero";
        assert_eq!(drawn(old, old), " 0:8  8:8  16:8  24:8");
        assert_eq!(drawn(old, "0 8 zero\n8 16 linear 8:0 0\n24 8 zero"), " 0:8 -8:8 -16:8 +8:16  24:8");
        assert_eq!(drawn("0 8 zero", "0 8 zero\n8 8 zero"), " 0:8 +8:8");
        assert_eq!(drawn("0 8 zero\n8 8 zero", "0 16 zero"), "-0:8 -8:8 +0:16");
    }

    #[test]
    fn a_long_run_that_stays_is_counted() {
        let rows: Vec<String> = (0..100).map(|n| format!("{} 8 zero", n * 8)).collect();
        let rows = table(&rows.join("\n"));
        let signed: Vec<_> = rows.iter().map(|row| (' ', row)).collect();
        let lines = shortened(&signed, |sign, row| Line { sign, text: row.line() });
        assert_eq!(lines.len(), 7);
        assert_eq!(lines[3].text, "... 94 more rows that stay");
    }
}
