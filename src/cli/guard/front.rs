//! The process in front of a guard: it starts it, hands signals on, and ends as the apply ended.

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

use super::watch::{Readable, readable};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::print;
use crate::cli::signals;

/// Tells the guard that it is one: the number of the pipe to whoever started it.
const TELL: &str = "DMCTL_GUARD_TELLS";

/// Runs this program again, with a pipe back to here.
pub fn start() -> io::Result<(Child, PipeReader)> {
    let (reader, writer) = io::pipe()?;
    fcntl(&writer, FcntlArg::F_SETFD(FdFlag::empty()))?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("dmctl").args(env::args_os().skip(1)).env(TELL, writer.as_raw_fd().to_string());
    Ok((command.spawn()?, reader))
}

/// What is left to do in front: to hand on signals, and to end as the apply ended.
pub fn front(mut child: Child, mut told: PipeReader) -> Result<Exit, Failure> {
    let failed = |error: io::Error| Failure::new(Exit::Error, error);
    let signals = signals::wake().map_err(failed)?;
    let pid =
        i32::try_from(child.id()).map(Pid::from_raw).map_err(|error| Failure::new(Exit::Error, error))?;
    loop {
        match readable(&told, &signals, PollTimeout::NONE).map_err(failed)? {
            Readable::First => break,
            Readable::Other => {
                let _ = (&signals).read(&mut [0; 64]);
                // It is there until it is waited for.
                let _ = kill(pid, Signal::SIGTERM);
            }
            Readable::Neither => {}
        }
    }
    let mut message = Vec::new();
    told.read_to_end(&mut message).map_err(failed)?;
    let Some((exit, text)) = message.split_first() else {
        let _ = child.wait();
        return Err(Failure::new(Exit::Left, anyhow!("the process that applied was killed on its way"))
            .hint("`dmctl repair` sets right what it left, `dmctl apply` goes on from there"));
    };
    print(&String::from_utf8_lossy(text))?;
    Ok(Exit::ALL.into_iter().find(|known| *known as u8 == *exit).unwrap_or(Exit::Error))
}

/// The number of the pipe, when this process is a guard.
pub fn is_guard() -> Option<String> {
    env::var(TELL).ok()
}

/// The pipe to whoever started the guard. That may be gone by now, so nothing that is told has to arrive.
pub struct Teller(File);

impl Teller {
    pub fn open(number: &str) -> io::Result<Self> {
        let number: RawFd = number.parse().map_err(io::Error::other)?;
        let pipe = File::options().write(true).open(format!("/proc/self/fd/{number}"))?;
        close(number)?;
        Ok(Self(pipe))
    }

    pub fn tell(mut self, exit: Exit, text: &str) {
        let _ = self.0.write_all(&[&[exit as u8], text.as_bytes()].concat());
    }
}
