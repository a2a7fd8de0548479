//! `dmctl show`: draws a saved plan again.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::plan::document::Document;
use crate::render::Heading;
use crate::saved::{self, Freshness, Made, PlanFile, Saved, SavedError, Undo};
use nix::unistd::geteuid;
use serde::Serialize;

use super::context::Context;
use super::drawing::Drawing;
use super::exit::Exit;
use super::failure::Failure;
use super::map::{self, Trust};
use super::note::note;

/// Draw a saved plan again, and say whether it is stale
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl show plan.json\n  dmctl show plan.json --format markdown\n  dmctl show plan.json --detailed-exitcode"
)]
pub(crate) struct Args {
    /// What `dmctl plan --out` wrote
    #[arg(value_name = "PLAN.json")]
    plan: PathBuf,
    /// Exit with 2 if the plan would change something, and with 4 if it is stale
    #[arg(long)]
    detailed_exitcode: bool,
    #[command(flatten)]
    drawing: Drawing,
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    plan: &'a Document,
    made: &'a Made,
    undo: &'a [Undo],
    /// Null where the kernel can't be read.
    stale: Option<bool>,
    changes: &'a [String],
}

/// Shows a saved plan, a stale one too.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let file = PlanFile::find(&args.plan)?;
    // What a plan names is read only where it is this user's, or root's: it may name any file of the host.
    let lax = file.laxness(geteuid().as_raw()).into_iter().next();
    let saved = file.read()?;
    let checked = match lax.filter(|_| geteuid().is_root()) {
        Some(lax) => Err(Failure::new(Exit::Error, lax)),
        None => changes(context, &saved),
    };
    let changes = match checked {
        Ok(changes) => Some(changes),
        Err(failure) => {
            note(format_args!("note: whether this plan is stale can't be checked: {failure}"));
            None
        }
    };
    let stale = changes.as_ref().map(|changes| !changes.is_empty());
    let heading = Heading { made: Some(made(&saved.made)), stale: changes.unwrap_or_default() };
    let shown =
        Shown { plan: &saved.document, made: &saved.made, undo: &saved.undo, stale, changes: &heading.stale };
    args.drawing.print(&saved.document, &heading, &shown)?;
    Ok(match (args.detailed_exitcode, stale) {
        (false, _) => Exit::Done,
        (true, Some(true)) => Exit::Stale,
        (true, _) if saved.document.is_empty() => Exit::Done,
        (true, _) => Exit::Pending,
    })
}

/// Lists what makes the plan stale; empty while it can be applied.
fn changes(context: &Context, saved: &Saved) -> Result<Vec<String>, Failure> {
    saved::permit_host(saved.made.host.as_deref(), context.host().as_deref())?;
    let kernel = context.reading()?;
    Ok(match saved.check(kernel.as_ref(), &BTreeSet::new(), &map::places(), Trust::of_root().believed())? {
        Freshness::Fresh { .. } => Vec::new(),
        Freshness::Applied => vec![APPLIED.to_string()],
        Freshness::Stale(changes) => changes.iter().map(ToString::to_string).collect(),
    })
}

/// The text about a plan that was applied.
pub(crate) const APPLIED: &str = "it was applied: the kernel is as the plan wants it";

fn made(made: &Made) -> String {
    match &made.created_at {
        Some(when) => format!("Made {when} by dmctl {}.", made.version),
        None => format!("Made by dmctl {}.", made.version),
    }
}

impl From<SavedError> for Failure {
    fn from(error: SavedError) -> Self {
        match error {
            SavedError::Kernel(error) => error.into(),
            error => Self::new(Exit::Error, error),
        }
    }
}
