//! The pipes of the daemon to its parent: one for how the apply ended, and two for what it prints.
//!
//! From the first change on the daemon writes to no terminal and to no pipe of others: where the reader is stopped, such a
//! write waits for ever, and a trial would neither begin nor end. What it prints goes to its parent, through pipes that
//! never wait.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::RawFd;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};

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
        let numbers = distinct(numbers)?;
        // Each is looked at before one is closed: another file could get its number.
        numbers.iter().try_for_each(|number| is_pipe(*number))?;
        let [exit, stdout, stderr] = numbers;
        Ok(Self { exit: Some(open(exit)?), output: Some([open(stdout)?, open(stderr)?]) })
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

/// Reads three different numbers, none of which is that of a standard stream.
fn distinct(numbers: &str) -> io::Result<[RawFd; 3]> {
    let wrong = || io::Error::other("not the numbers of three pipes");
    let read: Vec<RawFd> =
        numbers.split(',').map(str::parse).collect::<Result<_, _>>().map_err(io::Error::other)?;
    let numbers: [RawFd; 3] = read.try_into().map_err(|_| wrong())?;
    let [one, two, three] = numbers;
    let is_fit = numbers.iter().all(|number| *number > 2) && one != two && two != three && one != three;
    if is_fit { Ok(numbers) } else { Err(wrong()) }
}

fn is_pipe(number: RawFd) -> io::Result<()> {
    let is_pipe = fs::metadata(format!("/proc/self/fd/{number}"))?.file_type().is_fifo();
    if is_pipe { Ok(()) } else { Err(io::Error::other(format!("{number} is not a pipe"))) }
}

/// Opens a pipe by its number, for writes that never wait. Other processes that have the pipe are not concerned.
fn open(number: RawFd) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK.bits();
    let pipe = File::options().write(true).custom_flags(flags).open(format!("/proc/self/fd/{number}"))?;
    close(number)?;
    Ok(pipe)
}
