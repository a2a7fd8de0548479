//! The events of the running kernel: some device changed.
//!
//! Device Mapper counts global events, and its control node can be polled (`dm_poll` in `drivers/md/dm-ioctl.c`,
//! since Linux 4.14): it is readable once more were counted than when it was armed. Creating,
//! removing and renaming a device count, and so do a swap of tables and an event of a target. Suspending one, a
//! resume that swaps nothing, and loading a table into the inactive slot do not: for those there is no event.
//! Arming belongs to the open file, so events have an open file of their own.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

use super::control::{CONTROL, missing};
use super::raw::{self, Command};
use super::wire::Request;
use crate::kernel::{Call, KernelError};

/// The events of the running kernel.
#[derive(Debug)]
pub struct Events(File);

impl Events {
    /// Opens the control node once more, and arms it.
    ///
    /// # Errors
    ///
    /// [`KernelError::NoControl`] names the missing part; a kernel before Linux 4.14 refuses to arm.
    pub fn open() -> Result<Self, KernelError> {
        let events = Self(File::open(CONTROL).map_err(|error| missing(&error))?);
        events.arm()?;
        Ok(events)
    }

    /// Arms the descriptor: it is readable as soon as a device changes after this call. Changes before it are seen by
    /// reading the kernel after it.
    pub fn arm(&self) -> Result<(), KernelError> {
        let mut buffer = Request::new(0).buffer(0);
        raw::ioctl(self.as_fd(), Command::ArmPoll, &mut buffer).map_err(|errno| KernelError::Refused {
            call: Call::ArmPoll,
            device: String::new(),
            errno,
            log: None,
        })
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
