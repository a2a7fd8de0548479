//! System calls that no crate offers, and all the `unsafe` of dmctl: the ioctl itself, System V semaphores, the
//! search for a key, leases of files, and a signal that ends a call.
//!
//! Every call of the Device Mapper interface passes one buffer: the header, 312 bytes, and what follows it.
//! The kernel reads and writes as many bytes as the header's `data_size` gives, so that field is filled in
//! here, from the length of the buffer, and nowhere else.
//!
//! A set of semaphores is a number that the kernel gives and checks: a wrong one is an error, and does no other
//! harm.

#![expect(
    unsafe_code,
    reason = "the devicemapper crate offers no secure reads, no uuids in the list, no changes that do not wait for udev; nix has no semaphores, no keyrings, no leases and no safe handlers of signals"
)]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc::{self, c_int};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::wire::{DATA_SIZE, HEADER};

/// The type of Device Mapper's ioctls, `DM_IOCTL` in `linux/dm-ioctl.h`.
const DM_IOCTL: u8 = 0xfd;

/// The commands that go this way, with their numbers in `linux/dm-ioctl.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Command {
    ListDevices = 2,
    Create = 3,
    Remove = 4,
    Rename = 5,
    Suspend = 6,
    DeviceStatus = 7,
    TableLoad = 9,
    TableClear = 10,
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

/// Looks for a key in the keyrings of this process, and asks no other program for it (`request_key(2)` without call-out
/// information). The key is linked to no other keyring.
pub(super) fn find_key(kind: &CStr, description: &CStr) -> Result<(), Errno> {
    // SAFETY: both pointers are to texts that end with a NUL and are borrowed for the whole call, which only reads them;
    // the third is null, as the call allows, and the fourth is the number of no keyring.
    let found = unsafe {
        libc::syscall(
            libc::SYS_request_key,
            kind.as_ptr(),
            description.as_ptr(),
            std::ptr::null::<libc::c_char>(),
            0_i32,
        )
    };
    Errno::result(found).map(drop)
}

unsafe extern "C" {
    /// See semop(2). Both C libraries have it; the libc crate does not declare it.
    fn semtimedop(
        set: c_int,
        operations: *mut libc::sembuf,
        count: libc::size_t,
        limit: *const libc::timespec,
    ) -> c_int;
}

/// Makes a set of `count` semaphores, all 0, under a key that no set has yet (semget(2)).
pub(super) fn make_semaphores(key: libc::key_t, count: c_int) -> Result<c_int, Errno> {
    // SAFETY: only numbers are passed.
    Errno::result(unsafe { libc::semget(key, count, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) })
}

/// Adds to a semaphore, or takes from it, at once or not at all.
pub(super) fn change_semaphore(set: c_int, index: u16, by: i16) -> Result<(), Errno> {
    operate(set, libc::sembuf { sem_num: index, sem_op: by, sem_flg: 0 }, Duration::ZERO)
}

/// Waits until a semaphore is 0: EAGAIN when `limit` is over, EIDRM when another process removed the set.
pub(super) fn await_zero(set: c_int, index: u16, limit: Duration) -> Result<(), Errno> {
    operate(set, libc::sembuf { sem_num: index, sem_op: 0, sem_flg: 0 }, limit)
}

fn operate(set: c_int, mut operation: libc::sembuf, limit: Duration) -> Result<(), Errno> {
    let limit = libc::timespec {
        tv_sec: limit.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    };
    // SAFETY: the count is that of the operations, and both pointers are to locals that outlive the call.
    Errno::result(unsafe { semtimedop(set, &raw mut operation, 1, &raw const limit) }).map(drop)
}

/// Returns the process that changed a semaphore last; 0 when it is in another PID namespace.
pub(super) fn last_changed_by(set: c_int, index: u16) -> Result<c_int, Errno> {
    // SAFETY: only numbers are passed; this command takes no fourth argument.
    Errno::result(unsafe { libc::semctl(set, index.into(), libc::GETPID) })
}

/// Removes a set of semaphores, and ends every wait for it.
pub(super) fn remove_semaphores(set: c_int) -> Result<(), Errno> {
    // SAFETY: only numbers are passed; this command takes no fourth argument.
    Errno::result(unsafe { libc::semctl(set, 0, libc::IPC_RMID) }).map(drop)
}

/// Makes SIGURG end a call that waits in the kernel: it gets a handler that does nothing, without `SA_RESTART`, with which
/// the kernel would make the call again.
pub(super) fn let_sigurg_interrupt() -> Result<(), Errno> {
    extern "C" fn nothing(_: c_int) {}
    let action = SigAction::new(SigHandler::Handler(nothing), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing, so it may run at any point of any thread.
    unsafe { sigaction(Signal::SIGURG, &action) }.map(drop)
}

/// See fcntl(2), `include/uapi/asm-generic/fcntl.h`; the libc crate does not have it for every C library.
const F_SETSIG: c_int = 10;

/// Returns whether a file is open for writing, or mapped so, through any path and by any process: the kernel gives no
/// lease for reading then (`check_conflicting_open` in `fs/locks.c`, EAGAIN). The lease is given back at once. `file` must
/// be open for reading alone. EACCES where the file belongs to another user, EINVAL where the file system has no leases.
pub(super) fn is_open_for_writing(file: BorrowedFd<'_>) -> Result<bool, Errno> {
    let control = |command: c_int, argument: c_int| {
        // SAFETY: the descriptor is open for as long as it is borrowed; the rest are numbers.
        Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), command, argument) }).map(drop)
    };
    // A process that opens the file in between breaks the lease. By default that is told with SIGIO, which ends a process.
    control(F_SETSIG, libc::SIGURG)?;
    match control(libc::F_SETLEASE, libc::F_RDLCK) {
        Ok(()) => control(libc::F_SETLEASE, libc::F_UNLCK).map(|()| false),
        Err(Errno::EAGAIN) => Ok(true),
        Err(error) => Err(error),
    }
}
