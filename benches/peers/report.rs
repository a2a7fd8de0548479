//! The table of what was measured, and its place in the documentation.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result};

/// What a line says whose promise is not kept.
pub const MISSED: &str = "**no**";

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
            promised: least.map_or_else(|| "nothing".to_string(), |least| format!("{least}x as fast")),
            measured: format!("{ratio:.2}x as fast"),
            kept: least.is_none_or(|least| ratio >= least),
            seconds: seconds(dmctl, others),
        }
    }

    /// Something that is to take no more than `most` times as long.
    pub fn longer(what: &str, dmctl: Duration, others: Duration, most: f64) -> Self {
        let ratio = dmctl.as_secs_f64() / others.as_secs_f64();
        Self {
            what: what.to_string(),
            promised: format!("at most {most}x as long"),
            measured: format!("{ratio:.2}x as long"),
            kept: ratio <= most,
            seconds: seconds(dmctl, others),
        }
    }
}

fn seconds(dmctl: Duration, others: Duration) -> String {
    format!("{:.3} s, {:.3} s", dmctl.as_secs_f64(), others.as_secs_f64())
}

/// The table, in Markdown. The seconds of both are for whoever runs the bench, and go to standard error.
pub fn table(rows: &[Row]) -> String {
    let mut text = "| what | promised | measured | kept |\n|---|---|---|---|\n".to_string();
    for row in rows {
        eprintln!("{}: {}", row.what, row.seconds);
        let kept = if row.kept { "yes" } else { MISSED };
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
