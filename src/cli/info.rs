//! `dmctl info`: the state, the size and the table of a device.

use crate::health::{self, DeviceHealth, Fares, RowHealth};
use crate::identity::{Name, Uuid};
use crate::kernel::DeviceState;
use crate::ops::{self, OpError};
use crate::table;
use serde::Serialize;

use super::complete;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, lines};
use super::table::TableLine;

/// Show state, size, table and health of a device; exit 1 if it does not exist
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl info data\n  dmctl info /dev/mapper/data --json\n  dmctl info 254:3"
)]
pub(crate) struct Args {
    /// The device: its name, a path of it, or its number
    #[arg(add = complete::names())]
    name: String,
    #[command(flatten)]
    output: Output,
}

/// The document; as text each field is a line.
#[derive(Serialize)]
struct Fields {
    name: Name,
    /// Null for a device without a uuid.
    uuid: Option<Uuid>,
    exists: bool,
    suspended: bool,
    live_table: bool,
    inactive_table: bool,
    open_count: u32,
    event_nr: u32,
    major: u32,
    minor: u32,
    read_only: bool,
    target_count: u32,
    /// True for a device that is removed as soon as it is closed; absent for others.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deferred_remove: bool,
    /// The size, by the live table.
    sectors: u64,
    /// The rows of the live table, keys hidden.
    table: Vec<TableLine>,
    #[serde(flatten)]
    fares: Fares,
}

/// The document of a device that does not exist.
#[derive(Serialize)]
struct Absent {
    name: Name,
    exists: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let kernel = context.reading()?;
    let kernel = kernel.as_ref();
    match ops::find(kernel, &args.name).and_then(|device| ops::state_of(kernel, &device.name)) {
        Ok(state) => {
            let healths = health::all_of(kernel, [&state])?;
            let fields = Fields::new(state, healths.first());
            args.output.print(|| fields.lines(healths.first()), &fields)?;
            Ok(Exit::Done)
        }
        Err(OpError::Missing { name, nearest }) => {
            let absent = Absent { name: name.clone(), exists: false };
            args.output.print(|| format!("name: {name}\nexists: false\n"), &absent)?;
            Err(OpError::Missing { name, nearest }.into())
        }
        Err(error) => Err(error.into()),
    }
}

impl Fields {
    fn new(state: DeviceState, health: Option<&DeviceHealth>) -> Self {
        let DeviceState { info, table } = state;
        Self {
            name: info.name,
            uuid: info.uuid,
            exists: true,
            suspended: info.suspended,
            live_table: info.live_table,
            inactive_table: info.inactive_table,
            open_count: info.open_count,
            event_nr: info.event_nr,
            major: info.number.major,
            minor: info.number.minor,
            read_only: info.read_only,
            target_count: info.target_count,
            deferred_remove: info.deferred_remove,
            sectors: table::sectors(&table),
            table: table.iter().map(TableLine::hidden).collect(),
            fares: health.map(Fares::of).unwrap_or_default(),
        }
    }

    /// Writes a line `field: value` for each field, then one for each row of the table and for how it fares. A uuid that is
    /// missing is empty.
    fn lines(&self, health: Option<&DeviceHealth>) -> String {
        let uuid = self.uuid.as_ref().map(ToString::to_string).unwrap_or_default();
        let fields: [(&str, &dyn std::fmt::Display); 13] = [
            ("name", &self.name),
            ("uuid", &uuid),
            ("exists", &self.exists),
            ("suspended", &self.suspended),
            ("live_table", &self.live_table),
            ("inactive_table", &self.inactive_table),
            ("open_count", &self.open_count),
            ("event_nr", &self.event_nr),
            ("major", &self.major),
            ("minor", &self.minor),
            ("read_only", &self.read_only),
            ("target_count", &self.target_count),
            ("sectors", &self.sectors),
        ];
        let pending = self.deferred_remove.then_some(("deferred_remove", &true as &dyn std::fmt::Display));
        let health = health.into_iter().flat_map(|device| {
            let word = format!("health: {}", device.health());
            let tells = device.rows.iter().map(RowHealth::tells).filter(|tells| !tells.is_empty());
            Some(word).into_iter().chain(tells.map(|tells| format!("state: {tells}")))
        });
        let facts = fields.into_iter().chain(pending).map(|(field, value)| format!("{field}: {value}"));
        let table = self.table.iter().map(|row| format!("table: {}", row.line()));
        lines(facts.chain(health).chain(table))
    }
}
