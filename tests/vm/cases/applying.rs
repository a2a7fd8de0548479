//! Maps that are applied: what is written on top arrives below, and a second apply has nothing to do.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result, ensure};
use dmctl::kernel::ReadKernel;

use crate::guest::{Disk, Guest, Mounted, Ran, apply_ends, program, with_map};

/// Writes eight sectors at `at` of a mapping and reads them back at `below` of a disk.
fn arrives(guest: &Guest, name: &str, at: u64, disk: usize, below: u64) -> Result<()> {
    let byte = u8::try_from((at / 8 + below / 8) % 255)? + 1;
    guest.disks[disk].fill(below, 8, 0)?;
    Disk::mapping(name)?.fill(at, 8, byte)?;
    let seen = guest.disks[disk].read(below, 8)?;
    ensure!(seen == [byte; 4096], "{name}: sector {at} is not sector {below} of disk {disk}");
    Ok(())
}

pub fn two_linears_side_by_side(guest: &Guest) -> Result<()> {
    let map = r#"
        [mappings.test]
        targets = [
          { type = "linear", length = "512KiB", device = "/dev/ram0", offset = 2048 },
          { type = "linear", length = 1024, device = "/dev/ram1", offset = "1MiB" },
        ]"#;
    guest.apply(map, &[])?;
    let (info, live, inactive) = guest.state("test")?;
    ensure!(info.uuid.is_some_and(|uuid| uuid.text() == "DMCTL-lab-test"));
    ensure!(live == "0 1024 linear 1:0 2048\n1024 1024 linear 1:1 2048" && inactive.is_empty(), "{live}");
    for (at, disk, below) in [(0, 0, 2048), (1016, 0, 3064), (1024, 1, 2048), (2040, 1, 3064)] {
        arrives(guest, "test", at, disk, below)?;
    }
    guest.apply("mappings.test.state = \"absent\"", &[])
}

pub fn a_stripe(guest: &Guest) -> Result<()> {
    let map = r#"
        [mappings.fast]
        [[mappings.fast.targets]]
        type = "striped"
        length = 6144
        chunk = "64KiB"
        stripes = [
          { device = "/dev/ram0" },
          { device = "/dev/ram1", offset = 8 },
          { device = "/dev/ram2", offset = 16 },
        ]"#;
    guest.apply(map, &[])?;
    ensure!(guest.state("fast")?.1 == "0 6144 striped 3 128 1:0 0 1:1 8 1:2 16");
    // Chunk by chunk around the disks, and back to the first one a chunk further.
    for (at, disk, below) in [(0, 0, 0), (128, 1, 8), (256, 2, 16), (384, 0, 128), (6136, 2, 16 + 2040)] {
        arrives(guest, "fast", at, disk, below)?;
    }
    guest.apply("mappings.fast.state = \"absent\"", &[])
}

pub fn a_stack_of_three(guest: &Guest) -> Result<()> {
    let map = r#"
        [mappings.a-top]
        targets = [{ type = "linear", length = 1024, device = "@middle", offset = 1024 }]
        [mappings.middle]
        targets = [
          { type = "linear", length = 512, device = "@z-low", offset = 8 },
          { type = "linear", length = 2048, device = "@z-low", offset = 4096 },
        ]
        [mappings.z-low]
        targets = [{ type = "linear", device = "/dev/ram3" }]"#;
    guest.apply(map, &[])?;
    // 1024 of the middle is 512 behind the start of its second row.
    arrives(guest, "a-top", 0, 3, 4096 + 512)?;
    arrives(guest, "a-top", 1016, 3, 4096 + 512 + 1016)?;
    arrives(guest, "middle", 0, 3, 8)?;
    guest.apply("[policy]\nprune = true\n[mappings]", &[])?;
    ensure!(guest.states()?.is_empty());
    Ok(())
}

