//! A model of the kernel, kept in a file.
//!
//! It stands in for the kernel wherever there is none to touch: to try a map on a laptop, without root,
//! against a snapshot of a real host, and to let every call fail in turn in a test. It knows the two tables
//! of a device and when they are swapped, who has whom open, the kernel's own refusals with its errnos, and
//! the two ways in which a resume fails. It follows Linux 6.1. It does no I/O, and of what targets keep on
//! disk it knows only their signatures and the volumes of thin pools.
//!
//! `state` is what the file holds, `model` the devices, `check` what is refused, `faults` what fails on demand.
//! The cases in `tests/kernel_cases` run on this model and on a real kernel; where the two differ, the
//! model is wrong.

mod bytes;
mod change;
mod check;
mod convert;
mod disks;
mod faults;
mod file;
mod json;
mod messages;
mod metadata;
mod model;
mod nodes;
mod notation;
mod read;
mod refusal;
mod schema;
mod snapshots;
mod state;
mod thin;
mod versions;

use std::path::{Path, PathBuf};
use std::sync::MutexGuard;

use nix::errno::Errno;

pub use disks::{DiskError, DiskSpec};
pub use faults::Fault;
pub use file::MAX_FILE;
pub use metadata::is_metadata;
pub use notation::Hex;
pub use schema::schema;
pub use state::{Disk, FORMAT_VERSION, KernelFacts, MappingState, Pool, Queue, State, StateRow};

use super::{Call, KernelError};
use crate::identity::Name;
use crate::sync::Mutex;
use faults::Faults;
use model::World;

/// A simulated kernel.
#[derive(Debug)]
pub struct Simulated {
    path: Option<PathBuf>,
    inner: Mutex<Inner>,
}

/// What the calls work on.
#[derive(Debug)]
struct Inner {
    world: World,
    faults: Faults,
    /// Whether the file is older than the world.
    changed: bool,
    /// The slot behind that of the device that was read last: whoever read the list reads one after the other.
    next: usize,
}

impl Simulated {
    /// A kernel in memory. An error says what in `state` can't be.
    pub fn new(state: &State) -> Result<Self, KernelError> {
        let world = World::from_state(state).map_err(KernelError::State)?;
        let inner = Inner { world, faults: Faults::default(), changed: false, next: 0 };
        Ok(Self { path: None, inner: Mutex::new(inner) })
    }

    /// The kernel in the file at `path`. An error names the file and the place in it.
    pub fn open(path: &Path) -> Result<Self, KernelError> {
        let kernel = Self::new(&file::read(path)?).map_err(|error| match error {
            KernelError::State(says) => KernelError::State(format!("{}: {says}", path.display())),
            other => other,
        })?;
        Ok(Self { path: Some(path.to_path_buf()), ..kernel })
    }

    /// A kernel that [`save`](Self::save) will put into a file at `path`, in place of one that is there.
    pub fn create(path: &Path, state: &State) -> Result<Self, KernelError> {
        let kernel = Self::new(state)?;
        kernel.inner().changed = true;
        Ok(Self { path: Some(path.to_path_buf()), ..kernel })
    }

    /// Whether a call changed something since it was opened or saved.
    #[must_use]
    pub fn changed(&self) -> bool {
        self.inner().changed
    }

    /// Writes changes back to its file, whole or not at all. One without changes, or in memory, writes
    /// nothing.
    pub fn save(&self) -> Result<(), KernelError> {
        let mut inner = self.inner();
        if let Some(path) = self.path.as_deref().filter(|_| inner.changed) {
            file::write(path, &inner.world.to_state())?;
            inner.changed = false;
        }
        Ok(())
    }

    /// All of it, as its file would have it.
    #[must_use]
    pub fn state(&self) -> State {
        self.inner().world.to_state()
    }

    /// Lets the `nth` changing call from now on, counted from 1, fail with `errno` before it does anything.
    pub fn fail_nth(&self, nth: usize, errno: Errno) {
        self.inject(nth, Fault::Refuse(errno));
    }

    /// Lets the `nth` changing call from now on, counted from 1, fail with `fault`.
    pub fn inject(&self, nth: usize, fault: Fault) {
        let mut inner = self.inner();
        let nth = inner.faults.changes.saturating_add(nth);
        inner.faults.nth.push((nth, fault));
    }

    /// Lets the next resume of `name` fail with `fault`.
    pub fn fail_resume_of(&self, name: &Name, fault: Fault) {
        self.inner().faults.resumes.push((name.clone(), fault));
    }

    /// Lets `n` more changing calls work, and every one after them fail as if this process had died: without
    /// any effect. What [`state`](Self::state) shows then is what the next process would find.
    pub fn die_after(&self, n: usize) {
        let mut inner = self.inner();
        inner.faults.dies_after = Some(inner.faults.changes.saturating_add(n));
    }

    /// Every call up to now, with the device it was for: the plain name, or the uuid when it was found by
    /// that and isn't there. Calls for no device have an empty one.
    #[must_use]
    pub fn calls(&self) -> Vec<(Call, String)> {
        self.inner().faults.calls.iter().map(|(call, device)| (*call, device.to_string())).collect()
    }

    /// How often `call` was called.
    #[must_use]
    pub fn count(&self, call: Call) -> usize {
        self.inner().faults.calls.iter().filter(|(other, _)| *other == call).count()
    }

    /// How many changing calls there were, failed ones included.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.inner().faults.changes
    }

    /// Empties the log of calls.
    pub fn forget_calls(&self) {
        self.inner().faults.calls.clear();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // No call leaves the world half changed, so one that panicked leaves it as good as before.
        self.inner.lock()
    }
}
