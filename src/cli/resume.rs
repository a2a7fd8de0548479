//! `dmctl resume`: lets a device serve I/O again.

use crate::ops;

use super::complete;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::global::Consent;

/// Cancel the suspension of a device; a table that waits in its inactive slot becomes live
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  dmctl resume data\n  dmctl resume /dev/mapper/data")]
pub(crate) struct Args {
    /// The device: its name, a path of it, or its number
    #[arg(add = complete::names())]
    name: String,
    #[command(flatten)]
    consent: Consent,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    context.changing_device("resume", &args.name, |kernel, name| {
        Ok(ops::resume(kernel, name, (&args.consent).into())?)
    })
}
