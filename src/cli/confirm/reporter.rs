//! The pipes of the daemon to its parent: one for how the apply ended, and two for what it prints.
//!
//! From the first change on the daemon writes to no terminal and to no pipe of others: where the reader is stopped, such a
//! write waits for ever, and a trial would neither begin nor end. What it prints goes to its parent, through pipes that
//! never wait.

use std::env;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::RawFd;
use std::os::unix::fs::OpenOptionsExt as _;

use anstream::{AutoStream, ColorChoice};
use nix::fcntl::OFlag;
use nix::unistd::{close, dup2_stderr, dup2_stdout};

use crate::cli::exit::Exit;

/// The variable by which a process knows that it is the daemon: the numbers of its pipes, separated by commas.
pub(super) const PIPES: &str = "DMCTL_GUARD_TELLS";

/// Returns the numbers of the pipes to the parent, when this process is the daemon.
pub(super) fn pipes() -> Option<String> {
    env::var(PIPES).ok()
}

/// Reports to the parent, which may have ended: a report need not arrive.
pub(super) struct Reporter {
    /// For how the apply ended, until that is reported.
    exit: Option<File>,
    /// For standard output and standard error, until they are used.
    output: Option<[File; 2]>,
}

impl Reporter {
    /// Opens the pipes with these numbers.
    pub(super) fn open(numbers: &str) -> io::Result<Self> {
        let mut pipes = numbers.split(',').map(open);
        let mut next = || pipes.next().unwrap_or_else(|| Err(io::Error::other("a pipe is missing")));
        Ok(Self { exit: Some(next()?), output: Some([next()?, next()?]) })
    }

    /// Prints to the parent from now on, in the colours of the terminal.
    pub(super) fn leave_terminal(&mut self) -> io::Result<()> {
        let Some([stdout, stderr]) = self.output.take() else { return Ok(()) };
        let choice = AutoStream::choice(&io::stderr());
        dup2_stdout(&stdout)?;
        dup2_stderr(&stderr)?;
        ColorChoice::write_global(choice);
        Ok(())
    }

    /// Reports how the apply ended, once.
    pub(super) fn report(&mut self, exit: Exit) {
        if let Some(mut pipe) = self.exit.take() {
            let _ = pipe.write_all(&[exit as u8]);
        }
    }
}

/// Opens a pipe by its number, for writes that never wait. Other processes that have the pipe are not concerned.
fn open(number: &str) -> io::Result<File> {
    let number: RawFd = number.parse().map_err(io::Error::other)?;
    let flags = OFlag::O_NONBLOCK.bits();
    let pipe = File::options().write(true).custom_flags(flags).open(format!("/proc/self/fd/{number}"))?;
    close(number)?;
    Ok(pipe)
}
