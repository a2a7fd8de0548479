//! `dmctl export`: writes the devices of the kernel, for dmctl and for other tools.

use crate::export::{self, ExportError, Selection};
use crate::identity::Owner;
use crate::kernel::{KernelError, Unseen};
use crate::ops;
use anyhow::anyhow;
use clap::ValueEnum;

use super::complete;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::note::note;
use super::output::print;

/// Write running mappings as a map file, or in a form that other tools read
///
/// Without NAME and --owner these are all devices but those that their uuid marks as another subsystem's. No
/// key is ever written.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl export > mappings.toml\n  dmctl export vg-root --format dm-init\n  dmctl export --owner lab --format concise\n  dmctl export --format json > host.json && dmctl --kernel host.json plan mappings.toml"
)]
pub(crate) struct Args {
    /// Devices, by name or by a path, of any owner
    #[arg(value_name = "NAME", add = complete::names())]
    names: Vec<String>,
    /// What to write
    #[arg(long, value_name = "FORMAT", default_value = "toml")]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Only the devices of this owner
    #[arg(long, value_parser = Owner::new, conflicts_with = "names")]
    owner: Option<Owner>,
}

/// The format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A map file that changes nothing
    Toml,
    /// The whole kernel, as a file for `--kernel`
    Json,
    /// What `dmsetup create --concise` reads
    Concise,
    /// What the kernel reads from its command line: `dm-mod.create=`
    DmInit,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let kernel = context.reading()?;
    let kernel = kernel.as_ref();
    let format = if args.json { Format::Json } else { args.format };
    if format == Format::Json && (!args.names.is_empty() || args.owner.is_some()) {
        let error = anyhow!("--format json writes the whole kernel: leave out NAME and --owner");
        return Err(Failure::new(Exit::Usage, error));
    }
    let mut only = None;
    for name in &args.names {
        only.get_or_insert_with(std::collections::BTreeSet::new).insert(ops::find(kernel, name)?.number);
    }
    let selection = Selection { only, owner: args.owner.clone() };
    let text = match format {
        Format::Toml => export::map(kernel, &selection)?,
        Format::Json => export::state(kernel).map_err(without_a_part)?.to_json(),
        Format::Concise => export::concise::write(kernel, &selection)?,
        Format::DmInit => {
            let parameter = export::dm_init::parameter(kernel, &selection)?;
            for device in &parameter.unstable {
                note(format_args!(
                    "warning: {device} may be another disk at the next boot, and would be mapped in its place: the kernel numbers \
                     disks in the order in which they are found; put the device on a partition with a PARTUUID"
                ));
            }
            parameter.text
        }
    };
    print(&text)?;
    Ok(Exit::Done)
}

/// Explains why a whole kernel can't be written where a part of the host can't be seen.
fn without_a_part(error: KernelError) -> Failure {
    match Unseen::of(error) {
        Ok(unseen) => Failure::new(Exit::Error, anyhow!("{unseen}")).hint(
            "the file of a kernel holds every block device; `--format toml` and the other formats do without",
        ),
        Err(error) => error.into(),
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Kernel(error) => error.into(),
            error @ ExportError::Broken { .. } => Self::new(Exit::Error, error)
                .hint("name the devices that it can hold, or take `--format toml`, which holds all of them"),
        }
    }
}
