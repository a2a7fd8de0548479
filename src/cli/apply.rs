//! `dmctl apply`: makes the kernel equal to a map, or leaves it as it was.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::apply::{self, Applied, ApplyError, Options, Progress};
use crate::config::parse_duration;
use crate::confirm;
use crate::identity::{printable, printable_path};
use crate::kernel::ChangeKernel;
use crate::plan::document::Document;
use crate::plan::{self, Plan};
use crate::render::Heading;
use crate::render::events::Event;
use crate::saved::{self, Freshness, PlanFile, Saved, StepName};
use anyhow::anyhow;
use nix::unistd::geteuid;

use super::confirm::{Trial, run_daemon, within};
use super::context::{Context, Held};
use super::drawing;
use super::exit::Exit;
use super::failure::Failure;
use super::map;
use super::note::note;
use super::output::Output;
use super::plan::Allow;
use super::progress::{self, Bar, Lines};
use super::report::Report;
use super::selection::Selection;
use super::show::APPLIED;
use super::waiting;

/// Make the kernel equal to a map; on any failure everything is put back
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl apply mappings.toml\n  dmctl apply mappings.toml --dry-run\n  dmctl apply mappings.toml --allow remap\n  dmctl apply /etc/dmctl --stack home\n  dmctl apply --plan plan.json\n  dmctl apply mappings.toml --confirm-within 60s"
)]
pub(crate) struct Args {
    /// Map files, directories of `*.toml`, or `-` for standard input; several files form one map
    #[arg(value_name = "FILE", required_unless_present = "plan", conflicts_with = "plan")]
    files: Vec<PathBuf>,
    /// Apply exactly this plan, saved by `dmctl plan --out`, or nothing
    #[arg(long, value_name = "PLAN.json")]
    plan: Option<PathBuf>,
    /// Apply a plan that was made on another host
    #[arg(long, conflicts_with = "files")]
    any_host: bool,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    allow: Allow,
    /// How long to wait for lower devices, instead of `wait` in the map
    #[arg(long, value_name = "TIME", conflicts_with = "plan", value_parser = parse_duration)]
    wait: Option<Duration>,
    /// Stop before anything is changed, and end as apply would end there
    #[arg(long)]
    dry_run: bool,
    /// Put everything back unless `dmctl confirm` comes within this time
    #[arg(long, value_name = "TIME", value_parser = within::parse)]
    confirm_within: Option<Duration>,
    /// How many steps to carry out at once, at most; 1 is one step after the other, in the order of the plan. By default as
    /// much as the running kernel lets overlap (32): removals and swaps spend their time waiting there, and wait
    /// together. On a simulated kernel, where nothing waits, 1
    #[arg(long, value_name = "N", value_parser = jobs)]
    jobs: Option<usize>,
    #[command(flatten)]
    output: Output,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    match args.confirm_within.filter(|_| !args.dry_run) {
        None => {
            let (_, (_, report)) =
                with_plan(context, args, || (), |kernel, plan| carry_out(context, args, kernel, plan, None))?;
            report.end()
        }
        Some(time) => run_daemon(context, time, &args.output, |trial| {
            let (held, (applied, report)) =
                with_plan(context, args, Trial::outlive_parent, |kernel, plan| {
                    carry_out(context, args, kernel, plan, Some(trial))
                })?;
            Ok(applied.map(|applied| (held, applied, report)))
        }),
    }
}

/// Plans, and gives the kernel and the plan to `act`; calls `is_read` once what is asked for is read. The kernel stays locked while the [`Held`] that is returned lives.
fn with_plan<'c, T>(
    context: &'c Context,
    args: &Args,
    is_read: impl FnOnce(),
    act: impl FnOnce(&dyn ChangeKernel, &Plan) -> Result<T, Failure>,
) -> Result<(Held<'c>, T), Failure> {
    let command = if args.dry_run { "apply --dry-run" } else { "apply" };
    let allow = args.allow.classes();
    match &args.plan {
        None => {
            let mut map = args.selection.read_with_keys(&args.files, context.trust_to_apply())?;
            is_read();
            for mapping in map.mappings.values_mut() {
                mapping.wait = args.wait.unwrap_or(mapping.wait);
            }
            // Without the lock: another stack goes on meanwhile.
            waiting::for_lower_devices(context, &mut map, &args.output)?;
            let held = context.hold(command)?;
            let done = held.change(|kernel| {
                let plan =
                    apply::once_closed(context.patience(), || plan::plan_to_show(kernel, &map, &allow))?;
                act(kernel, &plan)
            })?;
            Ok((held, done))
        }
        Some(path) => {
            let saved = read_saved(context, args, path)?;
            is_read();
            let believed = context.trust_to_apply().believed();
            let held = context.hold(&format!("{command} --plan"))?;
            let done = held.change(|kernel| {
                let mut beside = Vec::new();
                let fresh = || match saved.check(kernel, &allow, &map::places(), believed)? {
                    Freshness::Fresh { plan, beside: others } => {
                        beside = others;
                        Ok(*plan)
                    }
                    Freshness::Applied => Err(stale(path, &[APPLIED])),
                    Freshness::Stale(changes) => Err(stale(path, &changes)
                        .hint("`dmctl plan --out` makes the plan again, from what is there now")),
                };
                let plan = apply::once_closed(context.patience(), fresh)?;
                if !beside.is_empty() {
                    note(format_args!("{}", drifted(&beside)));
                }
                act(kernel, &plan)
            })?;
            Ok((held, done))
        }
    }
}

