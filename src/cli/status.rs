//! `dmctl status`: how each mapping stands.

use std::path::PathBuf;

use dmctl::render::{self, Paint};
use dmctl::status::{self, Entry, Word};
use serde::Serialize;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::map::{self, Trust};
use super::output::Output;

/// Show how each mapping stands: in sync, drifted, missing, suspended, pending, leftover, foreign
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  dmctl status mappings.toml\n  dmctl status\n  dmctl status --json")]
pub struct Args {
    /// Map files; without any, every device that a dmctl owner has is looked at
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// The document.
#[derive(Serialize)]
struct Status {
    mappings: Vec<Entry>,
}

/// Shows it. Anything that is not in sync ends the run with 2.
pub fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let mappings = if args.files.is_empty() {
        status::of_owned(context.reading()?.as_ref())?
    } else {
        let map = map::read_with_keys(&args.files, Trust::Warn)?;
        status::of_map(context.reading()?.as_ref(), &map)?
    };
    let drifted = mappings.iter().any(|entry| entry.word != Word::InSync);
    let status = Status { mappings };
    args.output.print(|| render::status(&status.mappings, Paint::Colour), &status)?;
    Ok(if drifted { Exit::Pending } else { Exit::Done })
}
