//! `dmctl apply`: makes the kernel equal to a map, or leaves it as it was.

use std::time::Duration;

use dmctl::apply::{self, ApplyError, Options, Silent};
use dmctl::plan::{self, Plan};
use dmctl::render::{self, Paint};

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::map::{self, Files};
use super::output::{Output, print};
use super::plan::Allow;
use super::signals;

/// Make the kernel equal to a map; on any failure everything is put back
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl apply mappings.toml\n  dmctl apply mappings.toml --dry-run\n  dmctl apply mappings.toml --allow remap"
)]
pub struct Args {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    allow: Allow,
    /// Stop before anything is changed, and end as apply would end there
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

/// Applies it.
pub fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let map = map::read_with_keys(&args.files.files, context.trust_to_apply())?;
    let command = if args.dry_run { "apply --dry-run" } else { "apply" };
    context.changing(command, |kernel| {
        // Nobody lets go of a device of a simulated kernel while one waits for it.
        let patience = if context.is_live() { Options::default().patience } else { Duration::ZERO };
        let plan = plan::plan(kernel, &map, &args.allow.classes())?;
        args.output.print(|| render::text(&plan, Paint::Colour), &render::json::plan(&plan))?;
        apply::permit(&plan)?;
        if args.dry_run {
            return Ok(Exit::Done);
        }
        if plan.is_empty() {
            // A crash between a device and its node leaves nothing to do but the node.
            kernel.settle()?;
            return Ok(Exit::Done);
        }
        let stop = signals::stop().map_err(|error| Failure::new(Exit::Error, error))?;
        apply::apply(kernel, &plan, Options { patience, stop: &stop }, &mut Silent)?;
        if !args.output.is_json() {
            print(&done(&plan))?;
        }
        Ok(Exit::Done)
    })
}

fn done(plan: &Plan) -> String {
    let count = plan.steps.len();
    format!("Applied: {count} {}.\n", if count == 1 { "step" } else { "steps" })
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        let exit = match &error {
            ApplyError::Conflicts(_) | ApplyError::Read(_) => Exit::Error,
            ApplyError::Refused(_) | ApplyError::InUse { .. } => Exit::Refused,
            ApplyError::PutBack { .. } | ApplyError::Interrupted { .. } => Exit::PutBack,
            ApplyError::Left { .. } => Exit::Left,
        };
        Self::new(exit, error)
    }
}
