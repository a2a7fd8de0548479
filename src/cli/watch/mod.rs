//! `dmctl watch`: follows a map and a kernel for as long as the host runs.
//!
//! One wait on descriptors, and nothing that wakes by itself. `reconcile` compares and puts right, `report` prints what
//! was observed, `service` speaks with systemd; when to compare is up to [`crate::watch::Debounce`].

mod args;
mod hold;
mod parts;
mod reconcile;
mod report;
mod service;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use crate::watch::{Cause, Debounce, Event, Waker, WatchError};
use anyhow::anyhow;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::signals::Signals;
pub(crate) use args::Args;
use reconcile::{Next, Reconciler};
use service::Service;

/// Follows the map and the kernel until a signal ends it.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    if args.files.iter().any(|file| file == Path::new("-")) {
        return Err(Failure::new(Exit::Usage, anyhow!("standard input can't be watched; name files")));
    }
    let failed = |error| Failure::new(Exit::Error, error);
    let waker = Waker::new().map_err(failed)?;
    let signals = Signals::catch(&waker).map_err(failed)?;
    let mut service = Service::new();
    let mut reconciler = Reconciler::new(context, args, &waker, &signals)?;
    let mut debounce = Debounce::default();
    let mut causes = Some(BTreeSet::from([Cause::Start]));
    loop {
        if let Some(causes) = causes {
            let next = reconciler.reconcile(&causes, &mut service)?;
            service.ready(reconciler.status());
            match next {
                Next::Wait => {}
                Next::Retry(pause) => debounce.retry_after(Instant::now(), pause),
                Next::End(exit) => return Ok(exit),
            }
        }
        let until = debounce.due().into_iter().chain(service.due()).min();
        let woken = waker.wait(reconciler.events(), until).map_err(failed)?;
        let now = Instant::now();
        if signals.stop() {
            return Ok(Exit::Done);
        }
        service.alive(now);
        if signals.take_reload() {
            service.reloading();
            debounce.record(Event::Changed(Cause::Asked), now);
        }
        if woken.other {
            reconciler.arm()?;
            debounce.record(Event::Changed(Cause::Kernel), now);
        }
        waker.take_events().into_iter().for_each(|event| debounce.record(event, now));
        causes = debounce.take(now);
    }
}

impl From<WatchError> for Failure {
    fn from(error: WatchError) -> Self {
        Self::new(Exit::Error, error)
    }
}
