//! Gives a verb the kernel: to read, or, with the lock held, to change.

use std::any::Any;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::anyhow;
use nix::unistd::geteuid;

use crate::apply::Options;
use crate::config::Map;
use crate::confirm::RecordPlace;
use crate::files;
use crate::identity::{Name, printable_path};
use crate::kernel::live::{Live, LongWait, Udev};
use crate::kernel::simulated::Simulated;
use crate::kernel::{ChangeKernel, KernelError, ReadKernel};
use crate::lock::{self, Lock, LockError};
use crate::ops;

use super::exit::Exit;
use super::failure::Failure;
use super::global::Global;
use super::note::note;
use super::signals;
use super::stderr;

/// The kernel and the waits that the global options select.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    kernel: Choice,
    udev: Udev,
    udev_timeout: Duration,
    lock_timeout: Duration,
    /// The folder of the lock for the running kernel, where one was given.
    lock_dir: Option<PathBuf>,
    /// Set by a signal that ends the process, once they are caught.
    stop: Arc<AtomicBool>,
    /// Whether the signals are caught already.
    caught: bool,
}

/// The kernel that was selected.
#[derive(Debug, Clone)]
enum Choice {
    Live,
    /// The simulated kernel in this file.
    Simulated(PathBuf),
}

impl Context {
    /// Creates a context from the global options.
    pub(crate) fn new(global: &Global) -> Self {
        let kernel = match global.kernel.as_path() {
            live if live == Path::new("live") => Choice::Live,
            file => Choice::Simulated(file.to_path_buf()),
        };
        Self {
            kernel,
            udev: global.udev.into(),
            udev_timeout: global.udev_timeout,
            lock_timeout: global.lock_timeout,
            lock_dir: global.lock_dir.clone(),
            stop: Arc::default(),
            caught: false,
        }
    }

