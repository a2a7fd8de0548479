//! Block devices: what they are, who uses them, what is on them.

use std::fs;
use std::os::unix::fs::symlink;

use anyhow::{Context, Result, ensure};
use dmctl::device::Device;
use dmctl::kernel::{ChangeKernel, ReadKernel, Removal, Slot, Suspend};

use crate::guest::{Disk, Guest, apply_ends, program, with_map};

pub fn devices_are_resolved(guest: &Guest) -> Result<()> {
    let disk = &guest.disks[1];
    fs::create_dir_all("/dev/disk/by-label")?;
    symlink("../../ram1", "/dev/disk/by-label/my\\x20disk")?;
    let label = "/dev/disk/by-label/my\\x20disk";
    let resolve = |text: &str| -> Result<_> { Ok(guest.kernel.resolve(&Device::parse(text)?)?) };
    for text in ["/dev/ram1", "/dev/../dev/ram1", &disk.number.to_string()] {
        ensure!(resolve(text)? == Some(disk.number), "{text}");
    }
    symlink(label, "/run/tmp/link")?;
    ensure!(resolve("/run/tmp/link")? == Some(disk.number));
    for text in ["/dev/absent", "/dev/ram1/x", "/dev/null", "/run", "1:4000", "LABEL=other"] {
        ensure!(resolve(text)?.is_none(), "{text}");
    }
    fs::remove_file("/run/tmp/link")?;
    fs::remove_file(label)?;
    Ok(())
}

pub fn what_is_at_the_path_of_a_lower_device_is_told(_guest: &Guest) -> Result<()> {
    fs::write("/run/tmp/image", "")?;
    symlink("ram-none", "/dev/dangling")?;
    let cases = [
        (
            "/run/tmp/image",
            "is a regular file, not a block device; attach it with losetup, and write the loop device",
        ),
        ("/dev/dangling", "leads to /dev/ram-none, which does not exist"),
        ("/dev/null", "is a character device, not a block device"),
        ("/run/tmp", "is a folder, not a block device"),
        ("/dev/absent", "does not exist"),
    ];
    let mappings: Vec<String> = (0..)
        .zip(&cases)
        .map(|(n, (path, _))| {
            format!("[mappings.m{n}]\ntargets = [{{ type = 'linear', length = 8, device = '{path}' }}]\n")
        })
        .collect();
    let map = mappings.concat();
    let (plan, graph) = (with_map("plan", &map, &[])?, with_map("graph", &map, &[])?);
    fs::remove_file("/dev/dangling")?;
    fs::remove_file("/run/tmp/image")?;
    ensure!(graph.status == Some(0), "{graph:?}");
    for (path, why) in cases {
        ensure!(plan.stdout.contains(&format!("{path} {why}")), "{path}: {plan:?}");
        let drawn = graph.stdout.lines().any(|line| line.starts_with(path) && line.ends_with(why));
        ensure!(drawn, "{path}: {graph:?}");
    }
    Ok(())
}

pub fn sizes_and_read_only_disks(guest: &Guest) -> Result<()> {
    let number = guest.disks[0].number;
    let disk = guest.kernel.block_device(number)?.context("no ram disk")?;
    ensure!(disk.number == number && disk.sectors == 131_072 && !disk.read_only, "{disk:?}");
    ensure!(disk.logical_block_size == 512, "{disk:?}");
    program("blockdev", &["--setro", "/dev/ram0"])?;
    let disk = guest.kernel.block_device(number);
    program("blockdev", &["--setrw", "/dev/ram0"])?;
    ensure!(disk?.context("no ram disk")?.read_only);
    Ok(())
}

