//! `dmctl remove`: removes a device.

use crate::ops::{self, RemoveOptions, Removed};

use super::complete;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::global::Consent;
use super::note::note;

/// Remove a device; retry for some seconds if it is busy
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  dmctl remove data\n  dmctl remove data --deferred")]
pub(crate) struct Args {
    /// The device: its name, a path of it, or its number
    #[arg(add = complete::names())]
    name: String,
    /// If it is open, let it go away as soon as it is closed
    #[arg(long)]
    deferred: bool,
    #[command(flatten)]
    consent: Consent,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    context.changing_device("remove", &args.name, |kernel, name| {
        let options = RemoveOptions {
            deferred: args.deferred,
            stop: context.stop(),
            foreign: (&args.consent).into(),
            ..RemoveOptions::default()
        };
        if ops::remove(kernel, name, options)? == Removed::WhenClosed {
            note(format_args!("`{name}` is open: it goes away when it is closed"));
        }
        Ok(())
    })
}
