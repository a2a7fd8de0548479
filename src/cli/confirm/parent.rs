//! The process in front of the daemon: it starts it, copies what it prints, hands signals on, and ends as the apply ended.

use std::env;
use std::io::{self, PipeReader, Read, pipe};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command};

use anyhow::anyhow;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::relay::Relay;
use super::reporter::PIPES;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::report::untold;
use crate::cli::signals;

/// This program, as it runs.
const PROGRAM: &str = "/proc/self/exe";

/// The daemon, as its parent has it.
pub(super) struct Daemon {
    process: Child,
    /// For how the apply ended.
    exit: PipeReader,
    /// Standard output and standard error.
    output: [Relay; 2],
    signals: UnixStream,
}

/// Runs this program again, with pipes back to this process.
pub(super) fn start() -> io::Result<Daemon> {
    let ((exit, to_exit), (stdout, to_stdout), (stderr, to_stderr)) = (pipe()?, pipe()?, pipe()?);
    let output = [Relay::new(stdout, &io::stdout())?, Relay::new(stderr, &io::stderr())?];
    let writers = [to_exit, to_stdout, to_stderr];
    for writer in &writers {
        fcntl(writer, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    let numbers = writers.each_ref().map(|writer| writer.as_raw_fd().to_string()).join(",");
    let signals = signals::wake()?;
    let mut command = Command::new(PROGRAM);
    command.arg0("dmctl").args(env::args_os().skip(1)).env(PIPES, numbers);
    let process = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::other(format!("{PROGRAM} is not there: /proc must be mounted")),
        _ => error,
    })?;
    Ok(Daemon { process, exit, output, signals })
}

/// What the parent waits for.
enum Source {
    /// How the apply ended.
    Exit,
    Signals,
    /// One of the two outputs, by its index.
    Output(usize),
}

impl Daemon {
    /// Hands signals on and copies output until the daemon has reported how the apply ended, and ends like that.
    pub(super) fn follow(mut self) -> Result<Exit, Failure> {
        // From here on the daemon may have changed something.
        let failed =
            |error: Errno| Failure::new(Exit::Inconsistent, anyhow!("the guard can't be followed: {error}"));
        // The pid is not given to another process before this one has waited for it.
        let pid = i32::try_from(self.process.id()).map(Pid::from_raw).map_err(|_| failed(Errno::ERANGE))?;
        let mut reported = None;
        loop {
            let ready = self.wait(reported.is_some()).map_err(failed)?;
            if ready.is_empty() && reported.is_some() {
                break;
            }
            for source in ready {
                match source {
                    Source::Exit => {
                        let mut byte = [0];
                        let length = self.exit.read(&mut byte).unwrap_or_default();
                        reported = Some((length > 0).then_some(byte[0]));
                    }
                    // A reader that is stopped holds up the rest of the output, and would do so for ever.
                    Source::Signals if reported.is_some() => return self.end(reported.flatten()),
                    Source::Signals => {
                        let _ = self.signals.read(&mut [0; 64]);
                        let _ = kill(pid, Signal::SIGTERM);
                    }
                    Source::Output(index) => self.output[index].copy(),
                }
            }
        }
        self.end(reported.flatten())
    }

    /// Waits for something to do. Once the daemon has `reported`, it has printed everything: then nothing more to do is
    /// the end.
    fn wait(&self, reported: bool) -> Result<Vec<Source>, Errno> {
        let input = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut awaited = vec![(Source::Signals, input(self.signals.as_fd()))];
        if !reported {
            awaited.push((Source::Exit, input(self.exit.as_fd())));
        }
        let open = self.output.iter().enumerate().filter(|(_, relay)| !relay.is_done());
        awaited.extend(open.map(|(index, relay)| (Source::Output(index), relay.awaited())));
        let (sources, mut fds): (Vec<_>, Vec<_>) = awaited.into_iter().unzip();
        let drained = reported && !self.output.iter().any(Relay::has_text);
        let patience = if drained { PollTimeout::ZERO } else { PollTimeout::NONE };
        while let Err(errno) = poll(&mut fds, patience) {
            if errno != Errno::EINTR {
                return Err(errno);
            }
        }
        let ready = sources.into_iter().zip(&fds).filter(|(_, fd)| fd.any().unwrap_or_default());
        Ok(ready.map(|(source, _)| source).collect())
    }

    /// Ends as the daemon reported.
    fn end(mut self, reported: Option<u8>) -> Result<Exit, Failure> {
        let Some(code) = reported else {
            let ended = self.process.wait();
            if ended.is_ok_and(|ended| ended.signal().is_some_and(signals::is_caught_by_apply)) {
                return Err(Failure::new(Exit::Error, anyhow!("told to end before anything was changed")));
            }
            return Err(Failure::new(
                Exit::Inconsistent,
                anyhow!("the process that applied was killed on its way"),
            )
            .hint("`dmctl repair` sets right what it left, `dmctl apply` goes on from there"));
        };
        let exit = Exit::ALL.into_iter().find(|known| *known as u8 == code).unwrap_or(Exit::Error);
        match self.output[0].lost().and_then(untold) {
            Some(failure) if exit == Exit::Done => {
                Err(failure.hint("it waits to be confirmed: `dmctl status` tells until when"))
            }
            _ => Ok(exit),
        }
    }
}