pub fn a_partition_has_its_disks_block_size(guest: &Guest) -> Result<()> {
    // A disk with blocks of 4 KiB and one partition, from block 16 on, 256 blocks long.
    let image = "/run/tmp/disk.img";
    let mut bytes = vec![0; 4 << 20];
    bytes[446..462].copy_from_slice(&[0, 0, 0, 0, 0x83, 0, 0, 0, 16, 0, 0, 0, 0, 1, 0, 0]);
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    fs::write(image, bytes)?;
    let arguments = ["--find", "--show", "--partscan", "--sector-size", "4096", image];
    let whole = Disk::open(program("losetup", &arguments)?.trim())?;
    let part = Disk::open(format!("{}p1", whole.path.display()))?;
    let block = guest.kernel.block_device(part.number);
    program("losetup", &["--detach", &whole.path.display().to_string()])?;
    fs::remove_file(image)?;
    let block = block?.context("no partition")?;
    ensure!(block.logical_block_size == 4096 && block.sectors == 256 * 8, "{block:?}");
    Ok(())
}

pub fn users_are_named(guest: &Guest) -> Result<()> {
    let disk = &guest.disks[4];
    ensure!(guest.kernel.users(disk.number)? == dmctl::kernel::Users::default());
    let id = guest.device("space", &format!("0 32768 linear {} 0", disk.number))?;
    let mapping = Disk::mapping("space")?;
    ensure!(guest.kernel.users(disk.number)?.holders == [mapping.number]);

    program("mke2fs", &["-q", "-F", "-t", "ext2", "/dev/mapper/space"])?;
    let points = ["/run/tmp/a b", "/run/tmp/c"];
    for point in points {
        fs::create_dir_all(point)?;
        program("busybox", &["mount", "-t", "ext2", "/dev/mapper/space", point])?;
    }
    let mounted = guest.kernel.users(mapping.number)?;
    let info = guest.kernel.device(&id, Slot::Live)?.context("no such device")?.info;
    for point in points {
        program("busybox", &["umount", point])?;
    }
    ensure!(mounted.mounts == points && !mounted.swap && mounted.holders.is_empty(), "{mounted:?}");
    ensure!(info.open_count == 1, "{info:?}");

    program("mkswap", &["/dev/mapper/space"])?;
    program("swapon", &["/dev/mapper/space"])?;
    let swapped = guest.kernel.users(mapping.number)?;
    program("swapoff", &["/dev/mapper/space"])?;
    ensure!(swapped.swap && swapped.mounts.is_empty(), "{swapped:?}");
    ensure!(!guest.kernel.users(mapping.number)?.swap);
    guest.kernel.remove(&id, Removal::Now)?;
    Ok(())
}

pub fn a_peek_sees_what_is_on_the_disk(guest: &Guest) -> Result<()> {
    let disk = &guest.disks[5];
    // A reader that keeps the device open keeps its page cache, too.
    let cached = fs::File::open(&disk.path)?;
    disk.fill(0, 16, 0x5a)?;
    disk.write(3, &[1; 512])?;
    let peek = |offset, length| guest.kernel.peek(disk.number, offset, length);
    ensure!(peek(0, 512) == Some(vec![0x5a; 512]));
    ensure!(peek(3 * 512 + 10, 4) == Some(vec![1; 4]));
    ensure!(peek(3 * 512 - 1, 2) == Some(vec![0x5a, 1]));
    ensure!(peek(4095, 2) == Some(vec![0x5a; 2]));
    disk.fill(0, 8, 0x6b)?;
    ensure!(peek(0, 16) == Some(vec![0x6b; 16]), "an old page was shown");
    ensure!(peek((64 << 20) - 4, 4).is_some());
    ensure!(peek((64 << 20) - 4, 5).is_none(), "past the end of the disk");
    ensure!(peek(1 << 60, 1).is_none() && peek(0, usize::MAX).is_none() && peek(u64::MAX, 1).is_none());
    ensure!(peek(0, 0) == Some(Vec::new()));
    drop(cached);
    let absent = dmctl::identity::DevNum::new(disk.number.major, 4000);
    ensure!(guest.kernel.peek(absent, 0, 1).is_none());
    Ok(())
}

