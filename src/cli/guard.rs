//! `apply --confirm-within`: put back unless `dmctl confirm` comes, whatever becomes of this process and of its
//! terminal.
//!
//! dmctl runs itself again, in a session of its own. That process, the guard, does everything that an apply does,
//! keeps the way back in its memory, and waits. The one in front only waits for the guard to tell how the apply
//! ended. The lock stays taken until it is decided: nobody builds on what may be taken back.

use std::fs::{self, File};
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use std::{env, mem};

use anyhow::anyhow;
use dmctl::apply::Applied;
use dmctl::config::parse_duration;
use dmctl::confirm::{self, Post};
use dmctl::kernel::MemoryLock;
use dmctl::plan::{Action, Plan};
use dmctl::policy::Class;
use jiff::Timestamp;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, close, dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use super::apply::done;
use super::context::{Context, Held};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{note, print};
use super::signals;

/// Tells the guard that it is one: the number of the pipe to whoever started it.
const TELL: &str = "DMCTL_GUARD_TELLS";

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
    let describe =
        |step: &dmctl::plan::Step| format!("{} {} [{}]", step.action.name(), step.name, step.class);
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
    for step in plan.steps.iter().filter(|step| matches!(step.action, Action::Message | Action::SetUuid)) {
        note(format_args!(
            "warning: {} {} stays, even if the rest is put back",
            step.action.name(),
            step.name
        ));
    }
    Ok(())
}

/// Writes down that the plan is going to be applied.
pub fn take_post(context: &Context, plan: &Plan) -> Result<Post, Failure> {
    Ok(Post::take(&context.confirmation()?, plan.steps.len()).map_err(unwritten)?)
}

fn unwritten(error: io::Error) -> Failure {
    Failure::new(Exit::Error, anyhow!("that this waits to be confirmed can't be written down: {error}"))
}

/// Applies, and waits. `act` applies; it fills the post before anything is changed, and returns nothing when
/// there was nothing to do.
pub fn run<'c>(
    context: &'c Context,
    within: Duration,
    json: bool,
    act: impl FnOnce(&mut Option<Post>) -> Result<Option<(Held<'c>, Applied)>, Failure>,
) -> Result<Exit, Failure> {
    let failed = |error: io::Error| Failure::new(Exit::Error, anyhow!("the guard can't be started: {error}"));
    match env::var(TELL) {
        Ok(number) => guard(context, within, Teller::open(&number).map_err(failed)?, act),
        Err(_) => {
            let (child, told) = start().map_err(failed)?;
            front(child, told, json)
        }
    }
}

/// Runs this program again, with a pipe back to here.
fn start() -> io::Result<(Child, PipeReader)> {
    let (reader, writer) = io::pipe()?;
    fcntl(&writer, FcntlArg::F_SETFD(FdFlag::empty()))?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("dmctl").args(env::args_os().skip(1)).env(TELL, writer.as_raw_fd().to_string());
    Ok((command.spawn()?, reader))
}

/// What is left to do in front: to hand on signals, and to end as the apply ended.
fn front(mut child: Child, mut told: PipeReader, json: bool) -> Result<Exit, Failure> {
    let failed = |error: io::Error| Failure::new(Exit::Error, error);
    let signals = signals::wake().map_err(failed)?;
    let pid =
        i32::try_from(child.id()).map(Pid::from_raw).map_err(|error| Failure::new(Exit::Error, error))?;
    while !ready(told.as_fd(), signals.as_fd(), PollTimeout::NONE).map_err(failed)? {
        drain(&signals);
        // It is there until it is waited for.
        let _ = kill(pid, Signal::SIGTERM);
    }
    let mut message = Vec::new();
    told.read_to_end(&mut message).map_err(failed)?;
    let Some((exit, text)) = message.split_first() else {
        let _ = child.wait();
        return Err(Failure::new(Exit::Left, anyhow!("the process that applied was killed on its way"))
            .hint("`dmctl repair` sets right what it left, `dmctl apply` goes on from there"));
    };
    let text = String::from_utf8_lossy(text);
    if json {
        text.lines().for_each(note);
    } else {
        print(&text)?;
    }
    Ok(Exit::ALL.into_iter().find(|known| *known as u8 == *exit).unwrap_or(Exit::Error))
}

/// The pipe to whoever started the guard. That may be gone by now, so nothing that is told has to arrive.
struct Teller(File);