    /// Whether the kernel is the running one.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.kernel, Choice::Live)
    }

    /// Returns how long to wait for an open device to be closed. In a simulated kernel none is closed meanwhile.
    pub(crate) fn patience(&self) -> Duration {
        if self.is_live() { Options::default().patience } else { Duration::ZERO }
    }

    /// Copies the context for a process that catches its signals itself and sets `stop`. The copy does not wait for the
    /// lock.
    pub(crate) fn caught(&self, stop: Arc<AtomicBool>) -> Self {
        let (kernel, lock_dir) = (self.kernel.clone(), self.lock_dir.clone());
        Self { kernel, lock_dir, lock_timeout: Duration::ZERO, stop, caught: true, ..*self }
    }

    /// Returns the file of a simulated kernel.
    pub(crate) fn simulated(&self) -> Option<&Path> {
        if let Choice::Simulated(path) = &self.kernel { Some(path) } else { None }
    }

    /// Returns the flag that a signal sets, once signals are caught.
    pub(crate) fn stop(&self) -> &AtomicBool {
        &self.stop
    }

    /// Returns that flag, to keep.
    pub(crate) fn stopping(&self) -> &Arc<AtomicBool> {
        &self.stop
    }

    /// Opens the kernel for a verb that can't change it.
    pub(crate) fn reading(&self) -> Result<Box<dyn ReadKernel>, Failure> {
        Ok(match &self.kernel {
            Choice::Live => Box::new(self.live()?),
            Choice::Simulated(path) => Box::new(Simulated::open(path)?),
        })
    }

    /// Opens the running kernel for a verb that does not hold the lock.
    fn live(&self) -> Result<Live, Failure> {
        let context = self.clone();
        Ok(Live::open(self.udev)?.keeping_still(move || context.keep_still()))
    }

    /// Takes the lock for a look, unless another process has it.
    fn keep_still(&self) -> Option<Box<dyn Any>> {
        self.judge_lock_dir().ok()?;
        let command = "dmctl, which looks at a device";
        let lock = Lock::acquire_unless(&self.live_lock(), Duration::ZERO, command, &self.stop, self.owner());
        Some(Box::new(lock.ok()?))
    }

    /// Opens the kernel for a verb that can't change it, to compare it with a map.
    pub(crate) fn reading_for(&self, map: &Map) -> Result<Box<dyn ReadKernel>, Failure> {
        if self.is_live() && map.is_lax { Ok(Box::new(self.live()?.opening_none())) } else { self.reading() }
    }

    /// Takes a lock. A wait is announced, with the process that holds the lock.
    fn lock(&self, path: &Path, command: &str) -> Result<Lock, LockError> {
        let owner = self.owner();
        let acquire = |patience| Lock::acquire_unless(path, patience, command, &self.stop, owner);
        match acquire(Duration::ZERO) {
            Err(LockError::Held { holder, .. }) if !self.lock_timeout.is_zero() => {
                note(format_args!("waiting up to {:?} for {holder} to finish", self.lock_timeout));
                acquire(self.lock_timeout)
            }
            outcome => outcome,
        }
    }

    /// Returns the path of the lock for the running kernel. That it is not the usual one is told.
    fn live_lock(&self) -> PathBuf {
        let path = self.live_folder().join(lock::FILE);
        if self.lock_dir.is_none() && path != Path::new(lock::LIVE) {
            let usual = lock::LIVE;
            note(format_args!(
                "warning: {usual} can't be written, so the lock is {}; another folder is `--lock-dir FOLDER`",
                printable_path(&path)
            ));
        }
        path
    }

    /// Refuses a folder for the lock in which other users could put another file into its place, or make it first.
    fn judge_lock_dir(&self) -> Result<(), Failure> {
        let found = self.lock_dir.as_deref().map(files::find).transpose();
        // That the folder does not exist is told when the lock is taken.
        let Some(folder) = found.ok().flatten().and_then(|found| files::Folder::enter(found).ok()) else {
            return Ok(());
        };
        if let Some(lax) = folder.laxness(geteuid().as_raw()).first() {
            return Err(Failure::new(Exit::Error, anyhow!("the lock can't be taken: {lax}")));
        }
        if folder.is_shared() {
            let path = self.lock_dir.as_deref().unwrap_or(Path::new("."));
            let below = files::word(&path.join("dmctl.d"));
            let error = anyhow!(
                "the lock can't be taken: other users can make files in the folder `{}`",
                printable_path(path)
            );
            let hint = format!(
                "take a folder that is root's alone: `mkdir -m 700 {below}` makes one for `--lock-dir {below}`"
            );
            return Err(Failure::new(Exit::Error, error).hint(hint));
        }
        Ok(())
    }

    /// Returns the folder of the files that go with changes to the running kernel.
    fn live_folder(&self) -> &Path {
        self.lock_dir.as_deref().unwrap_or_else(|| lock::live_folder())
    }

    /// Gives the kernel to `act`, with the lock held. Other processes are shown `command`, so it must not hold a key.
    pub(crate) fn changing<T>(
        &self,
        command: &str,
        act: impl FnOnce(&dyn ChangeKernel) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.hold(command)?.change(act)
    }

    /// Gives the kernel and the name of one device to `act`, for the verb that is written with `named`: a name or a path.
    pub(crate) fn changing_device(
        &self,
        verb: &str,
        named: &str,
        act: impl FnOnce(&dyn ChangeKernel, &Name) -> Result<(), Failure>,
    ) -> Result<Exit, Failure> {
        self.changing(&format!("{verb} {named}"), |kernel| {
            let device = ops::find(kernel, named)?;
            act(kernel, &device.name)?;
            Ok(Exit::Done)
        })
    }

    /// Takes the lock, for several changes.
    pub(crate) fn hold(&self, command: &str) -> Result<Held<'_>, Failure> {
        let command = format!("dmctl {command}");
        let lock = match &self.kernel {
            Choice::Live => {
                self.judge_lock_dir()?;
                self.lock(&self.live_lock(), &command)?
            }
            Choice::Simulated(path) => self.lock(&beside(path, ".lock")?, &command)?,
        };
        self.catch_signals()?;
        Ok(Held { context: self, _lock: lock })
    }

    /// Catches the signals that end a process: halfway, a device would stay suspended, or a semaphore allocated.
    pub(crate) fn catch_signals(&self) -> Result<(), Failure> {
        if self.caught {
            return Ok(());
        }
        signals::catch(&self.stop).map_err(|error| Failure::new(Exit::Error, error))
    }

    /// Returns the place of the record of an apply that waits to be confirmed.
    pub(crate) fn confirmation(&self) -> Result<RecordPlace, Failure> {
        match &self.kernel {
            Choice::Live => Ok(RecordPlace::below(self.live_folder())),
            Choice::Simulated(path) => Ok(RecordPlace::at(beside(path, ".confirm")?, self.owner())),
        }
    }

    /// Returns the user whose kernel this is, where its file tells: that user's lock is as good as one of this user's.
    fn owner(&self) -> Option<u32> {
        self.simulated().and_then(|state| fs::metadata(state).ok()).map(|state| state.uid())
    }
}

/// The kernel with the lock held: no other dmctl changes it while this lives.
pub(crate) struct Held<'c> {
    context: &'c Context,
    _lock: Lock,
}

impl Held<'_> {
    /// Gives the kernel to `act`. Changes of a simulated kernel are saved even when `act` fails, as a running kernel
    /// would keep them.
    pub(crate) fn change<T>(
        &self,
        act: impl FnOnce(&dyn ChangeKernel) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        stderr::begin_changes();
        let Context { kernel, udev, udev_timeout, stop, .. } = self.context;
        match kernel {
            Choice::Live => {
                let live = Live::open(*udev)?;
                act(&live.telling(*udev_timeout, Arc::clone(stop), Arc::new(tell)))
            }
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

/// Tells of a call that waits for I/O in flight.
fn tell(wait: &LongWait) {
    note(format_args!(
        "waiting for I/O in flight for {} s, to {}; SIGINT or SIGTERM ends this, and everything is put back",
        wait.time.as_secs(),
        wait.call.on(&wait.device)
    ));
}

/// Returns the path of a file beside that of a simulated kernel, with links resolved: one file for all links to it.
fn beside(state: &Path, extension: &str) -> Result<PathBuf, KernelError> {
    let failed = |source| KernelError::Io { what: format!("cannot read {}", printable_path(state)), source };
    let mut path = OsString::from(fs::canonicalize(state).map_err(failed)?);
    path.push(extension);
    Ok(path.into())
}
