//! The rows of the tables of a step: those that stay, those that go and those that come, in columns.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use crate::identity::printable;
use crate::plan::document::{Row, Step};

/// Of more rows in a run that stays, only the first and the last few are drawn.
const LONG_RUN: usize = 8;
/// How many of them.
const EDGE: usize = 3;

/// One line of a drawing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `+` for a row that comes, `-` for one that goes, a blank for one that stays.
    pub sign: char,
    /// The row, its columns aligned with those of the other lines.
    pub text: String,
}

/// The lines of a step's tables. Nothing for a step that loads none.
pub fn lines(step: &Step) -> Vec<Line> {
    let Some(new) = &step.table else { return Vec::new() };
    let old = step.old_table.as_deref().unwrap_or_default();
    let signed = signed(new, old);
    let widest = |text: fn(&Row) -> String| signed.iter().map(|(_, row)| text(row).len()).max().unwrap_or(0);
    let (start, length) = (widest(|row| row.start.to_string()), widest(|row| row.length.to_string()));
    let kind = signed.iter().map(|(_, row)| row.kind.chars().count()).max().unwrap_or(0);
    let line = |sign: char, row: &Row| {
        let text =
            format!("{:<start$} {:<length$} {:<kind$} {}", row.start, row.length, row.kind, row.shown());
        Line { sign, text: printable(text.trim_end()).into_owned() }
    };
    shortened(&signed, line)
}

/// Both tables as one, in order.
fn signed<'r>(new: &'r [Row], old: &'r [Row]) -> Vec<(char, &'r Row)> {
    let compared = |rows: &[Row]| rows.iter().map(Row::line).collect::<Vec<_>>();
    let mut signed = Vec::with_capacity(new.len());
    for op in capture_diff_slices(Algorithm::Myers, &compared(old), &compared(new)) {
        if let DiffOp::Equal { .. } = op {
            signed.extend(new[op.new_range()].iter().map(|row| (' ', row)));
        } else {
            signed.extend(old[op.old_range()].iter().map(|row| ('-', row)));
            signed.extend(new[op.new_range()].iter().map(|row| ('+', row)));
        }
    }
    signed
}

/// The lines, with the middle of long runs that stay left out and counted.
fn shortened(signed: &[(char, &Row)], line: impl Fn(char, &Row) -> Line) -> Vec<Line> {
    let mut lines = Vec::new();
    for run in signed.chunk_by(|(one, _), (two, _)| one == two) {
        let draw =
            |part: &[(char, &Row)]| part.iter().map(|(sign, row)| line(*sign, row)).collect::<Vec<_>>();
        if run[0].0 != ' ' || run.len() <= LONG_RUN {
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
