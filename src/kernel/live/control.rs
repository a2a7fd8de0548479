//! The control node: opening it, and calls on it.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use devicemapper::{DM, DmError, errors};
use nix::errno::Errno;

use super::raw::{self, Command};
use super::wire::{Answer, HEADER, Malformed, Request, Unwritable, flag};
use crate::kernel::{Call, Id, KernelError};

/// Where Device Mapper takes its commands.
pub(super) const CONTROL: &str = "/dev/mapper/control";
/// The largest buffer the kernel takes.
const MAX_ROOM: usize = 1 << 30;

/// The open control node.
pub(super) struct Control {
    dm: DM,
    /// How many calls were made. Counted and told at the end, for nothing may be logged while a device is
    /// suspended: the log may be on it.
    calls: AtomicU64,
}

impl Control {
    pub fn open() -> Result<Self, KernelError> {
        // The crate's error is a text; which of the reasons it is shows in the error of the open itself.
        File::open(CONTROL).map_err(|error| missing(&error))?;
        let dm = DM::new().map_err(|error| missing(&io::Error::other(error)))?;
        let control = Self { dm, calls: AtomicU64::new(0) };
        match control.dm().version() {
            Ok(_) => Ok(control),
            Err(error) if errno(&error) == Some(Errno::EACCES) => Err(missing(&Errno::EACCES.into())),
            Err(error) => Err(refused(Call::Version, String::new(), error)),
        }
    }

    /// The same node, for one call that the devicemapper crate makes.
    pub fn dm(&self) -> &DM {
        self.calls.fetch_add(1, Ordering::Relaxed);
        &self.dm
    }

    /// Performs `command` and gives the answer as much room as it needs, little at first: all of it is wiped later.
    pub fn call(&self, command: Command, request: &Request) -> Result<Answer, Errno> {
        let mut room = first_room(command);
        loop {
            let mut buffer = request.buffer(room);
            raw::ioctl(self.dm().file().as_fd(), command, &mut buffer)?;
            let answer = Answer(buffer);
            if answer.flags().is_ok_and(|flags| flags & flag::BUFFER_FULL == 0) {
                return Ok(answer);
            }
            if room >= MAX_ROOM {
                return Err(Errno::EOVERFLOW);
            }
            room *= 2;
        }
    }
}

/// The room that an answer gets at first.
fn first_room(command: Command) -> usize {
    match command {
        // A message does what it does: it can't be sent again for an answer that found no room.
        Command::ListDevices | Command::TargetMessage => 16 * 1024,
        // The tables of most devices are one row.
        Command::TableStatus => 512,
        // The header is all there is.
        _ => HEADER,
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        tracing::debug!("calls to Device Mapper: {}", self.calls.load(Ordering::Relaxed));
    }
}

/// Why the control node can't be used, and what helps.
pub(super) fn missing(error: &io::Error) -> KernelError {
    let why = match error.kind() {
        ErrorKind::PermissionDenied => {
            format!("{CONTROL} can't be used without privilege: run dmctl as root (it needs CAP_SYS_ADMIN)")
        }
        ErrorKind::NotFound => {
            format!("{CONTROL} does not exist: Device Mapper isn't loaded; load it with `modprobe dm_mod`")
        }
        _ => format!(
            "{CONTROL} can't be opened ({error}): no Device Mapper answers there; load it with `modprobe dm_mod`"
        ),
    };
    KernelError::NoControl { says: format!("{why}. A simulated kernel (`--kernel FILE`) works without it") }
}

/// The errno in an error of the devicemapper crate.
pub(super) fn errno(error: &DmError) -> Option<Errno> {
    if let DmError::Core(errors::Error::Ioctl(_, _, _, errno)) = error { Some(**errno) } else { None }
}

/// An error of the devicemapper crate as one of dmctl. What the crate says of itself is left out where the
/// kernel answered: its text is a dump of both headers.
pub(super) fn refused(call: Call, device: String, error: DmError) -> KernelError {
    match errno(&error) {
        Some(errno) => KernelError::Refused { call, device, errno, log: None },
        None => KernelError::Io { what: call.on(&device), source: io::Error::other(error) },
    }
}

/// A request that could not be made, as an error.
pub(super) fn unwritable(call: Call, device: &str, why: Unwritable) -> KernelError {
    let why = match why {
        Unwritable::Nul => "it holds a NUL character, where the kernel would cut it",
        Unwritable::TooLong => "it is longer than the kernel reads",
    };
    let source = io::Error::new(ErrorKind::InvalidInput, why);
    KernelError::Io { what: call.on(device), source }
}

/// An answer that makes no sense, as an error.
pub(super) fn malformed(call: Call, device: &str, _: Malformed) -> KernelError {
    let source = io::Error::new(ErrorKind::InvalidData, "the kernel's answer is cut short");
    KernelError::Io { what: call.on(device), source }
}

/// The device, as a person knows it.
pub(super) fn label(id: &Id) -> String {
    match id {
        Id::Name(name) => name.to_string(),
        Id::Uuid(uuid) => uuid.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_with_what_helps() {
        for (errno, says) in [
            (Errno::EACCES, "run dmctl as root (it needs CAP_SYS_ADMIN)"),
            (Errno::ENOENT, "load it with `modprobe dm_mod`"),
            (Errno::ENODEV, "load it with `modprobe dm_mod`"),
        ] {
            let message = missing(&errno.into()).to_string();
            assert!(message.starts_with(CONTROL), "{message}");
            assert!(message.contains(says), "{message}");
            assert!(message.contains("`--kernel FILE`"), "{message}");
        }
    }

    #[test]
    fn a_refusal_is_the_errno_and_no_dump_of_headers() {
        let error = errors::Error::Ioctl(4, None, None, Box::new(Errno::EBUSY));
        let error = refused(Call::Remove, "data".to_string(), DmError::Core(error));
        assert_eq!(error.errno(), Some(Errno::EBUSY));
        assert_eq!(error.to_string(), "the kernel refused to remove data: EBUSY, device or resource busy");
    }
}
