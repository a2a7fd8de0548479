//! Copies what the daemon prints to standard output or standard error of its parent.

use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, Read as _, Write as _};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags};

use crate::cli::stdout::CHUNK;

/// A pipe that is copied. What can't be written is read all the same: the daemon must not find its pipe full.
pub(super) struct Relay {
    from: PipeReader,
    to: File,
    /// What was read and is to be written.
    text: Vec<u8>,
    lost: Option<io::Error>,
    ended: bool,
}

impl Relay {
    /// Copies `from` to the descriptor `to`.
    pub(super) fn new(from: PipeReader, to: &impl AsFd) -> io::Result<Self> {
        let to = File::from(to.as_fd().try_clone_to_owned()?);
        Ok(Self { from, to, text: Vec::new(), lost: None, ended: false })
    }

    /// Whether everything was copied: the daemon prints no more.
    pub(super) fn is_done(&self) -> bool {
        self.ended && !self.has_text()
    }

    /// Whether something was read that is still to be written.
    pub(super) fn has_text(&self) -> bool {
        !self.text.is_empty()
    }

    /// Returns what to wait for before [`copy`](Self::copy).
    pub(super) fn awaited(&self) -> PollFd<'_> {
        if self.has_text() {
            PollFd::new(self.to.as_fd(), PollFlags::POLLOUT)
        } else {
            PollFd::new(self.from.as_fd(), PollFlags::POLLIN)
        }
    }

    /// Reads or writes a part.
    pub(super) fn copy(&mut self) {
        let copied = if self.has_text() { self.write() } else { self.read() };
        match copied {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(error) => {
                self.text.clear();
                self.lost = self.lost.take().or(Some(error));
            }
        }
    }

    fn read(&mut self) -> io::Result<()> {
        let mut chunk = [0; CHUNK];
        let length = self.from.read(&mut chunk)?;
        self.ended = length == 0;
        if self.lost.is_none() {
            self.text.extend_from_slice(&chunk[..length]);
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        match self.to.write(&self.text)? {
            0 => Err(ErrorKind::WriteZero.into()),
            written => {
                self.text.drain(..written);
                Ok(())
            }
        }
    }

    /// Returns why something could not be written.
    pub(super) fn lost(&self) -> Option<&io::Error> {
        self.lost.as_ref()
    }
}