pub fn growth_under_a_mounted_file_system(guest: &Guest) -> Result<()> {
    let small = r#"mappings.data.targets = [{ type = "linear", length = "8MiB", device = "/dev/ram0" }]"#;
    let large = r#"
        [mappings.data]
        targets = [
          { type = "linear", length = "8MiB", device = "/dev/ram0" },
          { type = "linear", length = "16MiB", device = "/dev/ram1" },
        ]"#;
    guest.apply(small, &[])?;
    let mounted = Mounted::fresh("/dev/mapper/data", "ext4", "/run/tmp/data")?;
    let contents = vec![0x5a; 1 << 20];
    fs::write(mounted.file("kept"), &contents)?;
    let number = Disk::mapping("data")?.number;

    guest.apply(large, &[])?;
    ensure!(Disk::mapping("data")?.number == number);
    let block = guest.kernel.block_device(number)?.context("no block device")?;
    ensure!(block.sectors == 24 * 2048, "{block:?}");
    program("resize2fs", &["/dev/mapper/data"])?;
    // More than fitted before.
    fs::write(mounted.file("new"), vec![0xa5; 12 << 20])?;
    ensure!(fs::read(mounted.file("kept"))? == contents, "the file did not survive");

    // Back again, that would cut the file system off: not unasked.
    let refused = guest.refused(small, &[], 3)?;
    ensure!(refused.stderr.contains("--allow remap"), "{refused:?}");
    drop(mounted);
    guest.apply("mappings.data.state = \"absent\"", &[])
}

pub fn a_stack_grows_in_one_apply(guest: &Guest) -> Result<()> {
    let map = |lower: &str, upper: &str| {
        format!(
            r#"
            mappings.lower.targets = [{{ type = "linear", length = "{lower}", device = "/dev/ram4" }}]
            mappings.upper.targets = [{{ type = "linear", length = "{upper}", device = "@lower" }}]"#
        )
    };
    guest.apply(&map("4MiB", "4MiB"), &[])?;
    let open = fs::File::open("/dev/mapper/upper")?;
    Disk::mapping("upper")?.fill(8184, 8, 0x77)?;
    guest.apply(&map("8MiB", "6MiB"), &[])?;
    ensure!(guest.state("lower")?.1 == "0 16384 linear 1:4 0");
    ensure!(Disk::mapping("upper")?.read(8184, 8)? == [0x77; 4096]);
    arrives(guest, "upper", 12280, 4, 12280)?;
    // And smaller, which has to begin at the other end.
    drop(open);
    guest.apply(&map("4MiB", "2MiB"), &["--allow", "remap"])?;
    ensure!(guest.state("upper")?.0.open_count == 0);
    guest.apply("mappings.upper.state = \"absent\"\nmappings.lower.state = \"absent\"", &[])
}

pub fn a_device_has_many_names(guest: &Guest) -> Result<()> {
    let map = |device: &str| {
        format!(r#"mappings.one.targets = [{{ type = "linear", length = 64, device = "{device}" }}]"#)
    };
    fs::create_dir_all("/dev/disk/by-label")?;
    std::os::unix::fs::symlink("../../ram5", "/dev/disk/by-label/data")?;
    guest.apply(&map("/dev/ram5"), &[])?;
    let before = guest.states()?;
    let outcome = ["1:5", "/dev/disk/by-label/data", "LABEL=data", "/dev/../dev/ram5"]
        .iter()
        .try_for_each(|device| guest.in_sync(&map(device)).with_context(|| (*device).to_string()));
    fs::remove_file("/dev/disk/by-label/data")?;
    outcome?;
    ensure!(guest.states()? == before);
    guest.apply("mappings.one.state = \"absent\"", &[])
}

/// How many calls to Device Mapper a run says that it made.
fn calls(ran: &Ran) -> Result<usize> {
    let told = ran.stderr.split("calls to Device Mapper: ").nth(1).with_context(|| format!("{ran:?}"))?;
    Ok(told.lines().next().unwrap_or_default().trim().parse()?)
}

pub fn three_hundred_devices(guest: &Guest) -> Result<()> {
    let mut map = String::new();
    for n in 0..300 {
        writeln!(
            map,
            r#"mappings.m{n}.targets = [{{ type = "linear", length = 64, device = "/dev/ram{}", offset = {} }}]"#,
            n % 8,
            n * 64
        )?;
    }
    // Each is made, loaded, resumed, and looked at; besides, there is the version, and a list before and after, which
    // takes two tries when it is long.
    let count = calls(&apply_ends(&map, &["-vv"], 0)?)?;
    ensure!(count <= 4 * 300 + 4, "{count} calls for 300 devices that are made");
    guest.in_sync(&map)?;
    ensure!(guest.states()?.len() == 300);
    arrives(guest, "m299", 0, 299 % 8, 299 * 64)?;

    // One list and a table each, whatever else there is to know.
    let count = calls(&with_map("plan", &map, &["-vv"])?)?;
    ensure!(count <= 303, "{count} calls for a plan of 300 devices");

    apply_ends("[policy]\nprune = true\n[mappings]", &[], 0)?;
    ensure!(guest.states()?.is_empty());
    Ok(())
}