impl Teller {
    fn open(number: &str) -> io::Result<Self> {
        let number: RawFd = number.parse().map_err(io::Error::other)?;
        let pipe = File::options().write(true).open(format!("/proc/self/fd/{number}"))?;
        close(number)?;
        Ok(Self(pipe))
    }

    fn tell(mut self, exit: Exit, text: &str) {
        let _ = self.0.write_all(&[&[exit as u8], text.as_bytes()].concat());
    }
}

fn guard<'c>(
    context: &'c Context,
    within: Duration,
    teller: Teller,
    act: impl FnOnce(&mut Option<Post>) -> Result<Option<(Held<'c>, Applied)>, Failure>,
) -> Result<Exit, Failure> {
    // Away from the terminal: neither its end nor its keys reach this process.
    setsid().map_err(|errno| Failure::new(Exit::Error, anyhow!("no session of its own: {errno}")))?;
    let signals = signals::outlive_terminal().and_then(|()| signals::wake());
    let signals = signals.map_err(|error| Failure::new(Exit::Error, error))?;
    let mut post = None;
    let (held, applied) = match act(&mut post) {
        Ok(Some(applied)) => applied,
        ended => {
            if let Some(post) = post {
                let _ = post.leave();
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
    let written = post.wait_until(until);
    let text = match &written {
        Ok(()) => format!(
            "{}Waiting for `dmctl confirm` until {}, or everything is put back.\n",
            done(post.steps()),
            until.strftime("%H:%M:%S UTC")
        ),
        Err(error) => format!("Nobody could be told, so everything is put back: {error}\n"),
    };
    teller.tell(if written.is_ok() { Exit::Done } else { Exit::PutBack }, &text);
    let _memory = settle_down(context.is_live());
    if written.is_ok() && is_confirmed(&post, deadline, &signals) {
        let _ = post.leave();
    } else if post.give_up() {
        put_back(context, &held, applied, &mut post);
    } else {
        let _ = post.leave();
    }
    // Whoever waits for the post to be empty finds the lock free.
    mem::drop(held);
    Ok(Exit::Done)
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

/// Waits until it is confirmed, or time is up, or this process is told to end.
fn is_confirmed(post: &Post, deadline: Instant, signals: &impl AsFd) -> bool {
    let watch = watch(post.token());
    loop {
        if fs::symlink_metadata(post.token()).is_err() {
            return true;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        // A part of a millisecond left is no reason to look again and again.
        let left = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        let Ok(watch) = &watch else { return false };
        match ready(watch.as_fd(), signals.as_fd(), left) {
            Ok(true) => drop(watch.read_events()),
            Ok(false) | Err(_) => return false,
        }
    }
}

/// Something to read comes out of this when the file is removed.
fn watch(token: &Path) -> nix::Result<Inotify> {
    let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    watch.add_watch(token, AddWatchFlags::IN_ATTRIB | AddWatchFlags::IN_DELETE_SELF)?;
    Ok(watch)
}

/// Waits for something to read: true when it is in the first, false when it is in the other or time is up.
fn ready(first: impl AsFd, other: impl AsFd, left: PollTimeout) -> io::Result<bool> {
    let mut fds =
        [PollFd::new(first.as_fd(), PollFlags::POLLIN), PollFd::new(other.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut fds, left) {
            Err(nix::errno::Errno::EINTR) => {}
            outcome => {
                outcome?;
                return Ok(fds[0].any().unwrap_or_default());
            }
        }
    }
}

/// Reads what is there to be read.
fn drain(mut signals: impl Read) {
    let _ = signals.read(&mut [0; 64]);
}

fn put_back(context: &Context, held: &Held<'_>, applied: Applied, post: &mut Post) {
    let patience = context.patience();
    let left = held
        .change(|kernel| Ok(applied.put_back(kernel, patience)))
        .unwrap_or_else(|failure| vec![format!("{failure}; `dmctl plan` shows what is to be done")]);
    if context.is_live() {
        log(&left);
    }
    let _ = post.put_back(Timestamp::now(), left);
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
        let _ = fs::write("/dev/kmsg", line.replace('\n', " "));
    }
}

/// What waits, if anything does, in a sentence.
pub fn pending(context: &Context) -> Result<Option<(confirm::Found, String)>, Failure> {
    let found =
        confirm::Found::read(&context.confirmation()?).map_err(|error| Failure::new(Exit::Error, error))?;
    Ok(found.map(|found| {
        let says = found.says(Timestamp::now());
        (found, says)
    }))
}
