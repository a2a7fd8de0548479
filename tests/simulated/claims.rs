//! Which other program has a device, which target may come beside and after which, and what uses a disk.

use dmctl::device::Device;
use dmctl::identity::{DevNum, Uuid};
use dmctl::kernel::simulated::{Disk, Simulated, State};
use dmctl::kernel::{ChangeKernel, Partition, ReadKernel, Removal};
use nix::errno::Errno;

use super::{disks, id, info, kernel, live, load, make, name};

#[test]
fn a_device_that_something_else_has_is_busy() {
    let uses: [fn(&mut State); 4] = [
        |state| state.block_devices[0].exclusive = true,
        |state| state.block_devices[0].swap = true,
        |state| state.block_devices[0].mounts.push("/srv".to_string()),
        |state| state.block_devices[0].holders.push(DevNum::new(9, 0)),
    ];
    for used in uses {
        let mut state = disks();
        used(&mut state);
        let kernel = Simulated::new(&state).unwrap();
        assert_eq!(make(&kernel, "a", "0 8 linear 1:0 0").unwrap_err().errno(), Some(Errno::EBUSY));
        load(&kernel, "a", "0 8 linear 1:1 0").unwrap();
    }
}

#[test]
fn a_mounted_mapping_can_be_swapped_but_not_stood_on_or_removed() {
    let kernel = kernel();
    make(&kernel, "a", "0 8 linear 1:0 0").unwrap();
    let mut state = kernel.state();
    state.mappings[0].mounts.push("/srv".to_string());
    let kernel = Simulated::new(&state).unwrap();
    assert_eq!(info(&kernel, "a").open_count, 1);
    assert_eq!(kernel.users(DevNum::new(254, 0)).unwrap().mounts, ["/srv"]);
    assert_eq!(kernel.remove(&id("a"), Removal::Now).unwrap_err().errno(), Some(Errno::EBUSY));
    load(&kernel, "a", "0 16 linear 1:0 0").unwrap();
    kernel.resume(&id("a")).unwrap();
    assert_eq!(make(&kernel, "b", "0 8 linear 254:0 0").unwrap_err().errno(), Some(Errno::EBUSY));
}

#[test]
fn a_mapping_is_found_at_its_node_and_links() {
    let kernel = kernel();
    make(&kernel, "my disk", "0 8 linear 1:0 0").unwrap();
    kernel.set_uuid(&name("my disk"), &Uuid::new("DMCTL-lab-x").unwrap()).unwrap();
    for path in [
        "/dev/dm-0",
        "/dev/mapper/my\\x20disk",
        "/dev/disk/by-id/dm-name-my\\x20disk",
        "/dev/disk/by-id/dm-uuid-DMCTL-lab-x",
        "/dev/../dev//dm-0",
    ] {
        // No map can write a backslash; a host has such nodes all the same.
        let mut device = Device::parse("/dev/x").unwrap();
        device.form = dmctl::device::Form::Path(path.into());
        assert_eq!(kernel.resolve(&device).unwrap(), Some(DevNum::new(254, 0)), "{path}");
    }
    for path in ["/dev/dm-1", "/dev/mapper/other", "/dev/ram9", "254:1", "PARTLABEL=none", "@key"] {
        assert_eq!(kernel.resolve(&Device::parse(path).unwrap()).unwrap(), None, "{path}");
    }
}

#[test]
fn rows_must_lie_on_the_blocks_of_the_disk() {
    let mut state = disks();
    state.block_devices[0].logical_block_size = 4096;
    let kernel = Simulated::new(&state).unwrap();
    kernel.create(&name("a"), None).unwrap();
    for rows in ["0 8 linear 1:0 1", "0 9 linear 1:0 0"] {
        let error = load(&kernel, "a", rows).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::EINVAL));
        assert!(error.to_string().contains("logical block size 4096 of ram0"), "{error}");
    }
    load(&kernel, "a", "0 8 linear 1:0 8").unwrap();
    kernel.resume(&id("a")).unwrap();
    let size = kernel.block_device(DevNum::new(254, 0)).unwrap().unwrap().logical_block_size;
    assert_eq!(size, 4096, "a mapping has the blocks of what is below it");
}

#[test]
fn a_refusal_says_why() {
    let kernel = kernel();
    kernel.create(&name("a"), None).unwrap();
    for (rows, says) in [
        ("0 40000 linear 1:0 0", "ram0 too small for target: start=0, len=40000, dev_size=32768"),
        ("0 8 nosuchtarget", "nosuchtarget: unknown target type"),
        ("0 8 linear 1:0 x", "linear: the offset must be a decimal number"),
        ("0 8 striped 2 0 1:0 0 1:1 0", "chunk must be from 1"),
        ("0 8 linear /dev/none 0", "linear: Device lookup failed"),
    ] {
        let error = load(&kernel, "a", rows).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("load a table for a"), "{rows}: {error}");
    }
}

