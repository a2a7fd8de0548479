//! `dmctl suspend`: makes a device hold I/O back.

use crate::kernel::Suspend;
use crate::ops;

use super::complete;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::global::Consent;

/// Flush what a device has in flight, and hold back what comes
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  dmctl suspend data\n  dmctl suspend data --no-flush --no-freeze")]
pub(crate) struct Args {
    /// The device: its name, a path of it, or its number
    #[arg(add = complete::names())]
    name: String,
    /// Don't wait for I/O in flight to end
    #[arg(long)]
    no_flush: bool,
    /// Don't freeze the file system on it
    #[arg(long)]
    no_freeze: bool,
    #[command(flatten)]
    consent: Consent,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    context.changing_device("suspend", &args.name, |kernel, name| {
        let how = Suspend { flush: !args.no_flush, freeze: !args.no_freeze };
        Ok(ops::suspend(kernel, name, how, (&args.consent).into())?)
    })
}
