//! The fault campaign: an apply that is killed, told to stop, starved or failed by a disk, over live I/O.
//!
//! Whatever was done to it, afterwards the kernel is in the old state or the new one, or, when the process itself
//! died, the next apply brings it there. Meanwhile readers and writers see no block lost or torn, and none of
//! their calls hangs. Each case says at its end how often it did its harm.

mod chance;
mod deaths;
mod mortal;
mod scarcity;
mod scene;
mod signals;
mod traffic;

use std::env;
use std::process::ExitCode;

use anyhow::Result;

pub use deaths::{a_death_at_any_moment_is_made_good, a_death_at_every_border_is_made_good};
pub use scarcity::{
    a_lower_device_that_fails_in_the_swap_is_survived, memory_that_runs_out_leaves_nothing_suspended,
    nothing_grows_while_devices_are_suspended, two_at_once_take_turns,
};
pub use signals::{
    a_signal_at_any_moment_leaves_one_state_or_the_other,
    a_signal_at_every_border_leaves_one_state_or_the_other,
};

/// What the environment may say: `DMCTL_CAMPAIGN=whole` for all of it, and a seed by which chance decides.
pub const SETTINGS: [&str; 2] = ["DMCTL_CAMPAIGN", "DMCTL_CAMPAIGN_SEED"];

/// Whether all of it is to be tried, which takes minutes, or a sample.
fn is_whole() -> bool {
    env::var(SETTINGS[0]).is_ok_and(|value| value == "whole")
}

/// At how many moments an apply is killed.
fn moments() -> usize {
    if is_whole() { 200 } else { 20 }
}

/// The calls after which an apply is ended: all of them, or each third.
fn borders() -> Result<impl Iterator<Item = usize>> {
    let (first, step) = if is_whole() { (1, 1) } else { (usize::try_from(seed()? % 3)? + 1, 3) };
    Ok((first..).step_by(step))
}

/// A seed that is told, so that it can be given again.
fn seed() -> Result<u64> {
    let chosen =
        || Ok::<_, anyhow::Error>(getrandom::u32().map_err(|error| anyhow::anyhow!("{error}"))?.into());
    let given = env::var(SETTINGS[1]).ok().and_then(|seed| seed.parse().ok());
    let seed = given.map_or_else(chosen, Ok)?;
    println!("    {}={seed}", SETTINGS[1]);
    Ok(seed)
}

/// When this program is to be the process that dies, it is that, and ends.
pub fn perform(arguments: &[String]) -> Option<ExitCode> {
    let [first, rest @ ..] = arguments else { return None };
    (first == mortal::WORD).then(|| {
        mortal::perform(rest).unwrap_or_else(|error| {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        })
    })
}
