//! Snapshots: a merge takes over what a snapshot holds.

use dmctl::kernel::simulated::Simulated;
use dmctl::kernel::{ChangeKernel, Removal, Suspend};

use super::{id, info, kernel, live, load, make};

#[test]
fn a_merge_takes_over_only_a_suspended_snapshot() {
    let kernel = kernel();
    make(&kernel, "base", "0 1024 linear /dev/ram0 0").unwrap();
    make(&kernel, "origin", "0 1024 snapshot-origin 254:0").unwrap();
    make(&kernel, "then", "0 1024 snapshot 254:0 /dev/ram1 P 8").unwrap();
    // A swap of its own table is no handover.
    load(&kernel, "then", "0 1024 snapshot 254:0 /dev/ram1 P 8").unwrap();
    kernel.resume(&id("then")).unwrap();

    load(&kernel, "origin", "0 1024 snapshot-merge 254:0 /dev/ram1 P 8").unwrap();
    let refused = kernel.resume(&id("origin")).unwrap_err();
    assert!(refused.to_string().contains("until source is suspended"), "{refused}");
    kernel.suspend(&id("then"), Suspend::default()).unwrap();
    kernel.resume(&id("origin")).unwrap();
    assert!(live(&kernel, "origin").contains("snapshot-merge") && !info(&kernel, "origin").suspended);
    kernel.remove(&id("then"), Removal::Now).unwrap();
}

/// Whether the model says that a snapshot does not keep what its origin had.
fn is_torn(kernel: &Simulated, device: &str) -> bool {
    kernel.state().mappings.iter().any(|mapping| mapping.name == device && mapping.torn)
}

#[test]
fn a_snapshot_beside_an_origin_that_was_not_resumed_after_it_is_torn() {
    let kernel = kernel();
    make(&kernel, "base", "0 1024 linear /dev/ram0 0").unwrap();
    make(&kernel, "origin", "0 1024 snapshot-origin 254:0").unwrap();
    make(&kernel, "torn", "0 1024 snapshot 254:0 /dev/ram1 P 8").unwrap();
    assert!(is_torn(&kernel, "torn"));

    // Whatever is larger than the smallest chunk is whole.
    kernel.suspend(&id("origin"), Suspend::default()).unwrap();
    kernel.resume(&id("origin")).unwrap();
    make(&kernel, "large", "0 1024 snapshot 254:0 /dev/ram2 N 16").unwrap();
    assert!(!is_torn(&kernel, "large") && is_torn(&kernel, "torn"), "what is lost stays lost");
}

#[test]
fn a_snapshot_whose_origin_is_resumed_after_it_is_whole() {
    let kernel = kernel();
    make(&kernel, "base", "0 1024 linear /dev/ram0 0").unwrap();
    make(&kernel, "origin", "0 1024 snapshot-origin 254:0").unwrap();
    kernel.suspend(&id("origin"), Suspend::default()).unwrap();
    make(&kernel, "then", "0 1024 snapshot 254:0 /dev/ram1 N 8").unwrap();
    kernel.resume(&id("origin")).unwrap();
    assert!(!is_torn(&kernel, "then"));
}
