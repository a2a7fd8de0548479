//! `dmctl watch`: follows a map and a kernel for as long as the host runs.
//!
//! One wait on descriptors, and nothing that wakes by itself. `look` compares and puts right, `tell` says what
//! was seen, `service` speaks with systemd; when to look is up to [`crate::watch::Pace`].

mod look;
mod parts;
mod service;
mod tell;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::watch::{Bell, Cause, Heard, Pace, WatchError};
use anyhow::anyhow;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use super::plan::Allow;
use super::signals::Signals;
use look::{Next, Watch};
use service::Service;

/// Follow a map and the kernel: tell what changes, and with --apply put it right
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl watch /etc/dmctl\n  dmctl watch /etc/dmctl --apply\n  dmctl watch /etc/dmctl --apply --each-stack\n  dmctl watch mappings.toml --apply --allow remap\n  dmctl watch mappings.toml --json | jq --unbuffered -r .event"
)]
pub struct Args {
    /// Map files and directories of `*.toml`, that need not exist yet; several are one map
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Apply what the policy of the map allows, until an apply fails
    #[arg(long)]
    apply: bool,
    /// Follow each stack by itself, as its unit does at boot: what is wrong with one holds no other up, and one that
    /// says `noauto` is followed only while it is up
    #[arg(long)]
    each_stack: bool,
    #[command(flatten)]
    allow: Allow,
    #[command(flatten)]
    output: Output,
}

/// Follows them until a signal ends it.
pub fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    if args.files.iter().any(|file| file == Path::new("-")) {
        return Err(Failure::new(Exit::Usage, anyhow!("standard input can't be watched; name files")));
    }
    let failed = |error| Failure::new(Exit::Error, error);
    let bell = Bell::new().map_err(failed)?;
    let signals = Signals::ring(&bell).map_err(failed)?;
    let mut service = Service::new();
    let mut watch = Watch::new(context, args, &bell, &signals)?;
    let mut pace = Pace::default();
    let mut causes = Some(BTreeSet::from([Cause::Start]));
    loop {
        if let Some(causes) = causes {
            let next = watch.look(&causes, &mut service)?;
            service.ready(watch.status());
            match next {
                Next::Wait => {}
                Next::Again(pause) => pace.again(Instant::now(), pause),
                Next::End(exit) => return Ok(exit),
            }
        }
        let until = pace.due().into_iter().chain(service.due()).min();
        let woken = bell.wait(watch.events(), until).map_err(failed)?;
        let now = Instant::now();
        if signals.stop() {
            return Ok(Exit::Done);
        }
        service.alive(now);
        if signals.asked() {
            service.reloading();
            pace.heard(Heard::Changed(Cause::Asked), now);
        }
        if woken.other {
            watch.arm()?;
            pace.heard(Heard::Changed(Cause::Kernel), now);
        }
        bell.heard().into_iter().for_each(|what| pace.heard(what, now));
        causes = pace.take(now);
    }
}

impl From<WatchError> for Failure {
    fn from(error: WatchError) -> Self {
        Self::new(Exit::Error, error)
    }
}
