//! `dmctl list`: the mapped devices of this machine.

use crate::identity::{DevNum, Name, Uuid};
use crate::kernel::{Id, Info, ListEntry, ReadKernel, Slot};
use crate::ops;
use crate::table;
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
    /// With number, uuid, state and size
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

/// The fields that `--long` adds, for one more call of the kernel a device.
#[derive(Serialize)]
struct Details {
    state: State,
    sectors: u64,
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
    let mut mappings = Vec::new();
    for device in ops::list(kernel.as_ref())? {
        let details = if args.long { details(kernel.as_ref(), &device)? } else { None };
        // A device that was removed between the two calls is left out.
        if details.is_some() || !args.long {
            mappings.push(entry(device, details));
        }
    }
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

fn entry(device: ListEntry, details: Option<Details>) -> Entry {
    let ListEntry { name, uuid, number } = device;
    Entry { name, uuid, number, major: number.major, minor: number.minor, details }
}

fn details(kernel: &dyn ReadKernel, device: &ListEntry) -> Result<Option<Details>, Failure> {
    let mapped = kernel.device(&Id::Name(device.name.clone()), Slot::Live)?;
    Ok(mapped
        .map(|mapped| Details { state: State::of(&mapped.info), sectors: table::sectors(&mapped.table) }))
}

fn row(entry: &Entry) -> [String; 5] {
    let uuid = entry.uuid.as_ref().map_or_else(|| "-".to_string(), ToString::to_string);
    let (state, size) = match &entry.details {
        Some(details) => (details.state.name(), Sectors(details.sectors).human()),
        None => ("", String::new()),
    };
    [entry.name.to_string(), entry.number.to_string(), uuid, state.to_string(), size]
}
