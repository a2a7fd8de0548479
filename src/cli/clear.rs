//! `dmctl clear`: drops the table in the inactive slot of a device.

use crate::ops;

use super::complete;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::global::Consent;

/// Drop the table in the inactive slot of a device; its live table serves on
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  dmctl clear data\n  dmctl table data --inactive")]
pub(crate) struct Args {
    /// The device: its name, a path of it, or its number
    #[arg(add = complete::names())]
    name: String,
    #[command(flatten)]
    consent: Consent,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    context.changing_device("clear", &args.name, |kernel, name| {
        Ok(ops::clear(kernel, name, (&args.consent).into())?)
    })
}
