//! `apply --confirm-within`: puts everything back unless `dmctl confirm` comes, whatever becomes of this process and
//! of its terminal.
//!
//! dmctl runs itself again, in a session of its own. That process, the daemon, does everything that an apply does,
//! keeps in its memory how to undo each step, and waits. Its parent, in front, only waits for the daemon to report how
//! the apply ended. The lock stays taken until it is decided: no other dmctl builds on what may be put back.

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

use super::parent::{self, Reporter};
use super::wait::RemovalWatch;
use crate::cli::context::{Context, Held};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, line};
use crate::cli::{progress, signals};

/// Applies, and waits for `within` to be confirmed. `act` applies: it sets the pending apply before anything is changed,
/// and returns `None` when there was nothing to do.
pub(crate) fn run<'c>(
    context: &'c Context,
    within: Duration,
    output: &Output,
    act: impl FnOnce(&mut Option<PendingApply>) -> Result<Option<(Held<'c>, Applied)>, Failure>,
) -> Result<Exit, Failure> {
    let failed = |error: io::Error| Failure::new(Exit::Error, anyhow!("the guard can't be started: {error}"));
    if let Some(number) = parent::pipe() {
        return daemon(context, within, output, Reporter::open(&number).map_err(failed)?, act);
    }
    let (daemon, pipe) = parent::start().map_err(failed)?;
    parent::follow(daemon, pipe)
}

fn daemon<'c>(
    context: &'c Context,
    within: Duration,
    output: &Output,
    reporter: Reporter,
    act: impl FnOnce(&mut Option<PendingApply>) -> Result<Option<(Held<'c>, Applied)>, Failure>,
) -> Result<Exit, Failure> {
    // Away from the terminal: neither its end nor its keys reach this process.
    setsid().map_err(|errno| Failure::new(Exit::Error, anyhow!("no session of its own: {errno}")))?;
    // A signal that comes before anything is applied counts, too.
    context.catch_signals()?;
    let signals = signals::wake().map_err(|error| Failure::new(Exit::Error, error))?;
    let watch = RemovalWatch::new().map_err(|error| Failure::new(Exit::Error, error))?;
    let mut pending = None;
    let (held, applied) = match act(&mut pending) {
        Ok(Some(applied)) => applied,
        ended => {
            if let Some(pending) = pending {
                let _ = pending.discard();
            }
            let exit = ended.map_or_else(
                |failure| {
                    failure.report();
                    failure.exit()
                },
                |_| Exit::Done,
            );
            reporter.report(exit, "");
            return Ok(exit);
        }
    };
    let Some(mut pending) = pending else { return Ok(Exit::Done) };
    let deadline = Instant::now() + within;
    let until = Timestamp::now() + within;
    let written = pending.wait_until(until, within).and_then(|()| watch.add(pending.token()));
    let (exit, text) = match &written {
        Ok(()) => waiting(&applied, until, pending.steps(), output)?,
        Err(error) => {
            let error = anyhow!(
                "that this waits to be confirmed can't be written down, so everything is put back: {error}"
            );
            Failure::new(Exit::RolledBack, error).report();
            (Exit::RolledBack, String::new())
        }
    };
    reporter.report(exit, &text);
    let _memory = settle_down(context);
    if written.is_ok() {
        watch.wait(pending.token(), deadline, &signals);
    }
    if pending.begin_rollback() {
        roll_back(context, &held, applied, &mut pending);
    } else {
        let _ = pending.discard();
    }
    // A process that waits for the record to go finds the lock free.
    mem::drop(held);
    Ok(Exit::Done)
}

/// Returns how the apply ended, and the line about the wait. A device node that does not follow is an error, but the
/// wait begins all the same.
fn waiting(
    applied: &Applied,
    until: Timestamp,
    steps: usize,
    output: &Output,
) -> Result<(Exit, String), Failure> {
    let (done, waiting) = if output.is_json() {
        (String::new(), line(&Event::Waiting { until: until.to_string() })?)
    } else {
        let until = until.strftime("%H:%M:%S UTC");
        let waiting = format!("Waiting for `dmctl confirm` until {until}, or everything is put back.\n");
        (progress::applied(steps), waiting)
    };
    let Some(error) = applied.unsettled() else { return Ok((Exit::Done, done + &waiting)) };
    Failure::new(Exit::Inconsistent, anyhow!("{error}")).report();
    Ok((Exit::Inconsistent, waiting))
}

/// Closes the terminal, leaves the folder that may be on a mount, and stays in memory: putting everything back has to
/// work when little else does.
fn settle_down(context: &Context) -> Option<MemoryLock> {
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = dup2_stdin(&null).and(dup2_stdout(&null)).and(dup2_stderr(&null));
    }
    if !context.is_live() {
        return None;
    }
    let _ = env::set_current_dir("/");
    // The kernel ends another process when memory is short.
    let _ = fs::write("/proc/self/oom_score_adj", "-1000");
    MemoryLock::acquire()
}

fn roll_back(context: &Context, held: &Held<'_>, applied: Applied, pending: &mut PendingApply) {
    let patience = context.patience();
    let left = held
        .change(|kernel| Ok(applied.roll_back(kernel, patience).iter().map(ToString::to_string).collect()))
        .unwrap_or_else(|failure| vec![format!("{failure}; `dmctl plan` shows what is to be done")]);
    if context.is_live() {
        log(&left);
    }
    let _ = pending.end_rollback(Timestamp::now(), left);
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
