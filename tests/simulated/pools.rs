//! Thin pools and their volumes: what the metadata remembers.

use dmctl::identity::DevNum;
use dmctl::kernel::simulated::Simulated;
use dmctl::kernel::{ChangeKernel, ReadKernel, Removal, Slot, Suspend};
use nix::errno::Errno;

use super::{id, info, kernel, live, load, make};

/// A pool of 128 blocks of 64 KiB: metadata on `/dev/ram0`, data on `/dev/ram1`.
const POOL: &str = "0 16384 thin-pool /dev/ram0 /dev/ram1 128 0";

fn with_pool() -> Simulated {
    let kernel = kernel();
    make(&kernel, "pool", POOL).unwrap();
    kernel
}

fn message(kernel: &Simulated, text: &str) -> Option<Errno> {
    kernel.message(&id("pool"), 0, text).err().and_then(|error| error.errno())
}

#[test]
fn a_volume_is_created_by_message_first() {
    let kernel = with_pool();
    let absent = make(&kernel, "thin", "0 1024 thin 254:0 7").unwrap_err();
    assert_eq!(absent.errno(), Some(Errno::ENODATA));
    assert_eq!(message(&kernel, "create_thin 7"), None);
    load(&kernel, "thin", "0 1024 thin 254:0 7").unwrap();
    kernel.resume(&id("thin")).unwrap();
    assert_eq!(live(&kernel, "thin"), "0 1024 thin 254:0 7");
    assert_eq!(info(&kernel, "pool").open_count, 1);
}

#[test]
fn messages_are_refused_as_the_pool_refuses_them() {
    let kernel = with_pool();
    for (text, errno) in [
        ("create_thin 0", None),
        ("create_thin 0", Some(Errno::EEXIST)),
        ("create_thin 16777216", Some(Errno::EINVAL)),
        ("create_thin -1", Some(Errno::EINVAL)),
        ("create_thin", Some(Errno::EINVAL)),
        ("create_snap 1 0", None),
        ("create_snap 2 9", Some(Errno::ENODATA)),
        ("delete 9", Some(Errno::ENODATA)),
        ("delete 1", None),
        ("delete 1", Some(Errno::ENODATA)),
        ("set_transaction_id 0 1", None),
        ("frobnicate", Some(Errno::EINVAL)),
        ("", Some(Errno::EINVAL)),
    ] {
        assert_eq!(message(&kernel, text), errno, "{text}");
    }
    make(&kernel, "thin", "0 1024 thin 254:0 0").unwrap();
    assert_eq!(message(&kernel, "delete 0"), Some(Errno::EBUSY));
}

#[test]
fn volumes_outlive_the_pool_device_and_the_file() {
    let kernel = with_pool();
    message(&kernel, "create_thin 3");
    kernel.remove(&id("pool"), Removal::Now).unwrap();
    let kernel = Simulated::new(&kernel.state()).unwrap();
    make(&kernel, "meta", "0 32768 linear 1:0 0").unwrap();
    make(&kernel, "pool", "0 16384 thin-pool /dev/mapper/meta /dev/ram1 128 0").unwrap();
    make(&kernel, "thin", "0 1024 thin 254:1 3").unwrap();
}

#[test]
fn a_volume_wants_a_live_pool_that_is_not_suspended() {
    let kernel = with_pool();
    message(&kernel, "create_thin 3");
    kernel.suspend(&id("pool"), Suspend::default()).unwrap();
    let suspended = make(&kernel, "thin", "0 1024 thin 254:0 3").unwrap_err();
    assert_eq!(suspended.errno(), Some(Errno::EINVAL));
    let no_pool = load(&kernel, "thin", "0 1024 thin 1:2 3").unwrap_err();
    assert_eq!(no_pool.errno(), Some(Errno::EINVAL));
}

#[test]
fn a_shrunk_pool_fails_after_the_swap() {
    let kernel = with_pool();
    load(&kernel, "pool", "0 8192 thin-pool 1:0 1:1 128 0").unwrap();
    assert_eq!(kernel.resume(&id("pool")).unwrap_err().errno(), Some(Errno::EINVAL));
    let left = info(&kernel, "pool");
    assert_eq!((left.suspended, left.inactive_table), (true, false));
    assert!(live(&kernel, "pool").starts_with("0 8192 "), "the short table is live");
    load(&kernel, "pool", POOL).unwrap();
    kernel.resume(&id("pool")).unwrap();
    assert!(!info(&kernel, "pool").suspended);
}

#[test]
fn what_a_live_pool_takes() {
    let kernel = with_pool();
    load(&kernel, "pool", "0 32768 thin-pool 1:0 1:1 128 50 1 error_if_no_space").unwrap();
    kernel.resume(&id("pool")).unwrap();
    load(&kernel, "pool", "0 32768 thin-pool 1:0 1:1 256 50").unwrap();
    let inactive = kernel.device(&id("pool"), Slot::Inactive).unwrap().unwrap().table;
    let printed: Vec<&str> = inactive[0].params().split_whitespace().take(3).collect();
    assert_eq!(printed, ["1:0", "1:1", "128"], "the old block size is printed");
    for (rows, errno) in [
        ("0 32768 thin-pool 1:0 1:2 128 0", Errno::EBUSY),
        ("0 32768 thin-pool 1:2 1:1 128 0", Errno::EINVAL),
        ("0 32768 thin-pool 1:0 1:1 128 0 1 ignore_discard", Errno::EINVAL),
        ("0 32768 thin-pool 1:0 1:0 128 0", Errno::EINVAL),
    ] {
        assert_eq!(load(&kernel, "pool", rows).unwrap_err().errno(), Some(errno), "{rows}");
    }
    let second = make(&kernel, "second", "0 16384 thin-pool 1:0 1:2 128 0").unwrap_err();
    assert_eq!(second.errno(), Some(Errno::EBUSY), "one pool has the metadata");
    kernel.remove(&id("pool"), Removal::Now).unwrap();
    let other = load(&kernel, "second", "0 16384 thin-pool 1:0 1:1 256 0").unwrap_err();
    assert_eq!(other.errno(), Some(Errno::EINVAL), "the block size is in the metadata");
}

#[test]
fn pools_found_live_know_the_volumes_found_live() {
    let kernel = with_pool();
    message(&kernel, "create_thin 5");
    make(&kernel, "thin", "0 1024 thin 254:0 5").unwrap();
    let mut state = kernel.state();
    state.pools.clear();
    let found = Simulated::new(&state).unwrap();
    assert_eq!(found.state().pools, kernel.state().pools);
    assert_eq!(found.state().pools[0].metadata, DevNum::new(1, 0));
}
