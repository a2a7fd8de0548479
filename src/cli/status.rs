//! `dmctl status`: shows the state of each mapping.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::confirm::ConfirmState;
use crate::kernel::Unseen;
use crate::render::{self, ColorMode};
use crate::status::{self, Entry};
use serde::Serialize;

use super::confirm;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::map;
use super::note::note_unseen;
use super::output::Output;

/// Show how each mapping stands: in sync, drifted, missing, suspended, pending, leftover, foreign; and which devices are not
/// well
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  dmctl status mappings.toml\n  dmctl status\n  dmctl status --json")]
pub(crate) struct Args {
    /// Map files; without any, every device that a dmctl owner has is looked at
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Status {
    /// The state of an apply that waits to be confirmed, or its outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    confirm: Option<ConfirmState>,
    mappings: Vec<Entry>,
    /// What could not be seen.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    unseen: BTreeSet<Unseen>,
}

/// Shows the states. A mapping that is not in sync ends the run with 2, a device that is not well with 8.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let (mappings, unseen) = if args.files.is_empty() {
        status::of_owned(context.reading()?.as_ref())?
    } else {
        let map = map::read_with_keys(&args.files, context.trust_to_read())?;
        (status::of_map(context.reading_for(&map)?.as_ref(), &map)?, BTreeSet::new())
    };
    let exit = exit(&mappings);
    // The states of the mappings are shown where the record can't be read, too.
    let (waiting, unread) = match confirm::state(context) {
        Ok(waiting) => (waiting, None),
        Err(failure) => (None, Some(failure)),
    };
    let (confirm, sentence) = waiting.unzip();
    note_unseen(&unseen);
    let status = Status { confirm, mappings, unseen };
    let text = || {
        let sentence = sentence.map(|sentence| format!("{sentence}\n\n")).unwrap_or_default();
        sentence + &render::status(&status.mappings, ColorMode::Colour)
    };
    args.output.print(text, &status)?;
    if let Some(failure) = unread {
        return Err(failure);
    }
    Ok(exit)
}

/// Drift counts more than a device that is not well: an apply may be what mends it.
fn exit(mappings: &[Entry]) -> Exit {
    if mappings.iter().any(|entry| !entry.is_settled()) {
        Exit::Pending
    } else if mappings.iter().any(|entry| entry.fares.is_unwell()) {
        Exit::Unwell
    } else {
        Exit::Done
    }
}
