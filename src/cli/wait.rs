//! `dmctl wait`: waits until the processes of devices are finished.

use std::io::{self, IsTerminal as _};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::config::parse_duration;
use crate::health::{self, DeviceHealth, HealthDocument, Outlook};
use crate::identity::Name;
use crate::kernel::live::Events;
use crate::kernel::{Id, ReadKernel};
use crate::ops::{self, OpError};
use crate::watch::Waker;
use anyhow::anyhow;
use clap::ValueEnum;
use std::os::fd::AsFd as _;

use super::complete;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::note::note;
use super::output::{Output, print_line};
use super::signals;

/// The longest time between two looks: not every process ends with an event.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Wait until devices are finished: hydrated, written back, merged, in sync, recalculated
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl wait data\n  dmctl wait data --timeout 10min\n  dmctl wait usb --until present\n  dmctl wait data --json"
)]
pub(crate) struct Args {
    /// The devices: a name, a path of it, or its number
    #[arg(value_name = "NAME", required = true, add = complete::names())]
    names: Vec<String>,
    /// What to wait for
    #[arg(long, value_name = "STATE", default_value = "done")]
    until: Until,
    /// Give up after this time, with exit code 1; without it, never
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    output: Output,
}

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Until {
    /// Its processes are finished, and nothing is left that has no other copy
    Done,
    /// It serves I/O as it should
    Ok,
    /// It exists
    Present,
    /// It does not exist
    Gone,
}

/// What a look at a device found.
enum Look {
    /// It is as it is waited for.
    Reached,
    /// Not yet: what is left.
    NotYet(Vec<String>),
    /// It can't get there: why not.
    Never(Vec<String>),
}

/// Waits for every device. Exit 1 when the time is up, 8 when a device can't get there.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let failed = |error| Failure::new(Exit::Error, error);
    let end = args.timeout.map(|timeout| Instant::now() + timeout);
    context.catch_signals()?;
    let waker = Waker::new().map_err(failed)?;
    let _woken = signals::wake_too(&waker).map_err(failed)?;
    let events = if context.is_live() { Some(Events::open()?) } else { None };
    let mut shown = Shown::default();
    loop {
        // Armed first, looked at then: what comes in between is an event.
        events.as_ref().map_or(Ok(()), Events::arm)?;
        let kernel = context.reading()?;
        let healths = read(kernel.as_ref(), &args.names, args.until)?;
        let mut left = Vec::new();
        for (name, health) in &healths {
            match look(health.as_ref(), args.until) {
                Look::Reached => {}
                Look::NotYet(says) => left.push(format!("{name}: {}", says.join("; "))),
                Look::Never(says) => {
                    let error = anyhow!("{name} can't get there: {}", says.join("; "));
                    return Err(Failure::new(Exit::Unwell, error));
                }
            }
        }
        if left.is_empty() {
            shown.end();
            return Ok(Exit::Done);
        }
        shown.show(&left, &healths, &args.output)?;
        if context.stop().load(Ordering::Relaxed) {
            return Err(Failure::new(Exit::Error, anyhow!("told to end; left: {}", left.join(", "))));
        }
        let now = Instant::now();
        if end.is_some_and(|end| now >= end) {
            return Err(Failure::new(Exit::Error, anyhow!("the time is up; left: {}", left.join(", "))));
        }
        if !context.is_live() && end.is_none() {
            let error = anyhow!(
                "a simulated kernel does not go on by itself, so this would never end; left: {}. Give the row another \
                 `status` in its file, or say --timeout",
                left.join(", ")
            );
            return Err(Failure::new(Exit::Error, error));
        }
        let next = now + LOOK_AGAIN;
        let until = end.map_or(next, |end| end.min(next));
        waker.wait(events.as_ref().map(Events::as_fd), Some(until)).map_err(failed)?;
        waker.take_events();
    }
}

/// Reads how each device fares; `None` for one that does not exist, where that is what is waited for.
fn read(
    kernel: &dyn ReadKernel,
    names: &[String],
    until: Until,
) -> Result<Vec<(String, Option<DeviceHealth>)>, Failure> {
    let mut healths = Vec::new();
    for name in names {
        let found = match ops::find(kernel, name) {
            Ok(entry) => Some(entry),
            Err(OpError::Missing { .. } | OpError::NotMapped(_))
                if matches!(until, Until::Present | Until::Gone) =>
            {
                None
            }
            Err(error) => return Err(error.into()),
        };
        let Some(entry) = found else {
            healths.push((name.clone(), None));
            continue;
        };
        let health = health::read(kernel, &Id::stable(&entry.name, entry.uuid.as_ref()))?;
        let shown: Name = entry.name;
        healths.push((shown.to_string(), health));
    }
    Ok(healths)
}

fn look(health: Option<&DeviceHealth>, until: Until) -> Look {
    let not_yet = |says: &str| Look::NotYet(vec![says.to_string()]);
    match (until, health) {
        (Until::Present, Some(_)) | (Until::Gone, None) => Look::Reached,
        (Until::Present, None) => not_yet("it does not exist yet"),
        (Until::Gone, Some(_)) => not_yet("it still exists"),
        (Until::Done | Until::Ok, None) => Look::Never(vec!["it does not exist any more".to_string()]),
        (Until::Ok, Some(health)) if health.health().is_well() => Look::Reached,
        (Until::Ok, Some(health)) => Look::NotYet(health.says()),
        (Until::Done, Some(health)) => match health.outlook() {
            Outlook::Finished => Look::Reached,
            Outlook::GoesOn(says) => Look::NotYet(says),
            Outlook::Stuck(says) => Look::Never(says),
        },
    }
}

/// What was shown of the progress.
#[derive(Default)]
struct Shown {
    last: Vec<String>,
    is_line: bool,
}

impl Shown {
    /// Shows what is left, where that has changed: to a program as a document on a line, to a person on a line of the
    /// terminal that is drawn again and again.
    fn show(
        &mut self,
        left: &[String],
        healths: &[(String, Option<DeviceHealth>)],
        output: &Output,
    ) -> Result<(), Failure> {
        if self.last == left {
            return Ok(());
        }
        self.last = left.to_vec();
        if output.is_json() {
            let devices = healths.iter().filter_map(|(_, health)| health.as_ref());
            print_line(&HealthDocument::of(devices))?;
        } else if io::stderr().is_terminal() {
            super::progress::redraw(&left.join(", "));
            self.is_line = true;
        }
        Ok(())
    }

    /// Ends the line on the terminal.
    fn end(&self) {
        if self.is_line {
            note("");
        }
    }
}
