//! `dmctl table`: prints the rows of a device's table.

use crate::identity::{Name, printable};
use crate::kernel::Slot;
use crate::ops;
use crate::table::RawRow;
use serde::Serialize;

use super::complete;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, lines};

/// Print the table of a device: one row per target, `start length type params`
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  dmctl table data\n  dmctl table data --inactive --json")]
pub(crate) struct Args {
    /// The device: its name, a path of it, or its number
    #[arg(add = complete::names())]
    name: String,
    /// The table that waits in the inactive slot
    #[arg(long)]
    inactive: bool,
    /// Print keys as they are; without this, `<secret>` stands for each
    #[arg(long)]
    show_keys: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Rows {
    name: Name,
    targets: Vec<TableLine>,
}

/// A row of it.
#[derive(Serialize)]
pub(super) struct TableLine {
    start: u64,
    length: u64,
    #[serde(rename = "type")]
    kind: String,
    params: String,
}

impl TableLine {
    /// Returns a row with its keys hidden.
    pub(super) fn hidden(row: &RawRow) -> Self {
        Self::new(row, row.redacted_params())
    }

    fn new(row: &RawRow, params: String) -> Self {
        Self { start: row.start, length: row.length, kind: row.kind.to_string(), params }
    }

    /// Writes the row as `dmsetup table` does.
    pub(super) fn line(&self) -> String {
        let row = format!("{} {} {} {}", self.start, self.length, self.kind, self.params);
        printable(row.trim_end()).into_owned()
    }
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let kernel = context.reading()?;
    let device = ops::find(kernel.as_ref(), &args.name)?;
    let slot = if args.inactive { Slot::Inactive } else { Slot::Live };
    let table = ops::table(kernel.as_ref(), &device.name, slot)?;
    let shown = |row: &RawRow| TableLine::new(row, row.params().to_string());
    let targets = table.iter().map(if args.show_keys { shown } else { TableLine::hidden }).collect();
    let rows = Rows { name: device.name, targets };
    args.output.print(|| lines(rows.targets.iter().map(TableLine::line)), &rows)?;
    Ok(Exit::Done)
}
