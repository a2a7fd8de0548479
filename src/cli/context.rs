//! The kernel that a verb is given: to read, or, behind the lock, to change.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use dmctl::kernel::live::{Live, Udev};
use dmctl::kernel::simulated::Simulated;
use dmctl::kernel::{ChangeKernel, KernelError, ReadKernel};
use dmctl::lock::{self, Lock};

use super::args::Global;
use super::exit::Exit;
use super::failure::Failure;
use super::signals;

/// What the global options mean.
#[derive(Debug)]
pub struct Context {
    kernel: Choice,
    udev: Udev,
    udev_timeout: Duration,
    lock_timeout: Duration,
    /// Becomes true when this process is told to stop, once it may change a kernel.
    stop: Arc<AtomicBool>,
}

/// Which kernel.
#[derive(Debug)]
enum Choice {
    /// The running one.
    Live,
    /// The one in this file.
    Simulated(PathBuf),
}

impl Context {
    /// From what was typed.
    pub fn new(global: &Global) -> Self {
        let kernel = match global.kernel.as_path() {
            live if live == Path::new("live") => Choice::Live,
            file => Choice::Simulated(file.to_path_buf()),
        };
        Self {
            kernel,
            udev: global.udev.into(),
            udev_timeout: global.udev_timeout,
            lock_timeout: global.lock_timeout,
            stop: Arc::default(),
        }
    }

    /// Whether this is the running kernel.
    pub fn is_live(&self) -> bool {
        matches!(self.kernel, Choice::Live)
    }

    /// Whether this process was told to stop, while it has a kernel to change.
    pub fn stop(&self) -> &AtomicBool {
        &self.stop
    }

    /// The kernel, for a verb that can't change it.
    pub fn reading(&self) -> Result<Box<dyn ReadKernel>, Failure> {
        Ok(match &self.kernel {
            Choice::Live => Box::new(Live::open(self.udev)?),
            Choice::Simulated(path) => Box::new(Simulated::open(path)?),
        })
    }

    /// Gives the kernel to `act`, with the lock held; what it did to a simulated one is kept, also when it
    /// failed, as a running one would keep it. `command` tells others who holds the lock, so it must hold no
    /// key.
    pub fn changing<T>(
        &self,
        command: &str,
        act: impl FnOnce(&dyn ChangeKernel) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let command = format!("dmctl {command}");
        match &self.kernel {
            Choice::Live => {
                let _lock = Lock::acquire(Path::new(lock::LIVE), self.lock_timeout, &command)?;
                self.catch_signals()?;
                act(&Live::open(self.udev)?.patient(self.udev_timeout, Arc::clone(&self.stop)))
            }
            Choice::Simulated(path) => {
                let _lock = Lock::acquire(&lock_of(path)?, self.lock_timeout, &command)?;
                self.catch_signals()?;
                let kernel = Simulated::open(path)?;
                let outcome = act(&kernel);
                let saved = kernel.save();
                let done = outcome?;
                saved?;
                Ok(done)
            }
        }
    }

    /// A signal ends nothing halfway from now on: a device would stay suspended, or a semaphore behind.
    fn catch_signals(&self) -> Result<(), Failure> {
        signals::catch(&self.stop).map_err(|error| Failure::new(Exit::Error, error))
    }
}

/// The lock of a simulated kernel, beside its file: one lock, whatever links lead to that file.
fn lock_of(state: &Path) -> Result<PathBuf, KernelError> {
    let failed = |source| KernelError::Io { what: format!("cannot read {}", state.display()), source };
    let mut lock = OsString::from(fs::canonicalize(state).map_err(failed)?);
    lock.push(".lock");
    Ok(lock.into())
}
