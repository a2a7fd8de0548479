//! `dmctl list`: the mapped devices of this machine.

use std::collections::HashMap;

use crate::health::{self, Fares};
use crate::identity::{DevNum, Name, Uuid};
use crate::kernel::{DeviceState, Id, Info, ListEntry, ReadKernel, Slot};
use crate::ops;
use crate::table;
use crate::targets::Health;
use crate::text::columns;
use crate::units::Sectors;
use serde::Serialize;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, lines};

/// List the mapped devices of this machine
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  dmctl list\n  dmctl list --long\n  dmctl list --json")]
pub(crate) struct Args {
    /// With number, uuid, state, size and health
    #[arg(short, long)]
    long: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct List {
    mappings: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: Name,
    uuid: Option<Uuid>,
    number: DevNum,
    major: u32,
    minor: u32,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
}

/// The fields that `--long` adds, for one more call of the kernel a device, and another one where a target has a state.
#[derive(Serialize)]
struct Details {
    state: State,
    sectors: u64,
    #[serde(flatten)]
    fares: Fares,
}

/// Whether a device serves I/O.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It serves I/O.
    Active,
    /// It holds I/O back.
    Suspended,
    /// It serves I/O, and is removed as soon as it is closed.
    Pending,
    /// It has no live table.
    Empty,
}

impl State {
    fn of(info: &Info) -> Self {
        match (info.suspended, info.live_table) {
            (true, _) => Self::Suspended,
            (false, _) if info.deferred_remove => Self::Pending,
            (false, true) => Self::Active,
            (false, false) => Self::Empty,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Pending => "pending",
            Self::Empty => "empty",
        }
    }
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let kernel = context.reading()?;
    let devices = ops::list(kernel.as_ref())?;
    let mappings = if args.long {
        long(kernel.as_ref(), devices)?
    } else {
        devices.into_iter().map(|device| entry(device, None)).collect()
    };
    let list = List { mappings };
    args.output.print(
        || {
            if args.long {
                columns(&list.mappings.iter().map(row).collect::<Vec<_>>())
            } else {
                lines(list.mappings.iter().map(|entry| &entry.name))
            }
        },
        &list,
    )?;
    Ok(Exit::Done)
}

/// Reads the details of each device. One that was removed meanwhile is left out.
fn long(kernel: &dyn ReadKernel, devices: Vec<ListEntry>) -> Result<Vec<Entry>, Failure> {
    let mut states = Vec::with_capacity(devices.len());
    for device in &devices {
        states.extend(kernel.device(&Id::Name(device.name.clone()), Slot::Live)?);
    }
    let mut fares = health::fares_of(kernel, &states)?;
    let mut states: HashMap<DevNum, DeviceState> =
        states.into_iter().map(|state| (state.info.number, state)).collect();
    let details = |device: ListEntry| {
        let mapped = states.remove(&device.number)?;
        let fares = fares.remove(&device.number).unwrap_or_default();
        let (state, sectors) = (State::of(&mapped.info), table::sectors(&mapped.table));
        Some(entry(device, Some(Details { state, sectors, fares })))
    };
    Ok(devices.into_iter().filter_map(details).collect())
}

fn entry(device: ListEntry, details: Option<Details>) -> Entry {
    let ListEntry { name, uuid, number } = device;
    Entry { name, uuid, number, major: number.major, minor: number.minor, details }
}

fn row(entry: &Entry) -> [String; 6] {
    let uuid = entry.uuid.as_ref().map_or_else(|| "-".to_string(), ToString::to_string);
    let (state, size, health) = match &entry.details {
        Some(details) => (details.state.name(), Sectors(details.sectors).human(), details.fares.health),
        None => ("", String::new(), None),
    };
    let health = health.map_or("", Health::word).to_string();
    [entry.name.to_string(), entry.number.to_string(), uuid, state.to_string(), size, health]
}
