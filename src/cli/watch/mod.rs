//! `dmctl watch`: follows a map and a kernel for as long as the host runs.
//!
//! One wait on descriptors, and nothing that wakes by itself. `look` compares and puts right, `tell` says what
//! was seen, `service` speaks with systemd; when to look is up to [`crate::watch::Pace`].

mod args;
mod look;
mod parts;
mod service;
mod tell;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use crate::watch::{Bell, Cause, Heard, Pace, WatchError};
use anyhow::anyhow;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::signals::Signals;
pub(crate) use args::Args;
use look::{Next, Watch};
use service::Service;

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
