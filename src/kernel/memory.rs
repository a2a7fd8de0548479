//! Keeps this process in memory while devices are suspended.
//!
//! A page that must come back from a suspended device, be it of the program, of a library or of swap space,
//! would make the process that should resume the device wait for it, for ever.

use std::sync::Once;

use nix::sys::mman::{MlockAllFlags, mlockall, munlockall};

use crate::sync::Mutex;

/// How many locks there are: the last one that is dropped unlocks the memory. A way back takes one inside of that of the
/// process which waits with the old keys.
static HELD: Mutex<usize> = Mutex::new(0);

/// Keeps this process from being paged out until it and all others are dropped.
#[derive(Debug)]
pub struct MemoryLock(());

impl MemoryLock {
    /// Locks all memory, that of now and that of later. `None` where that is not allowed, which is told once: dmctl goes on
    /// without, for a device that this process needs is seldom one that is suspended.
    pub fn acquire() -> Option<Self> {
        let mut held = HELD.lock();
        let locked = mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE)
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
            .is_ok();
        if !locked {
            return None;
        }
        *held += 1;
        Some(Self(()))
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut held = HELD.lock();
        *held -= 1;
        if *held == 0 {
            // It can't fail: what is not locked is left as it is.
            let _ = munlockall();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how much memory of this process is locked, in KiB.
    fn locked() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn memory_stays_locked_until_the_last_lock_is_dropped() {
        // Not every user may lock that much.
        let Some(outer) = MemoryLock::acquire() else { return };
        let inner = MemoryLock::acquire().unwrap();
        drop(inner);
        assert!(locked() > 0);
        let inner = MemoryLock::acquire().unwrap();
        drop(outer);
        assert!(locked() > 0);
        drop(inner);
        assert_eq!(locked(), 0);
    }
}
