//! The facts of Device Mapper, on the model.

use std::collections::BTreeSet;

use dmctl::kernel::simulated::Simulated;

use super::kernel_cases::{self, Disk, Disks};

#[test]
fn the_model_holds_every_fact_and_every_case_cleans_up() {
    let state = super::disks();
    let disks = state.block_devices.iter().map(|disk| Disk {
        number: disk.number,
        path: disk.paths[0].clone(),
        sectors: disk.sectors,
    });
    let disks = Disks { disks: disks.collect() };
    let kernel = Simulated::new(&state).unwrap();
    let mut failures = Vec::new();
    for (name, case) in kernel_cases::all() {
        if let Err(says) = case(&kernel, &disks) {
            failures.push(format!("{name}: {says}"));
        }
        if kernel.state() != state {
            failures.push(format!("{name}: leaves something behind"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_fact_has_a_name_of_its_own() {
    let cases = kernel_cases::all();
    let names: BTreeSet<&str> = cases.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), cases.len());
}