pub fn a_suspended_device_is_not_peeked_at(guest: &Guest) -> Result<()> {
    let lower = guest.device("lower", &format!("0 64 linear {} 0", guest.disks[0].number))?;
    let lower_number = Disk::mapping("lower")?.number;
    let upper = guest.device("upper", &format!("0 64 linear {lower_number} 0"))?;
    let upper_number = Disk::mapping("upper")?.number;
    let sees = |number| guest.kernel.peek(number, 0, 512).is_some();
    ensure!(sees(lower_number) && sees(upper_number));
    guest.kernel.suspend(&lower, Suspend::default())?;
    let held = (sees(lower_number), sees(upper_number));
    guest.kernel.resume(&lower)?;
    ensure!(held == (false, false), "{held:?}");
    ensure!(sees(upper_number));
    guest.kernel.remove(&upper, Removal::Now)?;
    guest.kernel.remove(&lower, Removal::Now)?;
    Ok(())
}

/// A table holds its devices by number: it goes on without their nodes, and so does an apply of the rest. The sectors stay taken.
pub fn a_live_table_goes_on_without_the_nodes_below(guest: &Guest) -> Result<()> {
    guest.blank()?;
    let map = |grown: u64, changed: u64| {
        format!(
            "[mappings.n]\nwait = '30s'\ntargets = [{{ type = 'linear', length = {changed}, device = '/dev/ram0' }}]\n\
             [mappings.l]\nwait = '30s'\ntargets = [{{ type = 'linear', device = '/dev/vanishing-link' }}]\n\
             [mappings.u]\ntargets = [{{ type = 'linear', length = 8, device = '@n' }}]\n\
             [mappings.g]\ntargets = [{{ type = 'linear', length = {grown}, device = '/dev/ram2' }}]"
        )
    };
    symlink("/dev/vanishing-too", "/dev/vanishing-link")?;
    program("busybox", &["mknod", "/dev/vanishing-too", "b", "1", "1"])?;
    guest.apply(&map(8, 16), &[])?;
    // udev records the links of a device here.
    fs::create_dir_all("/run/udev/data")?;
    fs::write("/run/udev/data/b1:1", "S:vanishing-link\nI:1\n")?;
    fs::remove_file("/dev/ram0")?;
    fs::remove_file("/dev/vanishing-too")?;
    let plan = with_map("plan", &map(16, 16), &[])?;
    ensure!(plan.status == Some(0) && !plan.stdout.contains("conflict"), "{plan:?}");
    for told in
        ["/dev/ram0 does not exist; the live table has 1:0 in its place", "leads to /dev/vanishing-too"]
    {
        ensure!(plan.stdout.contains(told), "{told}: {}", plan.stdout);
    }
    let begin = std::time::Instant::now();
    guest.apply(&map(16, 16), &[])?;
    ensure!(begin.elapsed().as_secs() < 15, "a live table was waited for");
    let taken = "[mappings.w]\ntargets = [{ type = 'linear', length = 8, device = '1:0' }]";
    guest.refused(&format!("{}\n{taken}", map(16, 16).replace("30s", "0s")), &[], 1)?;
    // No record has this path: it may mean any device.
    let strange = map(16, 16).replace("/dev/ram0", "/dev/never-seen").replace("30s", "1s");
    let plan = with_map("plan", &strange, &[])?;
    ensure!(plan.status == Some(0) && plan.stdout.contains("? unknown"), "{plan:?}");
    let begin = std::time::Instant::now();
    guest.apply(&strange, &[])?;
    ensure!(begin.elapsed().as_millis() > 900, "a path that may mean any device was not waited for");
    guest.refused(&format!("{}\n{taken}", strange.replace("1s", "0s")), &[], 1)?;
    // What is to be loaded needs the node.
    let grown = map(16, 24).replace("30s", "0s");
    guest.refused(&grown, &[], 1)?;
    fs::remove_file("/dev/vanishing-link")?;
    fs::remove_dir_all("/run/udev/data")?;
    program("busybox", &["mknod", "/dev/ram0", "b", "1", "0"])?;
    guest.apply(&grown, &[])?;
    apply_ends("[policy]\nprune = true\n[mappings]", &[], 0)?;
    Ok(())
}
