//! A lock that a panic leaves open, and a place to wait with one.
//!
//! The standard library closes a lock for good when a thread panics with it. Whatever dmctl keeps behind one is whole
//! between any two lines, and the devices must be put back all the same, so here the next thread gets it.
//!
//! These are the locks of the standard library, which are a word for futex(2) each. `parking_lot` has no poison
//! either, but allocates for each thread that waits for the first time, and may grow the table of all that wait. A
//! thread that applies a plan may wait for the first time while it keeps a device suspended, and the kernel may need
//! that very device to find memory.

use std::sync::{self, MutexGuard, PoisonError};
use std::time::Duration;

/// A value that one thread has at a time.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    /// Waits until no other thread has the value.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where threads wait for what another does to the value of a [`Mutex`].
#[derive(Debug, Default)]
pub(crate) struct Condvar(sync::Condvar);

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self(sync::Condvar::new())
    }

    /// Gives the value to others until this thread is notified; a thread may also wake without that.
    pub(crate) fn wait<'a, T>(&self, value: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(value).unwrap_or_else(PoisonError::into_inner)
    }

    /// The same for `time` at most.
    pub(crate) fn wait_timeout<'a, T>(&self, value: MutexGuard<'a, T>, time: Duration) -> MutexGuard<'a, T> {
        self.0.wait_timeout(value, time).unwrap_or_else(PoisonError::into_inner).0
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_panic_leaves_the_lock_open() {
        let mutex = Mutex::new(1);
        let panicked = thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let mut value = mutex.lock();
                *value = 2;
                panic!("with the lock");
            });
            thread.join().is_err()
        });
        assert!(panicked);
        assert_eq!(*mutex.lock(), 2);
        assert_eq!(mutex.into_inner(), 2);
    }

    #[test]
    fn a_thread_that_waits_is_woken() {
        let (mutex, changed) = (Mutex::new(false), Condvar::new());
        thread::scope(|scope| {
            scope.spawn(|| {
                *mutex.lock() = true;
                changed.notify_all();
            });
            let mut value = mutex.lock();
            while !*value {
                value = changed.wait(value);
            }
        });
        assert!(*changed.wait_timeout(mutex.lock(), Duration::ZERO));
    }
}
