//! `dmctl rename`: gives a device another name.

use crate::identity::Uuid;
use crate::ops::{self, OpError, RenameOptions};

use super::complete;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::global::Consent;

/// Give a device another name, and the uuid it may lack
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl rename data old-data\n  dmctl rename data old-data --uuid my-own-uuid"
)]
pub(crate) struct Args {
    /// The device: its name, a path of it, or its number
    #[arg(add = complete::names())]
    name: String,
    /// Its new name
    new: String,
    /// The uuid to set, if it has none yet
    #[arg(long, value_name = "UUID")]
    uuid: Option<String>,
    #[command(flatten)]
    consent: Consent,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let new = ops::new_name(&args.new)?;
    let uuid = args.uuid.as_deref().map(Uuid::new).transpose().map_err(OpError::from)?;
    let options = RenameOptions { uuid, foreign: (&args.consent).into() };
    context.changing(&format!("rename {} {new}", args.name), |kernel| {
        let device = ops::find(kernel, &args.name)?;
        ops::rename(kernel, &device.name, &new, options)?;
        Ok(Exit::Done)
    })
}
