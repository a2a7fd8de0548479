//! `dmctl info`: the state of a device.

use crate::identity::{Name, Uuid};
use crate::kernel::Info;
use crate::ops::{self, OpError};
use serde::Serialize;

use super::complete;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, lines};

/// Show the state of a device; exit 1 if it does not exist
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  dmctl info data\n  dmctl info /dev/mapper/data --json")]
pub(crate) struct Args {
    /// The device: its name, or a path of it
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
    match ops::find(kernel, &args.name).and_then(|device| ops::by_name(kernel, &device.name)) {
        Ok(info) => {
            let fields = Fields::from(info);
            args.output.print(|| fields.lines(), &fields)?;
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

impl From<Info> for Fields {
    fn from(info: Info) -> Self {
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
        }
    }
}

impl Fields {
    /// Writes a line `field: value` for each field; a uuid that is missing is empty.
    fn lines(&self) -> String {
        let uuid = self.uuid.as_ref().map(ToString::to_string).unwrap_or_default();
        let fields: [(&str, &dyn std::fmt::Display); 12] = [
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
        ];
        let pending = self.deferred_remove.then_some(("deferred_remove", &true as &dyn std::fmt::Display));
        lines(fields.into_iter().chain(pending).map(|(field, value)| format!("{field}: {value}")))
    }
}
