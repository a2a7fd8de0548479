//! `dmctl create`: a new device.

use dmctl::identity::Uuid;
use dmctl::ops::{self, OpError};

use super::args::Consent;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::rows::Rows;

/// Create a device with a table, and let it run
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl create data --table '0 2048 linear /dev/sda 0'\n  dmctl create data < rows.txt"
)]
pub struct Args {
    /// The name of the new device
    name: String,
    /// Its uuid; a random one without this option
    #[arg(long, value_name = "UUID")]
    uuid: Option<String>,
    /// Make it refuse writes
    #[arg(long)]
    readonly: bool,
    #[command(flatten)]
    rows: Rows,
    #[command(flatten)]
    consent: Consent,
}

/// Creates it.
pub fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let name = ops::new_name(&args.name)?;
    let uuid = args.uuid.as_deref().map(Uuid::new).transpose().map_err(OpError::from)?;
    let table = args.rows.read()?;
    context.changing(&format!("create {name}"), |kernel| {
        ops::create(kernel, &name, uuid.as_ref(), &table, args.readonly, (&args.consent).into())?;
        Ok(Exit::Done)
    })
}
