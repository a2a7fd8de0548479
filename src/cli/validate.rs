//! `dmctl validate`: is this a map?

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::map::{self, Files, Trust};
use super::output::print;

/// Check map files offline: syntax, types, references, cycles, overlaps; no kernel, no root
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  dmctl validate mappings.toml\n  dmctl validate /etc/dmctl")]
pub struct Args {
    #[command(flatten)]
    files: Files,
}

/// Checks them.
pub fn run(_: &Context, args: &Args) -> Result<Exit, Failure> {
    let map = map::read(&args.files.files, Trust::Warn)?;
    let count = map.mappings.len();
    let mappings = if count == 1 { "mapping" } else { "mappings" };
    print(&format!("Valid: {count} {mappings} of owner {}.\n", map.owner))?;
    Ok(Exit::Done)
}
