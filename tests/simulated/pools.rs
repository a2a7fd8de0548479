//! Thin pools and their volumes: what the metadata remembers.

use std::collections::BTreeSet;

use dmctl::apply::{self, Options, Silent};
use dmctl::identity::DevNum;
use dmctl::kernel::simulated::Simulated;
use dmctl::kernel::{ChangeKernel, ReadKernel, Removal, Slot, Suspend};
use dmctl::plan;
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

/// A map of the pool with these volumes.
fn map(volumes: &str) -> dmctl::config::Map {
    let text = format!(
        "format = 1\n[mappings.pool]\ntargets = [{{ type = 'thin-pool', length = 16384, metadata = '/dev/ram0', data = '/dev/ram1', block_size = 128 }}]\n{volumes}"
    );
    dmctl::config::parse_str("map.toml", &text).map.unwrap()
}

/// The pool is read by plans that make a volume in it, once, and by no other.
#[test]
fn a_pool_is_read_where_a_plan_makes_volumes() {
    let kernel = kernel();
    let none = BTreeSet::new();
    let volume = |id: u32, with: &str| {
        format!(
            "[mappings.v{id}]\ntargets = [{{ type = 'thin', length = 1024, pool = '@pool', id = {id}, {with} }}]\n"
        )
    };
    let allow = BTreeSet::from([dmctl::policy::Class::Format]);
    let apply = |volumes: &str| {
        let plan = plan::plan(&kernel, &map(volumes), &allow).unwrap();
        apply::apply(&kernel, &plan, Options::default(), &mut Silent).unwrap();
    };
    let reads = |volumes: &str| {
        let before = (kernel.pool_reads(), kernel.calls().len());
        plan::plan(&kernel, &map(volumes), &none).unwrap();
        (kernel.pool_reads() - before.0, kernel.calls().len() - before.1)
    };
    assert_eq!(reads("").0, 0, "no volume");
    apply("");
    let two = volume(1, "create = true") + &volume(2, "snapshot_of = 1");
    let (pools, calls) = reads(&two);
    assert_eq!(pools, 1, "two volumes of one pool");
    apply(&two);
    assert_eq!(reads(&two).0, 0, "in sync");
    let plain = two + "[mappings.plain]\ntargets = [{ type = 'linear', length = 8, device = '/dev/ram2' }]\n";
    assert_eq!(reads(&plain).0, 0, "another mapping");
    // Nor is the kernel asked about a pool of the map more than for the rest of the plan.
    let without = volume(3, "external_origin = '/dev/ram2'");
    assert_eq!(reads(&volume(3, "create = true")).1, reads(&without).1, "{calls}");
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
