//! Opens the control node, and makes calls on it.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use devicemapper::{DM, DmError, errors};
use nix::errno::Errno;
use nix::sys::stat::{self, Mode, SFlag};

use super::raw::{self, Command};
use super::wire::{Answer, HEADER, Malformed, Request, Unwritable, flag};
use crate::kernel::{Call, Id, KernelError};

/// The control node of Device Mapper.
pub(super) const CONTROL: &str = "/dev/mapper/control";
/// The largest buffer the kernel takes.
const MAX_ROOM: usize = 1 << 30;

/// The open control node.
pub(super) struct Control {
    dm: DM,
    /// The number of calls. It is logged at the end, because the log may be on a device that is suspended.
    calls: AtomicU64,
}

impl Control {
    pub(crate) fn open() -> Result<Self, KernelError> {
        // The crate's error is a text; the error of a plain open tells the reason.
        if let Err(error) = File::open(CONTROL) {
            make_node(&error)?;
        }
        let dm = DM::new().map_err(|error| missing(&io::Error::other(error)))?;
        let control = Self { dm, calls: AtomicU64::new(0) };
        match control.dm().version() {
            Ok(_) => Ok(control),
            Err(error) if errno(&error) == Some(Errno::EACCES) => Err(missing(&Errno::EACCES.into())),
            Err(error) => Err(refused(Call::Version, String::new(), error)),
        }
    }

    /// Gives the node to the devicemapper crate, for one call.
    pub(crate) fn dm(&self) -> &DM {
        self.calls.fetch_add(1, Ordering::Relaxed);
        &self.dm
    }

    /// Performs `command`, and repeats it with more room until the answer fits. The first try has little room, because
    /// all of it is wiped later.
    pub(crate) fn call(&self, command: Command, request: &Request) -> Result<Answer, Errno> {
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

/// Returns the room, in bytes, that an answer gets at first.
fn first_room(command: Command) -> usize {
    match command {
        // A message takes effect each time: it can't be sent again when the answer did not fit.
        Command::ListDevices | Command::TargetMessage => 16 * 1024,
        // The tables of most devices are one row.
        Command::TableStatus => 512,
        // The answer is only the header.
        _ => HEADER,
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        tracing::debug!("calls to Device Mapper: {}", self.calls.load(Ordering::Relaxed));
    }
}

/// Makes the control node where Device Mapper is there and nothing made the node, as in a container without udev. `error`
/// is the answer to an attempt to open it. libdevmapper does the same (`_create_control` in `libdm-iface.c` of lvm2).
fn make_node(error: &io::Error) -> Result<(), KernelError> {
    let numbers = (error.kind() == ErrorKind::NotFound).then(control_number).flatten();
    let Some((major, minor)) = numbers else { return Err(missing(error)) };
    let device = stat::makedev(major.into(), minor.into());
    let folder = Path::new(CONTROL).parent().map_or(Ok(()), fs::create_dir_all);
    let made = folder.and_then(|()| {
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        stat::mknod(CONTROL, SFlag::S_IFCHR, mode, device).map_err(io::Error::from)
    });
    let opened = made.and_then(|()| File::open(CONTROL).map(drop));
    opened.map_err(|error| KernelError::NoControl {
        message: format!(
            "{CONTROL} does not exist, though Device Mapper is loaded ({major}:{minor}), and can't be made: {error}; \
             `mknod {CONTROL} c {major} {minor}` makes it. A simulated kernel (`--kernel FILE`) works without it"
        ),
    })?;
    tracing::info!("made {CONTROL}, which was missing");
    Ok(())
}

/// Returns the number of the control node; `None` where Device Mapper is not loaded.
fn control_number() -> Option<(u32, u32)> {
    let devices = fs::read_to_string("/proc/devices").ok()?;
    let misc = fs::read_to_string("/proc/misc").ok()?;
    number_of(&devices, &misc)
}

/// Reads the number: the major number of `misc` among the character devices, and the minor number of `device-mapper`.
fn number_of(devices: &str, misc: &str) -> Option<(u32, u32)> {
    let entry = |line: &str, name: &str| {
        let (number, found) = line.trim().split_once(' ')?;
        if found.trim() == name { number.parse().ok() } else { None }
    };
    let mut characters = devices.lines().take_while(|line| !line.starts_with("Block devices"));
    let major = characters.find_map(|line| entry(line, "misc"))?;
    Some((major, misc.lines().find_map(|line| entry(line, "device-mapper"))?))
}

/// Explains why the control node can't be used, and how to mend that.
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
    KernelError::NoControl {
        message: format!("{why}. A simulated kernel (`--kernel FILE`) works without it"),
    }
}

/// Returns the errno in an error of the devicemapper crate.
pub(super) fn errno(error: &DmError) -> Option<Errno> {
    if let DmError::Core(errors::Error::Ioctl(_, _, _, errno)) = error { Some(**errno) } else { None }
}

/// Converts an error of the devicemapper crate. Where the kernel answered, the crate's text is left out: it is a
/// dump of both headers.
pub(super) fn refused(call: Call, device: String, error: DmError) -> KernelError {
    match errno(&error) {
        Some(errno) => KernelError::Refused { call, device, errno, log: None },
        None => KernelError::Io { what: call.on(&device), source: io::Error::other(error) },
    }
}

/// Converts the error of a request that can't be written.
pub(super) fn unwritable(call: Call, device: &str, why: Unwritable) -> KernelError {
    let why = match why {
        Unwritable::Nul => "it holds a NUL character, where the kernel would cut it",
        Unwritable::TooLong => "it is longer than the kernel reads",
    };
    let source = io::Error::new(ErrorKind::InvalidInput, why);
    KernelError::Io { what: call.on(device), source }
}

/// Converts the error of an answer that is malformed.
pub(super) fn malformed(call: Call, device: &str, _: Malformed) -> KernelError {
    let source = io::Error::new(ErrorKind::InvalidData, "the kernel's answer is cut short");
    KernelError::Io { what: call.on(device), source }
}

/// Returns the device as a person knows it.
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
    fn the_number_of_the_control_node_is_in_two_lists() {
        let devices =
            "Character devices:\n  1 mem\n 10 misc\n\nBlock devices:\n 10 misc\n254 device-mapper\n";
        assert_eq!(number_of(devices, "236 device-mapper\n 58 rfkill\n"), Some((10, 236)));
        assert_eq!(number_of(devices, " 58 rfkill\n"), None);
        assert_eq!(
            number_of("Character devices:\n\nBlock devices:\n 10 misc\n", "236 device-mapper\n"),
            None
        );
    }

    #[test]
    fn a_refusal_is_the_errno_and_no_dump_of_headers() {
        let error = errors::Error::Ioctl(4, None, None, Box::new(Errno::EBUSY));
        let error = refused(Call::Remove, "data".to_string(), DmError::Core(error));
        assert_eq!(error.errno(), Some(Errno::EBUSY));
        assert_eq!(error.to_string(), "the kernel refused to remove data: EBUSY, device or resource busy");
    }
}
