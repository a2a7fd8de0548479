//! `dmctl reload`: replaces the table of a device.

use crate::ops;

use super::complete;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::global::Consent;
use super::rows::Rows;

/// Replace the table of a device in one step: load, swap, resume
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl reload data --table '0 4096 linear /dev/sdb 0'\n  dmctl reload data < rows.txt"
)]
pub(crate) struct Args {
    /// The device: its name, a path of it, or its number
    #[arg(add = complete::names())]
    name: String,
    #[command(flatten)]
    pub(super) rows: Rows,
    #[command(flatten)]
    consent: Consent,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let table = args.rows.read()?;
    context.changing(&format!("reload {}", args.name), |kernel| {
        let device = ops::find(kernel, &args.name)?;
        ops::reload(kernel, &device.name, &table, (&args.consent).into())?;
        Ok(Exit::Done)
    })
}
