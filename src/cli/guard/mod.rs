//! `apply --confirm-within`: put back unless `dmctl confirm` comes, whatever becomes of this process and of its
//! terminal.
//!
//! dmctl runs itself again, in a session of its own. That process, the guard, does everything that an apply does,
//! keeps the way back in its memory, and waits. The one in front only waits for the guard to tell how the apply
//! ended. The lock stays taken until it is decided: nobody builds on what may be taken back.

mod front;
mod watch;

use std::fs::{self, File};
use std::time::{Duration, Instant};
use std::{env, io, mem};

use crate::apply::Applied;
use crate::config::parse_duration;
use crate::confirm::{ConfirmState, PendingApply};
use crate::kernel::MemoryLock;
use crate::plan::{Action, Plan, Step};
use crate::policy::Class;
use crate::render::events::Event;
use anyhow::anyhow;
use jiff::Timestamp;
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use super::context::{Context, Held};
use super::exit::Exit;
use super::failure::Failure;
use super::note::note;
use super::output::line;
use super::progress;
use super::signals;
use front::Teller;
use watch::Watch;

/// The longest that may be waited.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads how long it is waited.
pub fn within(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text).map_err(|error| error.to_string())?;
    let sane = (Duration::from_secs(1)..=LONGEST).contains(&time);
    if sane { Ok(time) } else { Err("a time from 1s to 24h".to_string()) }
}

/// Refuses what can't be put back, and names what stays all the same.
pub fn permit(plan: &Plan) -> Result<(), Failure> {
    let describe = |step: &Step| format!("{} {} [{}]", step.action().name(), step.name, step.class);
    let gone = plan.steps.iter().filter(|step| matches!(step.class, Class::Format | Class::Loss));
    let gone: Vec<String> = gone.map(describe).collect();
    if !gone.is_empty() {
        let error = anyhow!(
            "refused, so nothing was changed: nothing brings back what this overwrites or loses: {}",
            gone.join(", ")
        );
        return Err(Failure::new(Exit::Refused, error)
            .hint("`dmctl apply` without --confirm-within does it, for good"));
    }
    for step in plan.steps.iter().filter(|step| matches!(step.action(), Action::Message | Action::SetUuid)) {
        note(format_args!(
            "warning: {} {} stays, even if the rest is put back",
            step.action().name(),
            step.name
        ));
    }
    Ok(())
}

/// Writes down that the plan is going to be applied.
pub fn take_post(context: &Context, plan: &Plan) -> Result<PendingApply, Failure> {
    let says = "that this waits to be confirmed can't be written down";
    PendingApply::begin(&context.confirmation()?, plan.steps.len())
        .map_err(|error| Failure::new(Exit::Error, anyhow!("{says}: {error}")))
}

/// Applies, and waits. `act` applies; it fills the post before anything is changed, and returns nothing when
/// there was nothing to do.
pub fn run<'c>(
    context: &'c Context,
    within: Duration,
    json: bool,
    act: impl FnOnce(&mut Option<PendingApply>) -> Result<Option<(Held<'c>, Applied)>, Failure>,
) -> Result<Exit, Failure> {
    let failed = |error: io::Error| Failure::new(Exit::Error, anyhow!("the guard can't be started: {error}"));
    if let Some(number) = front::is_guard() {
        return guard(context, within, json, Teller::open(&number).map_err(failed)?, act);
    }
    let (child, told) = front::start().map_err(failed)?;
    front::front(child, told)
}

