//! `dmctl deactivate`: removes the devices of a map that are not in use.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::apply::Silent;
use crate::config::parse_duration;
use crate::plan::document::Document;
use crate::plan::{Deactivation, deactivate};
use crate::render::Heading;

use super::apply::perform;
use super::context::Context;
use super::drawing;
use super::exit::Exit;
use super::failure::Failure;
use super::note::note;
use super::plan::Allow;
use super::report::Report;
use super::selection::Selection;

/// The pause before a device that is in use is tried again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Remove the devices of a map that are not in use, upper ones first; the others stay, and are named
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl deactivate mappings.toml\n  dmctl deactivate /etc/dmctl --stack home --wait 10s"
)]
pub(crate) struct Args {
    /// Map files, directories of `*.toml`, or `-` for standard input; several files form one map
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    selection: Selection,
    /// How long to wait for those that use a device to let go of it
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    wait: Duration,
    #[command(flatten)]
    allow: Allow,
}

/// Removes the devices. A device in use stays, and that is not a failure.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let map = args.selection.read(&args.files, context.trust_to_apply())?;
    let began = Instant::now();
    let waits = |now: &Deactivation| {
        (now.is_in_use() && began.elapsed() < args.wait)
            || (now.is_looked_at() && began.elapsed() < context.patience())
    };
    context.changing("deactivate", |kernel| {
        let closed = || deactivate(kernel, &map, &args.allow.classes());
        let mut now = closed()?;
        while waits(&now) && !context.stop().load(Ordering::Relaxed) {
            thread::sleep(LOOK_AGAIN);
            now = closed()?;
        }
        for step in &now.kept {
            let why = step.refused.as_ref().map(ToString::to_string).unwrap_or_default();
            note(format_args!("`{}` stays: {why}", step.name));
        }
        let report = Report::new(context.stopping())
            .announce(&drawing::text(&Document::of(&now.plan), &Heading::default()))?;
        perform(context, kernel, &now.plan, &mut Silent)?;
        report.end()
    })
}