/// Shows a plan and carries it out, unless it is refused or a dry run. With `trial` it may have to be undone: that is
/// begun before anything is changed. Returns what undoes the plan; `None` without `trial`, or when nothing was done. An
/// error means that nothing is applied, or that it tells what is left: output that can't be written is not one.
fn carry_out(
    context: &Context,
    args: &Args,
    kernel: &dyn ChangeKernel,
    plan: &Plan,
    trial: Option<&mut Trial>,
) -> Result<(Option<Applied>, Report), Failure> {
    let document = Document::of(plan);
    let report = Report::new(context.stopping());
    let mut report = if args.output.is_json() {
        report.announce_event(&Event::Plan(&document))?
    } else {
        report.announce(&drawing::text(&document, &Heading::default()))?
    };
    apply::permit(plan)?;
    if args.confirm_within.is_some() {
        within::permit(plan)?;
    }
    if args.dry_run {
        return Ok((None, report));
    }
    if plan.is_empty() {
        // A crash between a device and its node leaves nothing to do but the node.
        kernel.settle()?;
        return Ok((None, report));
    }
    let undoable = trial.is_some();
    let mut bar = Bar::new(plan.steps.len());
    if let Some(trial) = trial {
        trial.begin(context, plan, &mut report)?;
    }
    let jobs = args.jobs.unwrap_or(usual_jobs(context));
    let carry_out = |progress: &mut dyn Progress| {
        let options = options(context, jobs);
        if undoable {
            apply::reversibly(kernel, plan, options, progress).map(Some)
        } else {
            apply::apply(kernel, plan, options, progress).map(|()| None)
        }
    };
    let outcome = if args.output.is_json() {
        let outcome = carry_out(&mut Lines(&mut report));
        if let Some(end) = ended(plan, &outcome) {
            report.event(&end);
        }
        outcome
    } else {
        carry_out(&mut bar)
    };
    let applied = match outcome {
        Ok(applied) => applied,
        Err(error) => return Err(report.fail(error.into())),
    };
    if !undoable {
        // The outcome of an earlier apply that was not confirmed is past now. An error changes nothing.
        let _ = context.confirmation().map(|record| confirm::forget(&record));
        if !args.output.is_json() {
            note(progress::applied(plan.steps.len()).trim_end());
            for (mapping, volume) in plan.kept_volumes() {
                note(format_args!("{mapping}: {volume}"));
            }
        }
    }
    Ok((applied, report))
}

/// Describes how the apply of a plan ended.
fn ended<'a>(plan: &Plan, outcome: &'a Result<Option<Applied>, ApplyError>) -> Option<Event<'a>> {
    match outcome.as_ref().map(|applied| applied.as_ref().and_then(Applied::unsettled)) {
        Ok(None) => Some(Event::Done { steps: plan.steps.len() }),
        Ok(Some(error)) | Err(error) => Event::of(error),
    }
}

/// Returns the number of jobs without `--jobs`. On a simulated kernel nothing waits, so nothing is gained.
fn usual_jobs(context: &Context) -> usize {
    if context.is_live() { apply::JOBS } else { 1 }
}

/// Carries out a plan that was shown, or leaves everything as it was.
pub(crate) fn perform(
    context: &Context,
    kernel: &dyn ChangeKernel,
    plan: &Plan,
    progress: &mut dyn Progress,
) -> Result<(), ApplyError> {
    apply::apply(kernel, plan, options(context, usual_jobs(context)), progress)
}

fn options(context: &Context, jobs: usize) -> Options<'_> {
    Options { patience: context.patience(), jobs, stop: context.stop() }
}

/// Parses the number of jobs.
fn jobs(text: &str) -> Result<usize, String> {
    let jobs = text.parse().ok().filter(|jobs| (1..=apply::MAX_JOBS).contains(jobs));
    jobs.ok_or_else(|| format!("a number from 1 to {}", apply::MAX_JOBS))
}

/// Reads a saved plan, unless other users could have written it.
fn read_saved(context: &Context, args: &Args, path: &Path) -> Result<Saved, Failure> {
    let file = PlanFile::find(path)?;
    context.trust_to_apply().judge_plan(path, &file.laxness(geteuid().as_raw()))?;
    let saved = file.read()?;
    if !args.any_host {
        saved::permit_host(saved.made.host.as_deref(), context.host().as_deref())?;
    }
    Ok(saved)
}

/// Tells which steps the map would take beside those of a saved plan.
fn drifted(beside: &[StepName]) -> String {
    const MAX_SHOWN: usize = 4;
    let shown: Vec<String> = beside.iter().take(MAX_SHOWN).map(|step| format!("`{step}`")).collect();
    let more = beside.len().saturating_sub(MAX_SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("more has drifted since this plan was made, and is not changed by it: {}{more}", shown.join(", "))
}

fn stale(path: &Path, changes: &[impl ToString]) -> Failure {
    let shown = printable_path(path).into_owned();
    let list = changes
        .iter()
        .fold(String::new(), |text, change| format!("{text}\n  {}", printable(&change.to_string())));
    Failure::new(Exit::Stale, anyhow!("the plan in `{shown}` is stale, so nothing was changed:{list}"))
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        let exit = match &error {
            ApplyError::Conflicts(_) | ApplyError::Read(_) => Exit::Error,
            ApplyError::Refused(_) | ApplyError::InUse { .. } => Exit::Refused,
            ApplyError::RolledBack { .. } | ApplyError::Interrupted { .. } => Exit::RolledBack,
            ApplyError::Left { .. } | ApplyError::Unsettled(_) => Exit::Inconsistent,
        };
        Self::new(exit, error)
    }
}
