//! `apply --confirm-within`: puts everything back unless `dmctl confirm` comes, whatever becomes of this process and
//! of its terminal.
//!
//! dmctl runs itself again, in a session of its own. That process, the daemon, does everything that an apply does,
//! keeps in its memory how to undo each step, and waits. Its parent, in front, copies to the terminal what the daemon
//! prints from the first change on, until the daemon reports how the apply ended. The lock stays taken until it is decided: no other dmctl builds on what may be put back.

use std::fs::{self, File};
use std::time::{Duration, Instant};
use std::{env, io, mem};

use crate::apply::Applied;
use crate::confirm::PendingApply;
use crate::kernel::MemoryLock;
use crate::render::events::Event;
use anyhow::anyhow;
use jiff::Timestamp;
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use super::parent;
use super::reporter::{self, Reporter};
use super::trial::Trial;
use crate::cli::context::{Context, Held};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::progress;
use crate::cli::report::Report;

/// Applies, and waits for `within` to be confirmed. `act` applies: it begins the trial before anything is changed, and
/// returns `None` when there was nothing to do.
pub(crate) fn run<'c>(
    context: &'c Context,
    within: Duration,
    output: &Output,
    act: impl FnOnce(&mut Trial) -> Result<Option<(Held<'c>, Applied, Report)>, Failure>,
) -> Result<Exit, Failure> {
    let failed = |error: io::Error| Failure::new(Exit::Error, anyhow!("the guard can't be started: {error}"));
    match reporter::pipes() {
        Some(numbers) => {
            let mut trial = Trial::new(Reporter::open(&numbers).map_err(failed)?);
            let exit = exit(daemon(context, within, output, &mut trial, act));
            trial.reporter.report(exit);
            Ok(exit)
        }
        None => parent::start().map_err(failed)?.follow(),
    }
}

/// Is the daemon, and returns how the apply ended where that is not reported yet.
fn daemon<'c>(
    context: &'c Context,
    within: Duration,
    output: &Output,
    trial: &mut Trial,
    act: impl FnOnce(&mut Trial) -> Result<Option<(Held<'c>, Applied, Report)>, Failure>,
) -> Result<Exit, Failure> {
    // Away from the terminal: neither its end nor its keys reach this process.
    setsid().map_err(|errno| Failure::new(Exit::Error, anyhow!("no session of its own: {errno}")))?;
    // A signal ends this process until it has the lock, as it ends any other apply: nothing is changed yet.
    Trial::end_with_parent();
    let (held, applied, report) = match act(trial) {
        Ok(Some(applied)) => applied,
        ended => {
            if let Some(pending) = trial.pending.take() {
                let _ = pending.discard();
            }
            return ended.map(|_| Exit::Done);
        }
    };
    let (Some(mut pending), Some((watch, signals))) = (trial.pending.take(), trial.ends.take()) else {
        return Ok(Exit::Done);
    };
    let deadline = Instant::now() + within;
    let until = Timestamp::now() + within;
    let written = pending.wait_until(until, within).and_then(|()| watch.add(pending.token()));
    if let Err(error) = written {
        pending.begin_rollback();
        let left = roll_back(context, &held, applied, &mut pending);
        // The process in front tells how it ended, so a record of it is not needed.
        let _ = pending.discard();
        return Err(report.fail(unrecorded(&error, &left)));
    }
    let steps = pending.steps();
    // Where it can't be, that is told while there is a terminal.
    let _memory = context.is_live().then(MemoryLock::acquire);
    trial.reporter.report(exit(waiting(&applied, until, steps, (output, report))));
    settle_down(context);
    watch.wait(pending.token(), deadline, &signals);
    if pending.begin_rollback() {
        roll_back(context, &held, applied, &mut pending);
    } else {
        let _ = pending.discard();
    }
    // A process that waits for the record to go finds the lock free.
    mem::drop(held);
    Ok(Exit::Done)
}

/// Reports a failure, and returns how the process ends.
fn exit(ended: Result<Exit, Failure>) -> Exit {
    ended.unwrap_or_else(|failure| {
        failure.report();
        failure.exit()
    })
}

/// Describes an apply that was put back because its record could not be written; `left` is what is not as it was.
fn unrecorded(error: &io::Error, left: &[String]) -> Failure {
    let reason = format!("that this waits to be confirmed can't be written down: {error}");
    match left {
        [] => Failure::new(Exit::RolledBack, anyhow!("{reason}; everything was put back")),
        left => Failure::new(Exit::Inconsistent, anyhow!("{reason}; this is left:\n  {}", left.join("\n  "))),
    }
}

/// Tells of the wait. A device node that does not follow is an error, as output that can't be written is, but the wait
/// begins all the same.
fn waiting(
    applied: &Applied,
    until: Timestamp,
    steps: usize,
    (output, mut report): (&Output, Report),
) -> Result<Exit, Failure> {
    let unsettled = applied.unsettled();
    let time = until.strftime("%H:%M:%S UTC");
    if output.is_json() {
        report.event(&Event::Waiting { until: until.to_string() });
    } else {
        let done = if unsettled.is_none() { progress::applied(steps) } else { String::new() };
        report.tell(&format!("{done}Waiting for `dmctl confirm` until {time}, or everything is put back.\n"));
    }
    match unsettled {
        Some(error) => Err(report.fail(Failure::new(Exit::Inconsistent, anyhow!("{error}")))),
        None => report.end(),
    }
    .map_err(|failure| {
        failure.hint(format!("everything is put back unless `dmctl confirm` comes until {time}"))
    })
}

/// Closes the terminal, and leaves the folder that may be on a mount: putting everything back has to work when little else
/// does.
fn settle_down(context: &Context) {
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = dup2_stdin(&null).and(dup2_stdout(&null)).and(dup2_stderr(&null));
    }
    if !context.is_live() {
        return;
    }
    let _ = env::set_current_dir("/");
    // The kernel ends another process when memory is short.
    let _ = fs::write("/proc/self/oom_score_adj", "-1000");
}

/// Puts everything back, and returns what is not as it was.
fn roll_back(
    context: &Context,
    held: &Held<'_>,
    applied: Applied,
    pending: &mut PendingApply,
) -> Vec<String> {
    let patience = context.patience();
    let left: Vec<String> = held
        .change(|kernel| Ok(applied.roll_back(kernel, patience).iter().map(ToString::to_string).collect()))
        .unwrap_or_else(|failure| vec![format!("{failure}; `dmctl plan` shows what is to be done")]);
    if context.is_live() {
        log(&left);
    }
    let _ = pending.end_rollback(Timestamp::now(), left.clone());
    left
}

/// Writes to the kernel's log, which is kept after the terminal is gone.
fn log(left: &[String]) {
    let lines = match left {
        [] => vec!["<5>dmctl: not confirmed in time, everything was put back".to_string()],
        left => left
            .iter()
            .map(|left| format!("<3>dmctl: not confirmed in time, and not put back: {left}"))
            .collect(),
    };
    for line in lines {
        let _ = fs::write("/dev/kmsg", line.replace('\n', " ") + "\n");
    }
}
