//! `dmctl targets`: lists the target types of the kernel.

use serde::Serialize;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, lines};

/// List the target types that the kernel has loaded, with their versions
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  dmctl targets\n  dmctl targets --json")]
pub(crate) struct Args {
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Targets {
    targets: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    version: String,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let loaded = context.reading()?.targets()?;
    let entry = |(name, version): (_, crate::kernel::Version)| Entry { name, version: version.to_string() };
    let targets = Targets { targets: loaded.into_iter().map(entry).collect() };
    let text = || lines(targets.targets.iter().map(|entry| format!("{} {}", entry.name, entry.version)));
    args.output.print(text, &targets)?;
    Ok(Exit::Done)
}
