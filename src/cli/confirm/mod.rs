//! `dmctl confirm`: keeps what `apply --confirm-within` did. The processes of such an apply are here, too.

mod daemon;
mod parent;
mod relay;
mod reporter;
mod trial;
mod wait;
pub(crate) mod within;

use crate::confirm::{self, ConfirmState, Outcome, Phase};
use anyhow::anyhow;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::report::Report;
pub(crate) use daemon::run as run_daemon;
pub(crate) use trial::Trial;

/// Keep what `apply --confirm-within` did; exit 1 if nothing waits, or it is too late
///
/// Without it everything is put back when the time is up. `dmctl status` tells until when that is, and what became
/// of it. This also clears the record of such an apply.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl apply mappings.toml --confirm-within 60s && dmctl confirm\n  dmctl confirm"
)]
pub(crate) struct Args {}

/// Confirms the apply that waits.
pub(crate) fn run(context: &Context, _: &Args) -> Result<Exit, Failure> {
    let path = context.confirmation()?;
    let failed = |error| Failure::new(Exit::Error, anyhow!("it can't be confirmed: {error}"));
    match confirm::confirm(&path).map_err(failed)? {
        Outcome::Kept => kept("Kept.\n"),
        Outcome::Nothing => Err(Failure::new(Exit::Error, anyhow!("nothing waits to be confirmed"))),
        Outcome::TooEarly(found) => {
            Err(Failure::new(Exit::Error, anyhow!("too early: {}", found.describe())))
        }
        // The process that would put it back is gone.
        Outcome::TooLate(found) if found.record.phase == Phase::Waiting => {
            kept(&format!("Kept: {}.\n", found.describe()))
        }
        Outcome::TooLate(found) => Err(Failure::new(Exit::Error, anyhow!("too late: {}", found.describe()))),
    }
}

/// Tells that an apply is kept, which is decided by now.
fn kept(text: &str) -> Result<Exit, Failure> {
    let mut report = Report::default();
    report.tell(text);
    report.end()
}

/// Reads the state of an apply that waits to be confirmed, with a sentence about it.
pub(crate) fn state(context: &Context) -> Result<Option<(ConfirmState, String)>, Failure> {
    let path = context.confirmation()?;
    let state = ConfirmState::read(&path).map_err(|error| Failure::new(Exit::Error, error))?;
    Ok(state.map(|state| {
        let sentence = state.describe();
        (state, sentence)
    }))
}
