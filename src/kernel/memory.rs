//! Keeps this process in memory while devices are suspended.
//!
//! A page that must come back from a suspended device, be it of the program, of a library or of swap space,
//! would make the process that should resume the device wait for it, for ever.

use std::sync::Once;

use nix::sys::mman::{MlockAllFlags, mlockall, munlockall};

/// Keeps this process from being paged out until it is dropped.
#[derive(Debug)]
pub struct MemoryLock(());

impl MemoryLock {
    /// Locks all memory, that of now and that of later. `None` where that is not allowed, which is told once: dmctl goes on
    /// without, for a device that this process needs is seldom one that is suspended.
    pub fn acquire() -> Option<Self> {
        mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE)
            .inspect_err(|errno| {
                static TOLD: Once = Once::new();
                TOLD.call_once(|| {
                    tracing::warn!(
                        "the memory of this process can't be locked ({errno}), so keys in it may be written to swap space, \
                         and a page that is on a suspended device holds it up: it takes CAP_IPC_LOCK, or a limit as \
                         `LimitMEMLOCK=infinity` sets it"
                    );
                });
            })
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
