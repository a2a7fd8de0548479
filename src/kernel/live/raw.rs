//! The ioctl itself, and all the `unsafe` there is in dmctl.
//!
//! Every call of the Device Mapper interface passes one buffer: the header, 312 bytes, and what follows it.
//! The kernel reads and writes as many bytes as the header's `data_size` says, so that field is filled in
//! here, from the length of the buffer, and nowhere else.

#![expect(
    unsafe_code,
    reason = "the devicemapper crate offers no secure reads, no uuids in the list, and no changes that wait for nobody"
)]

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;

use super::wire::{DATA_SIZE, HEADER};

/// The type of Device Mapper's ioctls, `DM_IOCTL` in `linux/dm-ioctl.h`.
const DM_IOCTL: u8 = 0xfd;

/// The commands that go this way, with their numbers in `linux/dm-ioctl.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Command {
    ListDevices = 2,
    Remove = 4,
    Rename = 5,
    Suspend = 6,
    DeviceStatus = 7,
    TableLoad = 9,
    TableStatus = 12,
    TargetMessage = 14,
    ArmPoll = 16,
}

/// Performs `command` on the control node; the answer replaces the request in `buffer`.
pub(super) fn ioctl(control: BorrowedFd<'_>, command: Command, buffer: &mut [u8]) -> Result<(), Errno> {
    if buffer.len() < HEADER {
        return Err(Errno::EINVAL);
    }
    let size = u32::try_from(buffer.len()).map_err(|_| Errno::EOVERFLOW)?;
    buffer[DATA_SIZE..DATA_SIZE + 4].copy_from_slice(&size.to_ne_bytes());
    let request = nix::request_code_readwrite!(DM_IOCTL, command as u8, HEADER);
    // SAFETY: the descriptor is open for as long as it is borrowed. The kernel touches only the `data_size`
    // bytes from the pointer on; the line above sets that field to the length of `buffer`, which is borrowed
    // mutably for the whole call. Any bytes the kernel leaves there are valid for `u8`.
    let answer = unsafe { libc::ioctl(control.as_raw_fd(), request, buffer.as_mut_ptr()) };
    Errno::result(answer).map(drop)
}
