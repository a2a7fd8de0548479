//! Keeps this process in memory while devices are suspended.
//!
//! A page that must come back from a suspended device, be it of the program, of a library or of swap space,
//! would make the process that should resume the device wait for it, for ever.

use nix::sys::mman::{MlockAllFlags, mlockall, munlockall};

/// Keeps this process from being paged out until it is dropped.
#[derive(Debug)]
pub struct MemoryLock(());

impl MemoryLock {
    /// Locks all memory, that of now and that of later. `None` where that is not allowed: dmctl goes on without,
    /// for a device that this process needs is seldom one that is suspended.
    pub fn acquire() -> Option<Self> {
        mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE)
            .inspect_err(|errno| tracing::debug!("memory is not locked: {errno}"))
            .is_ok()
            .then_some(Self(()))
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        // It can't fail: what is not locked is left as it is.
        let _ = munlockall();
    }
}
