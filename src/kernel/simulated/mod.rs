//! A model of the kernel, kept in a file.
//!
//! It replaces the running kernel: to try a map on a laptop, without root, against a snapshot of a real host, and
//! to let every call fail in turn in a test. It models the two tables of a device and when they are swapped, which
//! device has which open, the kernel's own refusals with their errnos, and the two ways in which a resume fails.
//! It follows Linux 6.1. It does no I/O, and of the data that targets keep on disk it knows only their signatures
//! and the volumes of thin pools.
//!
//! `state` is the content of the file, `model` the devices, `check` the refusals, `faults` the failures on demand.
//! The cases in `tests/kernel_cases` run on this model and on a real kernel; where the two differ, the
//! model is wrong.

mod blocks;
mod bytes;
mod change;
mod check;
mod ciphers;
mod convert;
mod disks;
mod faults;
mod file;
mod hallmarks;
mod integrity;
mod json;
mod mapping;
mod messages;
mod metadata;
mod model;
mod nodes;
mod notation;
mod queue;
mod read;
mod refusal;
mod schema;
mod snapshots;
mod state;
mod status;
mod stuck;
mod superblock;
mod tags;
mod thin;
mod thin_content;
mod versions;

use file::Written;
use std::path::{Path, PathBuf};
use std::sync::MutexGuard;

use nix::errno::Errno;

pub use disks::{DiskError, DiskSpec};
pub use faults::Fault;
pub use file::MAX_FILE;
pub use metadata::is_metadata;
pub use notation::Hex;
pub use schema::schema;
pub use state::{
    Disk, FORMAT_VERSION, KernelFacts, MappingState, Pool, PoolFault, PoolVolume, Queue, State, StateRow,
};

use super::{Call, KernelError};
use crate::identity::Name;
use crate::sync::Mutex;
use faults::Faults;
use model::Model;

/// A model of a kernel, in memory or in a file. Threads may share it.
#[derive(Debug)]
pub struct Simulated {
    path: Option<PathBuf>,
    inner: Mutex<Inner>,
}

/// The state that the calls change, behind one lock.
#[derive(Debug)]
struct Inner {
    model: Model,
    faults: Faults,
    /// Whether the model has changes that the file lacks.
    changed: bool,
    /// Whether the file has been read, or written once.
    written: Written,
    /// The place after the device that was read last: devices are mostly read in the order of the list.
    next: usize,
}

impl Simulated {
    /// Creates a kernel in memory. An error names the part of `state` that is not valid.
    pub fn new(state: &State) -> Result<Self, KernelError> {
        let model = Model::from_state(state).map_err(KernelError::State)?;
        let inner =
            Inner { model, faults: Faults::default(), changed: false, written: Written::Back, next: 0 };
        Ok(Self { path: None, inner: Mutex::new(inner) })
    }

    /// Opens the kernel in the file at `path`. An error names the file and the place in it.
    pub fn open(path: &Path) -> Result<Self, KernelError> {
        let kernel = Self::new(&file::read(path)?).map_err(|error| match error {
            KernelError::State(says) => KernelError::State(format!("{}: {says}", file::shown(path))),
            other => other,
        })?;
        Ok(Self { path: Some(path.to_path_buf()), ..kernel })
    }

    /// Creates a kernel that [`save`](Self::save) will write to a file at `path`, and replace an existing one.
    pub fn create(path: &Path, state: &State) -> Result<Self, KernelError> {
        let kernel = Self::new(state)?;
        kernel.inner().changed = true;
        kernel.inner().written = Written::New;
        Ok(Self { path: Some(path.to_path_buf()), ..kernel })
    }

    /// Tells whether a call has changed the kernel since it was opened or saved.
    pub fn changed(&self) -> bool {
        self.inner().changed
    }

    /// Writes changes back to its file, whole or not at all. A kernel without changes, or in memory, is not
    /// written.
    pub fn save(&self) -> Result<(), KernelError> {
        let mut inner = self.inner();
        if let Some(path) = self.path.as_deref().filter(|_| inner.changed) {
            file::write(path, &inner.model.to_state(), inner.written)?;
            (inner.changed, inner.written) = (false, Written::Back);
        }
        Ok(())
    }

    /// Returns its state, as its file would hold it.
    pub fn state(&self) -> State {
        self.inner().model.to_state()
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
    /// any effect. [`state`](Self::state) then returns the state that the next process would find.
    pub fn die_after(&self, n: usize) {
        let mut inner = self.inner();
        inner.faults.dies_after = Some(inner.faults.changes.saturating_add(n));
    }

    /// Gives the row that begins at sector `start` of a live table the state `text`, as if its target had gone on.
    pub fn go_on(&self, name: &Name, start: u64, text: &str) {
        let number = self.inner().model.named(name).map(|mapping| mapping.number);
        let mut inner = self.inner();
        let Some(mapping) = number.and_then(|number| inner.model.mapping_mut(number)) else { return };
        if let Some(live) = &mut mapping.live {
            live.states.insert(start, text.to_string());
        }
    }

    /// Lists every call up to now with its device: the plain name, or the uuid when a device of that uuid does not
    /// exist. The device of a call that is not about one is empty.
    pub fn calls(&self) -> Vec<(Call, String)> {
        self.inner().faults.calls.iter().map(|(call, device)| (*call, device.to_string())).collect()
    }

    /// Returns how often `call` was called.
    pub fn count(&self, call: Call) -> usize {
        self.inner().faults.calls.iter().filter(|(other, _)| *other == call).count()
    }

    /// Returns how often the content of a pool was read.
    pub fn pool_reads(&self) -> usize {
        self.inner().faults.pool_reads
    }

    /// Returns the number of changing calls, failed ones included.
    pub fn changes(&self) -> usize {
        self.inner().faults.changes
    }

    /// Empties the log of calls.
    pub fn forget_calls(&self) {
        self.inner().faults.calls.clear();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A call changes the model as a whole or not at all, so the state after a panic is valid.
        self.inner.lock()
    }
}
