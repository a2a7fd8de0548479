//! Snapshots: a merge takes over what a snapshot holds.

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
