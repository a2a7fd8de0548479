//! `dmctl apply`: makes the kernel equal to a map, or leaves it as it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use dmctl::apply::{self, ApplyError, Options};
use dmctl::config::trust::Guard;
use dmctl::kernel::ChangeKernel;
use dmctl::plan::document::Document;
use dmctl::plan::{self, Plan};
use dmctl::render::Heading;
use dmctl::render::events::Event;
use dmctl::saved::{self, Now, Saved};
use nix::unistd::geteuid;

use super::context::Context;
use super::drawing;
use super::exit::Exit;
use super::failure::Failure;
use super::map::{self, Trust};
use super::output::{Output, note, print, print_line};
use super::plan::Allow;
use super::progress::{Bar, Lines};
use super::show::APPLIED;

/// Make the kernel equal to a map; on any failure everything is put back
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl apply mappings.toml\n  dmctl apply mappings.toml --dry-run\n  dmctl apply mappings.toml --allow remap\n  dmctl apply --plan plan.json"
)]
pub struct Args {
    /// Map files, directories of `*.toml`, or `-` for standard input; several are one map
    #[arg(value_name = "FILE", required_unless_present = "plan", conflicts_with = "plan")]
    files: Vec<PathBuf>,
    /// Apply exactly this plan, that `dmctl plan --out` wrote, or nothing
    #[arg(long, value_name = "PLAN.json")]
    plan: Option<PathBuf>,
    /// Apply a plan that was made on another host
    #[arg(long, conflicts_with = "files")]
    any_host: bool,
    #[command(flatten)]
    allow: Allow,
    /// Stop before anything is changed, and end as apply would end there
    #[arg(long)]
    dry_run: bool,
    /// How much to do side by side, at most; 1 is one step after the other, in the order of the plan. By default as
    /// much as the running kernel lets overlap (32): removals and swaps spend their time waiting there, and wait
    /// together. On a simulated kernel, where nothing waits, 1
    #[arg(long, value_name = "N", value_parser = jobs)]
    jobs: Option<usize>,
    #[command(flatten)]
    output: Output,
}

/// Applies it.
pub fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let command = if args.dry_run { "apply --dry-run" } else { "apply" };
    let allow = args.allow.classes();
    match &args.plan {
        None => {
            let map = map::read_with_keys(&args.files, context.trust_to_apply())?;
            context.changing(command, |kernel| {
                let plan = apply::once_closed(patience(context), || plan::plan(kernel, &map, &allow))?;
                carry_out(context, args, kernel, &plan)
            })
        }
        Some(path) => {
            let saved = read_saved(context, args, path)?;
            context.changing(&format!("{command} --plan"), |kernel| {
                let fresh = || match saved.check(kernel, &allow, &map::places())? {
                    Now::Fresh(plan) => Ok(*plan),
                    Now::Applied => Err(stale(path, &[APPLIED.to_string()])),
                    Now::Stale(changes) => Err(stale(path, &changes)
                        .hint("`dmctl plan --out` makes the plan again, from what is there now")),
                };
                let plan = apply::once_closed(patience(context), fresh)?;
                carry_out(context, args, kernel, &plan)
            })
        }
    }
}

/// Shows a plan and carries it out, as far as it may be and was asked for.
fn carry_out(
    context: &Context,
    args: &Args,
    kernel: &dyn ChangeKernel,
    plan: &Plan,
) -> Result<Exit, Failure> {
    let document = Document::of(plan);
    if args.output.is_json() {
        print_line(&Event::Plan(&document))?;
    } else {
        print(&drawing::text(&document, &Heading::default()))?;
    }
    apply::permit(plan)?;
    if args.dry_run {
        return Ok(Exit::Done);
    }
    if plan.is_empty() {
        // A crash between a device and its node leaves nothing to do but the node.
        kernel.settle()?;
        return Ok(Exit::Done);
    }
    let patience = patience(context);
    let jobs = args.jobs.unwrap_or(if context.is_live() { apply::JOBS } else { 1 });
    let options = Options { patience, jobs, stop: context.stop() };
    if !args.output.is_json() {
        apply::apply(kernel, plan, options, &mut Bar::new(plan.steps.len()))?;
        return print(&done(plan)).map(|()| Exit::Done);
    }
    let outcome = apply::apply(kernel, plan, options, &mut Lines);
    let end = match &outcome {
        Ok(()) => Some(Event::Done { steps: plan.steps.len() }),
        Err(error) => Event::of(error),
    };
    let told = end.map_or(Ok(()), |end| print_line(&end));
    outcome?;
    told.map(|()| Exit::Done)
}

/// How long a device that is open is waited for. Nobody lets go of one of a simulated kernel meanwhile.
fn patience(context: &Context) -> Duration {
    if context.is_live() { Options::default().patience } else { Duration::ZERO }
}

/// Reads how much is to be done side by side.
fn jobs(text: &str) -> Result<usize, String> {
    let jobs = text.parse().ok().filter(|jobs| (1..=apply::MAX_JOBS).contains(jobs));
    jobs.ok_or_else(|| format!("a number from 1 to {}", apply::MAX_JOBS))
}

fn done(plan: &Plan) -> String {
    let count = plan.steps.len();
    format!("Applied: {count} {}.\n", if count == 1 { "step" } else { "steps" })
}

/// Reads a saved plan, and judges it as the map it stands for would be.
fn read_saved(context: &Context, args: &Args, path: &Path) -> Result<Saved, Failure> {
    let saved = saved::read(path)?;
    if !args.any_host {
        saved::permit_host(saved.made.host.as_deref(), context.host().as_deref())?;
    }
    let trust = context.trust_to_apply();
    let metadata = fs::metadata(path).map_err(|error| Failure::new(Exit::Error, error))?;
    for laxness in Guard::of(&path.display().to_string(), &metadata).writers(geteuid().as_raw()) {
        if trust == Trust::Refuse {
            return Err(Failure::new(Exit::Error, laxness));
        }
        note(format_args!("warning: {laxness}"));
    }
    if !saved.map_files().is_empty() {
        map::read(saved.map_files(), trust)?;
    }
    Ok(saved)
}

fn stale(path: &Path, changes: &[String]) -> Failure {
    let shown = dmctl::identity::printable(&path.to_string_lossy()).into_owned();
    let says = changes
        .iter()
        .fold(String::new(), |text, change| format!("{text}\n  {}", dmctl::identity::printable(change)));
    Failure::new(Exit::Stale, anyhow!("the plan in `{shown}` is stale, so nothing was changed:{says}"))
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        let exit = match &error {
            ApplyError::Conflicts(_) | ApplyError::Read(_) => Exit::Error,
            ApplyError::Refused(_) | ApplyError::InUse { .. } => Exit::Refused,
            ApplyError::PutBack { .. } | ApplyError::Interrupted { .. } => Exit::PutBack,
            ApplyError::Left { .. } | ApplyError::Unsettled(_) => Exit::Left,
        };
        Self::new(exit, error)
    }
}