fn guard<'c>(
    context: &'c Context,
    within: Duration,
    json: bool,
    teller: Teller,
    act: impl FnOnce(&mut Option<PendingApply>) -> Result<Option<(Held<'c>, Applied)>, Failure>,
) -> Result<Exit, Failure> {
    // Away from the terminal: neither its end nor its keys reach this process.
    setsid().map_err(|errno| Failure::new(Exit::Error, anyhow!("no session of its own: {errno}")))?;
    // One that comes before anything is applied is not forgotten.
    context.catch_signals()?;
    let signals = signals::wake().map_err(|error| Failure::new(Exit::Error, error))?;
    let watch = Watch::new().map_err(|error| Failure::new(Exit::Error, error))?;
    let mut post = None;
    let (held, applied) = match act(&mut post) {
        Ok(Some(applied)) => applied,
        ended => {
            if let Some(post) = post {
                let _ = post.discard();
            }
            let exit = ended.map_or_else(
                |failure| {
                    failure.report();
                    failure.exit()
                },
                |_| Exit::Done,
            );
            teller.tell(exit, "");
            return Ok(exit);
        }
    };
    let Some(mut post) = post else { return Ok(Exit::Done) };
    let deadline = Instant::now() + within;
    let until = Timestamp::now() + within;
    let written = post.wait_until(until).and_then(|()| watch.on(post.token()));
    let (exit, text) = match &written {
        Ok(()) => said(&applied, until, post.steps(), json)?,
        Err(error) => {
            let says = anyhow!(
                "that this waits to be confirmed can't be written down, so everything is put back: {error}"
            );
            Failure::new(Exit::PutBack, says).report();
            (Exit::PutBack, String::new())
        }
    };
    teller.tell(exit, &text);
    let _memory = settle_down(context.is_live());
    if written.is_ok() {
        watch.wait(post.token(), deadline, &signals);
    }
    if post.begin_rollback() {
        put_back(context, &held, applied, &mut post);
    } else {
        let _ = post.discard();
    }
    // Whoever waits for the post to be empty finds the lock free.
    mem::drop(held);
    Ok(Exit::Done)
}

/// How the apply ended, and the line about the wait. A device node that does not follow is an error, and no reason
/// not to wait.
fn said(applied: &Applied, until: Timestamp, steps: usize, json: bool) -> Result<(Exit, String), Failure> {
    let waiting = if json {
        line(&Event::Waiting { until: until.to_string() })?
    } else {
        let until = until.strftime("%H:%M:%S UTC");
        format!("Waiting for `dmctl confirm` until {until}, or everything is put back.\n")
    };
    let Some(error) = applied.unsettled() else {
        return Ok((Exit::Done, if json { waiting } else { progress::applied(steps) + &waiting }));
    };
    Failure::new(Exit::Left, anyhow!("{error}")).report();
    Ok((Exit::Left, waiting))
}

/// Lets go of the terminal and of whatever is mounted here, and stays in memory: the way back has to work
/// when little else does.
fn settle_down(live: bool) -> Option<MemoryLock> {
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = dup2_stdin(&null).and(dup2_stdout(&null)).and(dup2_stderr(&null));
    }
    if !live {
        return None;
    }
    let _ = env::set_current_dir("/");
    // Nor is this the one to end when memory is short.
    let _ = fs::write("/proc/self/oom_score_adj", "-1000");
    MemoryLock::acquire()
}

fn put_back(context: &Context, held: &Held<'_>, applied: Applied, post: &mut PendingApply) {
    let patience = context.patience();
    let left = held
        .change(|kernel| Ok(applied.put_back(kernel, patience)))
        .unwrap_or_else(|failure| vec![format!("{failure}; `dmctl plan` shows what is to be done")]);
    if context.is_live() {
        log(&left);
    }
    let _ = post.end_rollback(Timestamp::now(), left);
}

/// Tells the kernel's log, which is kept where nobody looks at a terminal.
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

/// What waits, if anything does, in a sentence.
pub fn pending(context: &Context) -> Result<Option<(ConfirmState, String)>, Failure> {
    let found =
        ConfirmState::read(&context.confirmation()?).map_err(|error| Failure::new(Exit::Error, error))?;
    Ok(found.map(|found| {
        let says = found.describe(Timestamp::now());
        (found, says)
    }))
}
