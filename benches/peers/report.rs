//! The table of what was measured, and its place in the documentation.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result};

/// What a line says whose promise is not kept.
pub const MISSED: &str = "**no**";

/// What is promised where nothing is.
const NOTHING: &str = "nothing";

/// A line of the table.
pub struct Row {
    what: String,
    promised: String,
    measured: String,
    kept: bool,
    seconds: String,
}

impl Row {
    /// Something that is to be done `least` times as fast as the others do it, if anything is promised.
    pub fn faster(what: String, others: Duration, dmctl: Duration, least: Option<f64>) -> Self {
        let ratio = others.as_secs_f64() / dmctl.as_secs_f64();
        Self {
            what,
            promised: least.map_or_else(|| NOTHING.to_string(), |least| format!("{least}x as fast")),
            measured: format!("{ratio:.2}x as fast"),
            kept: least.is_none_or(|least| ratio >= least),
            seconds: seconds(dmctl, others),
        }
    }

    /// Something that is to take no more than `most` times as long, if anything is promised.
    pub fn longer(what: &str, dmctl: Duration, others: Duration, most: Option<f64>) -> Self {
        let ratio = dmctl.as_secs_f64() / others.as_secs_f64();
        let measured = match (dmctl.is_zero(), others.is_zero()) {
            (true, _) => "no wait".to_string(),
            (false, true) => "a wait, where the others had none".to_string(),
            (false, false) => format!("{ratio:.2}x as long"),
        };
        Self {
            what: what.to_string(),
            promised: most.map_or_else(|| NOTHING.to_string(), |most| format!("at most {most}x as long")),
            measured,
            kept: dmctl.is_zero() || most.is_none_or(|most| ratio <= most),
            seconds: seconds(dmctl, others),
        }
    }
}

fn seconds(dmctl: Duration, others: Duration) -> String {
    format!("{:.3} s, {:.3} s", dmctl.as_secs_f64(), others.as_secs_f64())
}

/// The table, in Markdown. The seconds of both go to standard error, for the person who runs the bench.
pub fn table(rows: &[Row]) -> String {
    let mut text = "| what | promised | measured | kept |\n|---|---|---|---|\n".to_string();
    for row in rows {
        eprintln!("{}: {}", row.what, row.seconds);
        let kept = match row.kept {
            _ if row.promised == NOTHING => "",
            true => "yes",
            false => MISSED,
        };
        let _ = writeln!(text, "| {} | {} | {} | {kept} |", row.what, row.promised, row.measured);
    }
    text
}

/// A document with this table in its place: between two comments that name the kernel.
pub fn replaced(document: &str, kernel: &str, table: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- measured: {kernel} -->\n"), "<!-- end -->");
    let place = || {
        let (before, rest) = document.split_once(&begin)?;
        let (_, after) = rest.split_once(end)?;
        Some(format!("{before}{begin}\n{table}\n{end}{after}"))
    };
    place().with_context(|| format!("no place for {kernel} in the document"))
}
