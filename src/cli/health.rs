//! `dmctl health`: shows how each device fares.

use crate::health::{self, DeviceHealth, HealthDocument};
use crate::identity::Name;
use crate::kernel::ListEntry;
use crate::ops;
use crate::render;

use super::complete;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, print};

/// Show how devices fare: ok, busy, degraded, failed, unknown; exit 8 unless all are well
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl health\n  dmctl health pool data\n  dmctl health data --raw\n  dmctl health --json"
)]
pub(crate) struct Args {
    /// The devices: a name, a path of it, or its number; without any, every device of the host
    #[arg(value_name = "NAME", add = complete::names())]
    names: Vec<String>,
    /// Print each row in the kernel's own words: start, length, type, text
    #[arg(long, conflicts_with_all = ["json", "format"])]
    raw: bool,
    #[command(flatten)]
    output: Output,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let kernel = context.reading()?;
    let devices = selected(kernel.as_ref(), &args.names)?;
    let healths = health::all(kernel.as_ref(), &devices)?;
    if args.raw {
        print(&render::raw_health(&healths))?;
    } else {
        args.output.print(|| render::health(&healths), &HealthDocument::of(&healths))?;
    }
    Ok(exit(&healths))
}

/// Finds the devices of these names, each once, in the order of names; all without any.
pub(super) fn selected(
    kernel: &dyn crate::kernel::ReadKernel,
    names: &[String],
) -> Result<Vec<ListEntry>, Failure> {
    let mut devices = if names.is_empty() {
        ops::list(kernel)?
    } else {
        names.iter().map(|name| ops::find(kernel, name)).collect::<Result<Vec<_>, _>>()?
    };
    let name = |device: &ListEntry| -> Name { device.name.clone() };
    devices.sort_by_key(name);
    devices.dedup_by_key(|device| device.number);
    Ok(devices)
}

/// Tells whether all are well.
fn exit(devices: &[DeviceHealth]) -> Exit {
    let well = devices.iter().all(|device| device.health().is_well());
    if well { Exit::Done } else { Exit::Unwell }
}
