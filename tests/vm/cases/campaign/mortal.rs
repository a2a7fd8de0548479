//! An apply that ends at a border between two calls: this program, run again by itself, as a process that can die.
//!
//! It does what `dmctl apply` does, with a kernel that counts the changing calls. After the call it was told of the
//! process kills itself, as `kill -9` from outside would, or tells itself to stop with SIGTERM.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};
use dmctl::access::Access;
use dmctl::apply::{self, ApplyError, Options, Silent};
use dmctl::device::Device;
use dmctl::identity::{DevNum, Name, Uuid};
use dmctl::kernel::live::{Live, Udev};
use dmctl::kernel::{
    BlockDevice, ChangeKernel, DeviceState, DeviceStatus, Hallmarks, Id, KernelError, ListEntry, MemoryLock,
    QueueFacts, ReadKernel, Removal, Slot, Suspend, Users, Version,
};
use dmctl::keys::Keyring;
use dmctl::plan;
use dmctl::policy::Class;
use dmctl::table::RawRow;
use signal_hook::consts::{SIGKILL, SIGTERM};
use signal_hook::low_level;

use super::scene;

/// The first word of the arguments with which this program is run again.
pub const WORD: &str = "end-after";

/// The running kernel, and what happens after each changing call.
struct Mortal {
    kernel: Live,
    calls: AtomicUsize,
    /// The call after which this process gets this signal.
    end: (usize, i32),
    /// How large this process is while devices are suspended.
    size: Mutex<Size>,
}

/// The size of this process, in pages, from the first suspend of a swap to its last resume.
#[derive(Default)]
struct Size {
    suspended: usize,
    at_first: u64,
    grown: u64,
}

impl Mortal {
    fn called<T>(&self, outcome: T) -> T {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if self.end.0 == call {
            let _ = low_level::raise(self.end.1);
        }
        outcome
    }

    fn size(&self) -> MutexGuard<'_, Size> {
        self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The size of this process, in pages (`proc_pid_statm(5)`).
fn pages() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').next().and_then(|pages| pages.parse().ok()).unwrap_or_default()
}

impl ReadKernel for Mortal {
    fn version(&self) -> Result<Version, KernelError> {
        self.kernel.version()
    }

    fn list(&self) -> Result<Vec<ListEntry>, KernelError> {
        self.kernel.list()
    }

    fn device(&self, id: &Id, slot: Slot) -> Result<Option<DeviceState>, KernelError> {
        self.kernel.device(id, slot)
    }

    fn status(&self, id: &Id) -> Result<Option<DeviceStatus>, KernelError> {
        self.kernel.status(id)
    }

    fn targets(&self) -> Result<BTreeMap<String, Version>, KernelError> {
        self.kernel.targets()
    }

    fn resolve(&self, device: &Device) -> Result<Option<DevNum>, KernelError> {
        self.kernel.resolve(device)
    }

    fn block_device(&self, number: DevNum) -> Result<Option<BlockDevice>, KernelError> {
        self.kernel.block_device(number)
    }

    fn partitions(&self, disk: DevNum) -> Result<Vec<DevNum>, KernelError> {
        self.kernel.partitions(disk)
    }

    fn block_devices(&self) -> Result<Vec<DevNum>, KernelError> {
        self.kernel.block_devices()
    }

    fn paths(&self) -> Result<BTreeMap<DevNum, Vec<String>>, KernelError> {
        self.kernel.paths()
    }

    fn queue(&self, number: DevNum) -> QueueFacts {
        self.kernel.queue(number)
    }

    fn keeps_tags(&self, number: DevNum) -> bool {
        self.kernel.keeps_tags(number)
    }

    fn has_key(&self, key: &Keyring) -> Option<bool> {
        self.kernel.has_key(key)
    }

    fn hallmarks(&self, number: DevNum) -> Hallmarks {
        self.kernel.hallmarks(number)
    }

    fn users(&self, number: DevNum) -> Result<Users, KernelError> {
        self.kernel.users(number)
    }

