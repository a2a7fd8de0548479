//! `dmctl repair`: sets right what a crash left, without a map.

use std::fmt::Write as _;

use crate::apply::{self, NotRepaired, Options};
use crate::identity::{DEFAULT_OWNER, DevNum, Name, Owner, printable};
use crate::plan::Plan;
use crate::plan::document::{Document, Step};
use crate::plan::repair;
use crate::render::Heading;
use anyhow::anyhow;
use serde::Serialize;

use super::context::Context;
use super::drawing;
use super::exit::Exit;
use super::failure::Failure;
use super::note::note;
use super::output::Output;
use super::report::Report;

/// Set right what a crash left: resume devices, empty inactive slots, remove devices without a table
///
/// Works without a map, from what the kernel shows of the devices of one owner. Devices are resumed from the
/// bottom of a stack up; also those that a map wants suspended: `dmctl apply` with that map suspends them again.
/// A device that is below itself is left, and told with its way out. A device that has a temporary name gets that of its key, if that is free. Nodes below /dev/mapper that
/// lead nowhere are removed, and missing ones made.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl repair\n  dmctl repair --owner lab\n  dmctl repair --owner lab --dry-run"
)]
pub(crate) struct Args {
    /// The owner of the devices, as `owner` in a map
    #[arg(long, value_name = "OWNER", default_value = DEFAULT_OWNER, value_parser = Owner::new)]
    owner: Owner,
    /// Show what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Repaired<'a> {
    owner: &'a str,
    steps: &'a [Step],
    left: Vec<NotWell>,
}

/// A device that could not be repaired.
#[derive(Serialize)]
struct NotWell {
    name: Name,
    number: DevNum,
    reason: String,
}

impl NotWell {
    fn of(left: NotRepaired) -> Self {
        let reason = left.to_string();
        Self { name: left.device.name, number: left.device.number, reason }
    }
}

/// Repairs. Fails when a device could not be repaired.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let command = if args.dry_run { "repair --dry-run" } else { "repair" };
    context.changing(command, |kernel| {
        let found = repair::find(kernel, &args.owner)?;
        let plan = Document::of(&Plan { steps: found.steps.clone().into(), ..Plan::default() });
        let text = !args.output.is_json() && !plan.is_empty();
        let mut report = Report::new(context.stopping());
        if text {
            report = report.announce(&drawing::text(&plan, &Heading::default()))?;
        }
        let left = if args.dry_run {
            found.left.into_iter().map(NotRepaired::from).collect()
        } else {
            let patience = context.patience();
            apply::repair(kernel, &args.owner, &found, Options { patience, jobs: 1, stop: context.stop() })?
        };
        let left: Vec<NotWell> = left.into_iter().map(NotWell::of).collect();
        let failed = failure(&left, if args.dry_run { "can't be" } else { "could not be" });
        let repaired = Repaired { owner: args.owner.as_str(), steps: &plan.steps, left };
        if args.output.is_json() {
            report.document(&repaired);
        } else if plan.is_empty() && repaired.left.is_empty() {
            report.tell("Nothing to do.\n");
        } else if repaired.left.is_empty() && !args.dry_run {
            let count = plan.steps.len();
            note(format_args!("Repaired: {count} {}.", if count == 1 { "step" } else { "steps" }));
        }
        if args.dry_run {
            report.permit()?;
        }
        match failed {
            Some(failure) => Err(report.fail(failure)),
            None => report.end(),
        }
    })
}

/// Returns the failure that names the devices that are left; `verb` is "can't be" or "could not be".
fn failure(left: &[NotWell], verb: &str) -> Option<Failure> {
    let list = left.iter().fold(String::new(), |mut list, NotWell { name, number, reason }| {
        let _ = write!(list, "\n  {name} ({number}): {}", printable(reason));
        list
    });
    (!left.is_empty()).then(|| Failure::new(Exit::Inconsistent, anyhow!("this {verb} repaired:{list}")))
}
