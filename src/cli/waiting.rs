//! Waits for the lower devices of a map before it is applied: by events, and for all of them together.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Map;
use crate::diff::Unjudgeable;
use crate::identity::Key;
use crate::observed::{Awaited, awaited};
use crate::plan::{self, Obstacle};
use crate::render::events::{AwaitedDevice, Event};
use crate::watch::{Cause, Files, Waker};
use anyhow::anyhow;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::note::note;
use super::output::{Output, print_line};
use super::signals;

/// The longest time between two looks for a device that is written as a number: without udev no path of it is known.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Waits until the lower devices of `map` are there, or the time of each mapping is over. A plan that is made after this
/// waits no more, so `wait` is taken out of the map. Standard error tells what is waited for; with `--json` an event does.
pub(super) fn for_lower_devices(context: &Context, map: &mut Map, output: &Output) -> Result<(), Failure> {
    let waits = map.mappings.values().any(|mapping| !mapping.wait.is_zero());
    if waits {
        wait(context, map, output)?;
        map.mappings.values_mut().for_each(|mapping| mapping.wait = Duration::ZERO);
    }
    Ok(())
}

fn wait(context: &Context, map: &Map, output: &Output) -> Result<(), Failure> {
    let start = Instant::now();
    let look = || -> Result<Vec<Awaited>, Failure> {
        Ok(awaited(context.reading()?.as_ref(), map, start, Instant::now())?)
    };
    if look()?.is_empty() {
        return Ok(());
    }
    // A live table goes on without the nodes of its devices: a mapping that needs no other waits for none.
    let stuck = without_devices(context, map)?;
    let look = || -> Result<Vec<Awaited>, Failure> {
        let mut missing = look()?;
        missing.retain(|one| one.mappings.iter().any(|key| stuck.contains(key)));
        Ok(missing)
    };
    if stuck.is_empty() {
        return Ok(());
    }
    let failed = |error| Failure::new(Exit::Error, error);
    let waker = Waker::new().map_err(failed)?;
    let stop = Arc::clone(context.stopping());
    context.catch_signals()?;
    let _woken = signals::wake_too(&waker).map_err(failed)?;
    // The devices of a simulated kernel come into its file.
    let state = context.simulated().map(|file| (file.to_path_buf(), Cause::Kernel));
    let mut files = Files::new(state.into_iter().collect(), &waker)?;
    let mut told = BTreeSet::new();
    loop {
        // Followed first, looked for then: what comes in between is an event.
        let expected = look()?;
        if context.is_live() {
            files.expect(expected.iter().flat_map(Awaited::paths).collect())?;
        }
        let missing = look()?;
        if missing.is_empty() {
            return Ok(());
        }
        tell(&missing, &mut told, output)?;
        let numbered = missing.iter().any(|one| one.device.path().is_none());
        let first = missing.iter().map(|one| start + one.wait).min();
        let until = first.map(|first| if numbered { first.min(Instant::now() + LOOK_AGAIN) } else { first });
        waker.wait(None, until).map_err(failed)?;
        waker.take_events();
        if stop.load(std::sync::atomic::Ordering::Relaxed) {
            let missing: Vec<String> = missing.iter().map(|one| one.device.to_string()).collect();
            let error = anyhow!("told to end while waiting for {}; nothing was changed", missing.join(", "));
            return Err(Failure::new(Exit::Error, error));
        }
    }
}

/// Lists the mappings that can't have their table without a lower device that is not found, or may have another one.
fn without_devices(context: &Context, map: &Map) -> Result<BTreeSet<Key>, Failure> {
    let plan = plan::plan(context.reading()?.as_ref(), map, &BTreeSet::new())?;
    let missing =
        plan.conflicts.into_iter().filter(|one| matches!(one.reason, Obstacle::LowerMissing { .. }));
    let unjudged = plan.unjudged.into_iter().filter(|one| matches!(one.reason, Unjudgeable::Lower { .. }));
    Ok(missing.map(|one| one.mapping).chain(unjudged.map(|one| one.mapping)).collect())
}

/// Tells what is waited for, each device once.
fn tell(missing: &[Awaited], told: &mut BTreeSet<String>, output: &Output) -> Result<(), Failure> {
    let new: Vec<&Awaited> = missing.iter().filter(|one| told.insert(one.device.to_string())).collect();
    if new.is_empty() {
        return Ok(());
    }
    if output.is_json() {
        let devices = new.iter().map(|one| AwaitedDevice {
            device: one.device.to_string(),
            mappings: one.mappings.iter().map(ToString::to_string).collect(),
            seconds: one.wait.as_secs_f64(),
        });
        return print_line(&Event::WaitingForDevices { devices: devices.collect() });
    }
    for one in new {
        let mappings: Vec<String> = one.mappings.iter().map(|key| format!("`{key}`")).collect();
        note(format_args!(
            "waiting up to {:?} for {}, a lower device of {}",
            one.wait,
            one.device,
            mappings.join(", ")
        ));
    }
    Ok(())
}
