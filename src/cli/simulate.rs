//! `dmctl simulate`: makes the file of a simulated kernel.

use std::fs;
use std::path::PathBuf;

use crate::identity::printable_path;
use crate::kernel::simulated::{DiskSpec, Simulated, State};
use anyhow::anyhow;

use super::exit::Exit;
use super::failure::Failure;

/// Make the file of a new simulated kernel, for --kernel
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl simulate lab.json --disk /dev/sda=10GiB --disk /dev/sdb=4GiB,ro\n  dmctl --kernel lab.json create data --table '0 2048 linear /dev/sda 0'"
)]
pub(crate) struct Args {
    /// The file to make
    #[arg(value_name = "STATE.json")]
    file: PathBuf,
    /// A disk that the kernel has, `,ro` if it refuses writes; may be given several times
    #[arg(long = "disk", value_name = "PATH=SIZE[,ro]")]
    disks: Vec<DiskSpec>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let there = fs::symlink_metadata(&args.file).is_ok_and(|file| file.len() > 0);
    if there && !args.force {
        let error = anyhow!("{} already exists", printable_path(&args.file));
        return Err(Failure::new(Exit::Error, error).hint("`--force` overwrites it with a new, blank kernel"));
    }
    let state = State::from_disks(&args.disks).map_err(|error| Failure::new(Exit::Usage, error))?;
    Simulated::create(&args.file, &state)?.save()?;
    Ok(Exit::Done)
}