    fn openers(&self, numbers: &BTreeSet<DevNum>) -> BTreeMap<DevNum, Users> {
        self.kernel.openers(numbers)
    }

    fn peek(&self, number: DevNum, offset: u64, length: usize) -> Option<Vec<u8>> {
        self.kernel.peek(number, offset, length)
    }

    fn recorded_paths(&self, number: DevNum) -> BTreeSet<String> {
        self.kernel.recorded_paths(number)
    }

    fn driver_name(&self, number: DevNum) -> Option<String> {
        self.kernel.driver_name(number)
    }

    fn answers(&self, number: DevNum) -> bool {
        self.kernel.answers(number)
    }
}

impl ChangeKernel for Mortal {
    fn create(&self, name: &Name, uuid: Option<&Uuid>) -> Result<DevNum, KernelError> {
        self.called(self.kernel.create(name, uuid))
    }

    fn load(&self, id: &Id, table: &[RawRow], access: Access) -> Result<(), KernelError> {
        self.called(self.kernel.load(id, table, access))
    }

    fn clear(&self, id: &Id) -> Result<(), KernelError> {
        self.called(self.kernel.clear(id))
    }

    fn suspend(&self, id: &Id, how: Suspend) -> Result<(), KernelError> {
        {
            let mut size = self.size();
            if size.suspended == 0 {
                size.at_first = pages();
            }
            size.suspended += 1;
        }
        self.called(self.kernel.suspend(id, how))
    }

    fn resume(&self, id: &Id) -> Result<(), KernelError> {
        let outcome = self.kernel.resume(id);
        {
            let mut size = self.size();
            if size.suspended > 0 {
                size.grown = size.grown.max(pages().saturating_sub(size.at_first));
                size.suspended -= 1;
            }
        }
        self.called(outcome)
    }

    fn rename(&self, name: &Name, new: &Name) -> Result<(), KernelError> {
        self.called(self.kernel.rename(name, new))
    }

    fn set_uuid(&self, name: &Name, uuid: &Uuid) -> Result<(), KernelError> {
        self.called(self.kernel.set_uuid(name, uuid))
    }

    fn remove(&self, id: &Id, how: Removal) -> Result<(), KernelError> {
        self.called(self.kernel.remove(id, how))
    }

    fn message(&self, id: &Id, sector: u64, message: &str) -> Result<Option<String>, KernelError> {
        self.called(self.kernel.message(id, sector, message))
    }

    fn lock_memory(&self) -> Option<MemoryLock> {
        self.kernel.lock_memory()
    }

    fn begin(&self) -> Result<(), KernelError> {
        self.kernel.begin()
    }

    fn catch_up(&self) {
        self.kernel.catch_up();
    }

    fn settle(&self) -> Result<(), KernelError> {
        self.kernel.settle()
    }
}

/// `end-after KILL|TERM CALLS JOBS MAP`. Ends with 0 when the map is applied, 6 when it was told to stop and put
/// everything back; that this process grew while devices were suspended is an error.
pub fn perform(arguments: &[String]) -> Result<ExitCode> {
    let [signal, calls, jobs, path] = arguments else { bail!("{WORD} KILL|TERM CALLS JOBS MAP") };
    let calls: usize = calls.parse().context("a number of calls")?;
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTERM, Arc::clone(&stop))?;
    let signal = if signal == "KILL" { SIGKILL } else { SIGTERM };
    let map = scene::read(path)?;
    let kernel = Mortal {
        kernel: Live::open(Udev::Auto)?,
        calls: AtomicUsize::new(0),
        end: (calls, signal),
        size: Mutex::default(),
    };
    let plan = plan::plan(&kernel, &map, &Class::ALL.into())?;
    let options = Options { stop: &stop, jobs: jobs.parse()?, ..Options::default() };
    let outcome = apply::apply(&kernel, &plan, options, &mut Silent);
    let grown = kernel.size().grown;
    match outcome {
        Ok(()) if grown > 0 => bail!("grew by {grown} pages while devices were suspended"),
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(ApplyError::Interrupted { .. }) => Ok(ExitCode::from(6)),
        Err(error) => bail!("{error}"),
    }
}
