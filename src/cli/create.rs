//! `dmctl create`: a new device.

use crate::access::Access;
use crate::identity::Uuid;
use crate::ops::{self, CreateOptions, Foreign, OpError};

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::global::Consent;
use super::note::note;
use super::rows::Rows;

/// Create a device with a table, and let it run
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl create data --table '0 2048 linear /dev/sda 0'\n  dmctl create data < rows.txt"
)]
pub(crate) struct Args {
    /// The name of the new device
    name: String,
    /// Its uuid; a random one without this option
    #[arg(long, value_name = "UUID")]
    uuid: Option<String>,
    /// Make it refuse writes
    #[arg(long)]
    readonly: bool,
    #[command(flatten)]
    pub(super) rows: Rows,
    #[command(flatten)]
    consent: Consent,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let name = ops::new_name(&args.name)?;
    let uuid = args.uuid.as_deref().map(Uuid::new).transpose().map_err(OpError::from)?;
    let table = args.rows.read()?;
    // No device of another subsystem is changed, so this is not refused; but the new one will look like such a device.
    if let (Some(subsystem), Foreign::Refuse) =
        (uuid.as_ref().and_then(Uuid::subsystem), (&args.consent).into())
    {
        note(format_args!(
            "warning: because of this uuid, {subsystem} will treat `{name}` as its own; pass --foreign if that is intended"
        ));
    }
    let options = CreateOptions {
        uuid,
        access: Access::from_read_only(args.readonly),
        foreign: Foreign::Allow,
        origins: (&args.consent).into(),
    };
    context.changing(&format!("create {name}"), |kernel| {
        ops::create(kernel, &name, &table, options)?;
        Ok(Exit::Done)
    })
}