#[test]
fn a_type_that_only_the_kernel_knows_is_kept_word_by_word() {
    let mut state = disks();
    let version = state.kernel.ioctl_version;
    state.kernel.targets.insert("future".to_string(), version);
    let kernel = Simulated::new(&state).unwrap();
    make(&kernel, "a", "0 8 future /dev/ram0 4 some 9:9 words").unwrap();
    assert_eq!(live(&kernel, "a"), "0 8 future 1:0 4 some 9:9 words");
    assert_eq!(kernel.users(DevNum::new(1, 0)).unwrap().holders, [DevNum::new(254, 0)]);
}

#[test]
fn the_head_of_a_disk_is_seen_through_mappings() {
    let mut state = disks();
    state.block_devices[0].head = Some(dmctl::kernel::simulated::Hex(vec![7; 1024]));
    let kernel = Simulated::new(&state).unwrap();
    make(&kernel, "a", "0 8 linear 1:1 0\n8 8 linear 1:0 1").unwrap();
    make(&kernel, "b", "0 16 linear 254:0 0").unwrap();
    let number = DevNum::new(254, 1);
    assert_eq!(kernel.peek(number, 8 * 512 - 1, 3), Some(vec![0, 7, 7]));
    assert_eq!(kernel.peek(number, 8 * 512 + 510, 4), Some(vec![7, 7, 0, 0]));
    assert_eq!(kernel.peek(number, 16 * 512 - 1, 2), None, "past the end");
    assert_eq!(kernel.peek(DevNum::new(1, 1), 0, usize::MAX), None);
    assert_eq!(kernel.peek(DevNum::new(7, 7), 0, 1), None);
}

#[test]
fn mappings_in_a_circle_are_walked_once() {
    let kernel = kernel();
    make(&kernel, "a", "0 8 linear 1:0 0").unwrap();
    make(&kernel, "b", "0 8 linear 254:0 0").unwrap();
    load(&kernel, "a", "0 8 linear 254:1 0").unwrap();
    kernel.resume(&id("a")).unwrap();
    assert_eq!(kernel.peek(DevNum::new(254, 0), 0, 8), None);
    assert_eq!(kernel.block_device(DevNum::new(254, 0)).unwrap().unwrap().sectors, 8);
    assert_eq!(info(&kernel, "a").open_count, 1);
    assert_eq!(kernel.remove(&id("a"), Removal::Now).unwrap_err().errno(), Some(Errno::EBUSY));
    let again = Simulated::new(&kernel.state()).unwrap();
    assert_eq!(again.state(), kernel.state());
}

#[test]
fn a_disk_and_its_partitions_are_never_both_given_out() {
    let mut state = disks();
    let partition = Partition { disk: state.block_devices[0].number, start: 2048 };
    for minor in [1, 2] {
        let mut part = Disk::new(DevNum::new(259, minor), 64);
        part.partition = Some(Partition { start: partition.start * u64::from(minor), ..partition });
        state.block_devices.push(part);
    }
    let busy = |kernel: &Simulated, table: &str| {
        let refused = make(kernel, "b", table).unwrap_err();
        assert_eq!(refused.errno(), Some(Errno::EBUSY), "{table}");
        assert!(refused.to_string().contains("Device lookup failed"), "{refused}");
        kernel.remove(&id("b"), Removal::Now).unwrap();
    };
    let kernel = Simulated::new(&state).unwrap();
    make(&kernel, "a", "0 8 linear 259:1 0").unwrap();
    busy(&kernel, "0 8 linear 1:0 30000");
    make(&kernel, "c", "0 8 linear 259:2 0").unwrap();
    kernel.remove(&id("a"), Removal::Now).unwrap();
    busy(&kernel, "0 8 linear 1:0 30000");
    kernel.remove(&id("c"), Removal::Now).unwrap();
    make(&kernel, "a", "0 8 linear 1:0 0").unwrap();
    busy(&kernel, "0 8 linear 259:2 0");
    assert_eq!(load(&kernel, "a", "0 8 linear 259:2 0").unwrap_err().errno(), Some(Errno::EBUSY));
    // A mount is a claim as well.
    let last = state.block_devices.last_mut().unwrap();
    last.mounts.push("/boot".to_string());
    let kernel = Simulated::new(&state).unwrap();
    busy(&kernel, "0 8 linear 1:0 0");
    make(&kernel, "a", "0 8 linear 259:1 0").unwrap();
}
