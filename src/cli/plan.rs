//! `dmctl plan`: what would be done, and what is at stake.

use std::collections::BTreeSet;

use dmctl::plan;
use dmctl::policy::Class;
use dmctl::render::{self, Paint};

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::map::{self, Files, Trust};
use super::output::Output;

/// Show the steps that make the kernel equal to a map; nothing is changed
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl plan mappings.toml\n  dmctl plan /etc/dmctl --json\n  dmctl --kernel host.json plan mappings.toml --detailed-exitcode"
)]
pub struct Args {
    #[command(flatten)]
    files: Files,
    /// End with 2 when changes are pending
    #[arg(long)]
    detailed_exitcode: bool,
    #[command(flatten)]
    allow: Allow,
    #[command(flatten)]
    output: Output,
}

/// The risk classes approved beside those of the map.
#[derive(Debug, clap::Args)]
pub struct Allow {
    /// Risk classes that may pass beside those of the map: remap, format, loss
    #[arg(long = "allow", value_name = "CLASS,..", value_delimiter = ',')]
    classes: Vec<Class>,
}

impl Allow {
    /// As the planner takes them.
    pub fn classes(&self) -> BTreeSet<Class> {
        self.classes.iter().copied().collect()
    }
}

/// Shows them.
pub fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let map = map::read_with_keys(&args.files.files, Trust::Warn)?;
    let kernel = context.reading()?;
    let plan = plan::plan(kernel.as_ref(), &map, &args.allow.classes())?;
    args.output.print(|| render::text(&plan, Paint::Colour), &render::json::plan(&plan))?;
    if !plan.conflicts.is_empty() {
        return Ok(Exit::Error);
    }
    Ok(if args.detailed_exitcode && !plan.is_empty() { Exit::Pending } else { Exit::Done })
}
