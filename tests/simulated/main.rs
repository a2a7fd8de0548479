//! The simulated kernel: the facts that hold on every kernel, and what only a simulated one has.

#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

#[path = "../kernel_cases/mod.rs"]
mod kernel_cases;
#[path = "../waiting/mod.rs"]
mod waiting;

mod claims;
mod facts;
mod faults;
mod file;
mod hostile;
mod pools;
mod snapshots;
mod tags;

use dmctl::access::Access;
use dmctl::identity::Name;
use dmctl::kernel::simulated::{DiskSpec, Simulated, State};
use dmctl::kernel::{ChangeKernel, Id, Info, KernelError, ReadKernel, Slot};
use dmctl::table::parse_table;

/// Three blank ram disks of 16 MiB.
fn disks() -> State {
    let specs: Vec<DiskSpec> = (0..3).map(|n| format!("/dev/ram{n}=16MiB").parse().unwrap()).collect();
    State::from_disks(&specs).unwrap()
}

/// A kernel with them.
fn kernel() -> Simulated {
    Simulated::new(&disks()).unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn id(text: &str) -> Id {
    Id::Name(name(text))
}

fn load(kernel: &Simulated, device: &str, rows: &str) -> Result<(), KernelError> {
    kernel.load(&id(device), &parse_table(rows).unwrap(), Access::Writable)
}

/// Makes a device with a live table.
fn make(kernel: &Simulated, device: &str, rows: &str) -> Result<(), KernelError> {
    kernel.create(&name(device), None)?;
    load(kernel, device, rows)?;
    kernel.resume(&id(device))
}

fn info(kernel: &Simulated, device: &str) -> Info {
    kernel.device(&id(device), Slot::Live).unwrap().unwrap().info
}

/// The live table, a row a line.
fn live(kernel: &Simulated, device: &str) -> String {
    let table = kernel.device(&id(device), Slot::Live).unwrap().unwrap().table;
    table.iter().map(ToString::to_string).collect::<Vec<String>>().join("\n")
}
