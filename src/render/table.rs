//! The rows of the tables of a step: those that stay, those that go and those that come, in columns.

use crate::identity::printable;
use crate::plan::document::{Row, Step};
use crate::targets::MAX_TYPE;

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
    let kind = signed.iter().map(|(_, row)| row.kind.chars().count()).max().unwrap_or(0).min(MAX_TYPE);
    let line = |sign: char, row: &Row| {
        let text =
            format!("{:<start$} {:<length$} {:<kind$} {}", row.start, row.length, row.kind, row.shown());
        Line { sign, text: printable(text.trim_end()).into_owned() }
    };
    shortened(&signed, line)
}

/// Both tables as one, in order. A row is the same only where it starts at the same sector, so one pass over
/// both is enough; between two rows that stay, those that go come before those that come.
fn signed<'r>(new: &'r [Row], old: &'r [Row]) -> Vec<(char, &'r Row)> {
    let mut signed = Vec::with_capacity(new.len().max(old.len()));
    let mut coming = Vec::new();
    let (mut new, mut old) = (new.iter().peekable(), old.iter().peekable());
    loop {
        match (new.peek(), old.peek()) {
            (Some(one), Some(two)) if one.line() == two.line() => {
                signed.append(&mut coming);
                signed.extend(new.next().map(|row| (' ', row)));
                old.next();
            }
            (Some(one), Some(two)) if one.start < two.start => {
                coming.extend(new.next().map(|row| ('+', row)));
            }
            (_, Some(_)) => signed.extend(old.next().map(|row| ('-', row))),
            (Some(_), None) => coming.extend(new.next().map(|row| ('+', row))),
            (None, None) => break,
        }
    }
    signed.append(&mut coming);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::parse_table;

    fn table(text: &str) -> Vec<Row> {
        Row::live(&parse_table(text).unwrap())
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
        let rows: String = (0..100).map(|n| format!("{} 8 zero\n", n * 8)).collect();
        let rows = table(&rows);
        let signed: Vec<_> = rows.iter().map(|row| (' ', row)).collect();
        let lines = shortened(&signed, |sign, row| Line { sign, text: row.line() });
        assert_eq!(lines.len(), 7);
        assert_eq!(lines[3].text, "... 94 more rows that stay");
    }
}
