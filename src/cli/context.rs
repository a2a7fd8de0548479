//! The kernel that a verb is given: to read, or, behind the lock, to change.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::apply::Options;
use crate::confirm;
use crate::kernel::live::{Live, Udev};
use crate::kernel::simulated::Simulated;
use crate::kernel::{ChangeKernel, KernelError, ReadKernel};
use crate::lock::{self, Lock, LockError};

use super::exit::Exit;
use super::failure::Failure;
use super::global::Global;
use super::note::note;
use super::signals;

/// What the global options mean.
#[derive(Debug, Clone)]
pub struct Context {
    kernel: Choice,
    udev: Udev,
    udev_timeout: Duration,
    lock_timeout: Duration,
    /// Becomes true when this process is told to stop, once it may change a kernel.
    stop: Arc<AtomicBool>,
    /// Whether it does so already.
    caught: bool,
}

/// Which kernel.
#[derive(Debug, Clone)]
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
            caught: false,
        }
    }

    /// Whether this is the running kernel.
    pub fn is_live(&self) -> bool {
        matches!(self.kernel, Choice::Live)
    }

    /// How long a device that is open is waited for. Nobody lets go of one of a simulated kernel meanwhile.
    pub fn patience(&self) -> Duration {
        if self.is_live() { Options::default().patience } else { Duration::ZERO }
    }

    /// The same for a process that catches its signals itself, and for which `stop` becomes true. It waits for
    /// nobody's lock.
    pub fn caught(&self, stop: Arc<AtomicBool>) -> Self {
        let kernel = self.kernel.clone();
        Self { kernel, lock_timeout: Duration::ZERO, stop, caught: true, ..*self }
    }

    /// The file of the kernel, when it is a simulated one.
    pub fn simulated(&self) -> Option<&Path> {
        if let Choice::Simulated(path) = &self.kernel { Some(path) } else { None }
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

    /// Takes a lock. Whoever has to wait for it is told for whom.
    fn lock(&self, path: &Path, command: &str) -> Result<Lock, LockError> {
        match Lock::acquire(path, Duration::ZERO, command) {
            Err(LockError::Held { holder, .. }) if !self.lock_timeout.is_zero() => {
                note(format_args!("waiting up to {:?} for {holder} to finish", self.lock_timeout));
                Lock::acquire(path, self.lock_timeout, command)
            }
            outcome => outcome,
        }
    }

    /// Gives the kernel to `act`, with the lock held. `command` tells others who holds the lock, so it must hold
    /// no key.
    pub fn changing<T>(
        &self,
        command: &str,
        act: impl FnOnce(&dyn ChangeKernel) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.hold(command)?.change(act)
    }

    /// Takes the lock, for changes one after the other.
    pub fn hold(&self, command: &str) -> Result<Held<'_>, Failure> {
        let command = format!("dmctl {command}");
        let lock = match &self.kernel {
            Choice::Live => self.lock(Path::new(lock::LIVE), &command)?,
            Choice::Simulated(path) => self.lock(&beside(path, ".lock")?, &command)?,
        };
        self.catch_signals()?;
        Ok(Held { context: self, _lock: lock })
    }

    /// A signal ends nothing halfway from now on: a device would stay suspended, or a semaphore behind.
    pub fn catch_signals(&self) -> Result<(), Failure> {
        if self.caught {
            return Ok(());
        }
        signals::catch(&self.stop).map_err(|error| Failure::new(Exit::Error, error))
    }

    /// Where it is written that an apply waits to be confirmed.
    pub fn confirmation(&self) -> Result<PathBuf, Failure> {
        match &self.kernel {
            Choice::Live => Ok(confirm::LIVE.into()),
            Choice::Simulated(path) => Ok(beside(path, ".confirm")?),
        }
    }
}

/// A kernel that nobody else changes as long as this lives: no other dmctl, that is.
pub struct Held<'c> {
    context: &'c Context,
    _lock: Lock,
}

impl Held<'_> {
    /// Gives the kernel to `act`. What it does to a simulated one is kept, also when it fails, as a running one
    /// would keep it.
    pub fn change<T>(&self, act: impl FnOnce(&dyn ChangeKernel) -> Result<T, Failure>) -> Result<T, Failure> {
        let Context { kernel, udev, udev_timeout, stop, .. } = self.context;
        match kernel {
            Choice::Live => act(&Live::open(*udev)?.patient(*udev_timeout, Arc::clone(stop))),
            Choice::Simulated(path) => {
                let kernel = Simulated::open(path)?;
                let outcome = act(&kernel);
                let saved = kernel.save();
                let done = outcome?;
                saved?;
                Ok(done)
            }
        }
    }
}

/// A file beside that of a simulated kernel: one, whatever links lead there.
fn beside(state: &Path, extension: &str) -> Result<PathBuf, KernelError> {
    let failed = |source| KernelError::Io { what: format!("cannot read {}", state.display()), source };
    let mut path = OsString::from(fs::canonicalize(state).map_err(failed)?);
    path.push(extension);
    Ok(path.into())
}
