//! The simulated kernel: the facts that hold on every kernel, and what only a simulated one has.

#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod kernel_cases;

use dmctl::kernel::simulated::{DiskSpec, Simulated, State};
use kernel_cases::{Disk, Disks};

/// A kernel with three ram disks of 16 MiB.
fn kernel() -> (Simulated, Disks) {
    let specs: Vec<DiskSpec> = (0..3).map(|n| format!("/dev/ram{n}=16MiB").parse().unwrap()).collect();
    let state = State::from_disks(&specs).unwrap();
    let disks = state.block_devices.iter().map(|disk| Disk {
        number: disk.number,
        path: disk.paths[0].clone(),
        sectors: disk.sectors,
    });
    let disks = Disks { disks: disks.collect() };
    (Simulated::new(&state).unwrap(), disks)
}

#[test]
fn the_model_holds_every_fact() {
    let mut failures = Vec::new();
    let (kernel, disks) = kernel();
    let untouched = kernel.state();
    for (name, case) in kernel_cases::all() {
        if let Err(says) = case(&kernel, &disks) {
            failures.push(format!("{name}: {says}"));
        }
        if kernel.state() != untouched {
            failures.push(format!("{name}: leaves something behind"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_fact_has_one_name() {
    let mut names: Vec<&str> = kernel_cases::all().iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}
