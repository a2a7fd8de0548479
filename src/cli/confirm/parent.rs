//! The process in front of the daemon: it starts it, hands signals on, and ends as the apply ended.

use std::env;
use std::fs::File;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use anyhow::anyhow;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::PollTimeout;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, close};

use super::wait::{Readable, readable};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::print;
use crate::cli::signals;

/// The variable by which a process knows that it is the daemon: the number of the pipe to its parent.
const PIPE: &str = "DMCTL_GUARD_TELLS";

/// Runs this program again, with a pipe back to this process.
pub(super) fn start() -> io::Result<(Child, PipeReader)> {
    let (reader, writer) = io::pipe()?;
    fcntl(&writer, FcntlArg::F_SETFD(FdFlag::empty()))?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("dmctl").args(env::args_os().skip(1)).env(PIPE, writer.as_raw_fd().to_string());
    Ok((command.spawn()?, reader))
}

/// Hands signals on to the daemon until it reports how the apply ended, and ends like that.
pub(super) fn follow(mut daemon: Child, mut pipe: PipeReader) -> Result<Exit, Failure> {
    let failed = |error: io::Error| Failure::new(Exit::Error, error);
    let signals = signals::wake().map_err(failed)?;
    let pid =
        i32::try_from(daemon.id()).map(Pid::from_raw).map_err(|error| Failure::new(Exit::Error, error))?;
    loop {
        match readable(&pipe, &signals, PollTimeout::NONE).map_err(failed)? {
            Readable::First => break,
            Readable::Other => {
                let _ = (&signals).read(&mut [0; 64]);
                // The pid is not given to another process before this one has waited for it.
                let _ = kill(pid, Signal::SIGTERM);
            }
            Readable::Neither => {}
        }
    }
    let mut message = Vec::new();
    pipe.read_to_end(&mut message).map_err(failed)?;
    let Some((exit, text)) = message.split_first() else {
        let _ = daemon.wait();
        return Err(Failure::new(
            Exit::Inconsistent,
            anyhow!("the process that applied was killed on its way"),
        )
        .hint("`dmctl repair` sets right what it left, `dmctl apply` goes on from there"));
    };
    print(&String::from_utf8_lossy(text))?;
    Ok(Exit::ALL.into_iter().find(|known| *known as u8 == *exit).unwrap_or(Exit::Error))
}

/// Returns the number of the pipe to the parent, when this process is the daemon.
pub(super) fn pipe() -> Option<String> {
    env::var(PIPE).ok()
}

/// Reports to the parent, which may have ended: a report need not arrive.
pub(super) struct Reporter(File);

impl Reporter {
    pub(super) fn open(number: &str) -> io::Result<Self> {
        let number: RawFd = number.parse().map_err(io::Error::other)?;
        let pipe = File::options().write(true).open(format!("/proc/self/fd/{number}"))?;
        close(number)?;
        Ok(Self(pipe))
    }

    /// Reports how the apply ended, and what the parent prints on standard output.
    pub(super) fn report(mut self, exit: Exit, text: &str) {
        let _ = self.0.write_all(&[&[exit as u8], text.as_bytes()].concat());
    }
}
