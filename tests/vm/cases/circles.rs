//! Tables that lead back to their own device, through devices outside of the map. No request may be sent to such a device:
//! this kernel would not end it, and not survive it.

use std::fs;

use anyhow::{Context, Result, ensure};
use dmctl::access::Access;
use dmctl::kernel::{ChangeKernel, Id, Removal};

use crate::guest::{Background, Guest, Udevd, apply_ends, comes, dmctl, named, program, rows, with_map};

const NOTHING: &str = "[policy]\nprune = true\n[mappings]";
const UUID: &str = "11112222-3333-4444-5555-666677778888";

fn on(device: &str) -> String {
    format!("[mappings.a]\ntargets = [{{ type = \"linear\", length = 8192, device = \"{device}\" }}]")
}

/// A device outside of the map over `a`.
fn over_a(guest: &Guest) -> Result<(Id, String)> {
    guest.apply(&on("/dev/ram0"), &[])?;
    let number = guest.state("a")?.0.number;
    let over = guest.device("over", &format!("0 8192 linear {number} 0"))?;
    Ok((over, guest.state("over")?.0.number.to_string()))
}

pub fn a_table_that_leads_back_through_a_foreign_device_is_refused(guest: &Guest) -> Result<()> {
    let (over, number) = over_a(guest)?;
    let says = format!("it depends on itself, through over ({number})");
    for device in ["/dev/mapper/over", &number] {
        let ran = guest.refused(&on(device), &["--allow", "remap"], 1)?;
        ensure!(ran.stderr.contains(&says) || ran.stdout.contains(&says), "{device}: {ran:?}");
    }
    let ran = dmctl(&["reload", "a", "--table", "0 8192 linear /dev/mapper/over 0"])?;
    ensure!(ran.status == Some(1) && ran.stderr.contains("would depend on itself, through over"), "{ran:?}");
    guest.kernel.remove(&over, Removal::Now)?;
    guest.apply(NOTHING, &[])
}

pub fn a_table_that_leads_back_through_a_loop_device_is_refused(guest: &Guest) -> Result<()> {
    guest.apply(&on("/dev/ram0"), &[])?;
    let device = program("losetup", &["--find", "--show", "/dev/mapper/a"])?;
    let device = device.trim();
    let ran = guest.refused(&on(device), &["--allow", "remap"], 1)?;
    program("losetup", &["--detach", device])?;
    let name = device.trim_start_matches("/dev/");
    let says = format!("it depends on itself, through {name} (7:");
    ensure!(ran.stderr.contains(&says) || ran.stdout.contains(&says), "{ran:?}");
    guest.apply(NOTHING, &[])
}

pub fn a_mapping_over_a_loop_device_is_cut_with_what_is_below(guest: &Guest) -> Result<()> {
    let base = |length: u64| {
        format!(
            "[mappings.a]\ntargets = [{{ type = \"linear\", length = {length}, device = \"/dev/ram0\" }}]\n"
        )
    };
    guest.apply(&base(16384), &[])?;
    let device = program("losetup", &["--find", "--show", "/dev/mapper/a"])?;
    let device = device.trim();
    let top =
        format!("[mappings.b]\ntargets = [{{ type = \"linear\", length = 8192, device = \"{device}\" }}]\n");
    guest.apply(&(base(16384) + &top), &[])?;
    let ran = guest.refused(&(base(4096) + &top), &["--allow", "remap"], 1)?;
    let says = "is on `a`, which is too small: the table reaches to sector 8192, `a` has 4096";
    ensure!(ran.stderr.contains(says) || ran.stdout.contains(says), "{ran:?}");
    guest.apply(&(base(8192) + &top), &["--allow", "remap"])?;
    guest.kernel.remove(&named("b"), Removal::Now)?;
    program("losetup", &["--detach", device])?;
    guest.apply(NOTHING, &[])
}

pub fn a_circle_is_told_and_opened_before_the_first_request(guest: &Guest) -> Result<()> {
    let (over, number) = over_a(guest)?;
    let close = || -> Result<()> {
        guest.kernel.load(&named("a"), &rows(&format!("0 8192 linear {number} 0")), Access::Writable)?;
        Ok(guest.kernel.resume(&named("a"))?)
    };
    close()?;
    let says = format!("it depends on itself, through over ({number}), in the kernel already");
    let map = on("/dev/mapper/over");
    // Each of these reads what it needs from other places than the device.
    for (verb, status) in [("plan", 1), ("status", 2), ("apply", 1)] {
        let ran = with_map(verb, &map, &[])?;
        ensure!(ran.status == Some(status), "{verb}: {ran:?}");
        ensure!(ran.stdout.contains(&says) || ran.stderr.contains(&says), "{verb}: {ran:?}");
    }
    let graph = dmctl(&["graph"])?;
    ensure!(graph.status == Some(0) && graph.stdout.matches("in a circle").count() == 3, "{graph:?}");
    // A target that looks at its metadata must not read it there.
    let looks = "[mappings.s]\ntargets = [{ type = \"snapshot\", length = 8192, origin = \"/dev/ram1\", cow = \
                 \"/dev/mapper/over\", persistent = true, chunk_size = 8 }]";
    ensure!(with_map("plan", looks, &[])?.status.is_some(), "a plan that ends");
    // Both ways out.
    guest.apply(&on("/dev/ram0"), &["--allow", "remap"])?;
    close()?;
    let ran = dmctl(&["reload", "a", "--table", "0 8192 linear /dev/ram0 0"])?;
    ensure!(ran.status == Some(0), "{ran:?}");
    guest.disks[0].fill(0, 8, 7)?;
    ensure!(crate::guest::Disk::mapping("over")?.read(0, 1)? == vec![7; 512]);
    guest.kernel.remove(&over, Removal::Now)?;
    guest.apply(NOTHING, &[])
}

pub fn devices_grow_in_order_through_a_foreign_device(guest: &Guest) -> Result<()> {
    let map = |a: u64, b: u64| {
        format!(
            "[mappings.a]\ntargets = [{{ type = \"linear\", length = {a}, device = \"/dev/mapper/over\" }}]\n\
             [mappings.b]\ntargets = [{{ type = \"linear\", length = {b}, device = \"/dev/ram0\" }}]"
        )
    };
    guest.device("b-first", "0 8 zero")?;
    guest.kernel.remove(&named("b-first"), Removal::Now)?;
    let only_b = "[mappings.b]\ntargets = [{ type = \"linear\", length = 4096, device = \"/dev/ram0\" }]";
    guest.apply(only_b, &[])?;
    let over = guest.device("over", &format!("0 2048 linear {} 0", guest.state("b")?.0.number))?;
    guest.apply(&map(8, 4096), &[])?;
    guest.apply(&map(16, 8192), &[])?;
    apply_ends(only_b, &["--allow", "remap"], 0)?;
    let pruned = format!("[policy]\nprune = true\n{only_b}");
    guest.apply(&pruned, &[])?;
    guest.kernel.remove(&over, Removal::Now)?;
    guest.apply(NOTHING, &[])
}

/// udev as it comes gives the link to the newest device that shows the file system: first `u`, then a device above it. A
/// watch that followed the link would close a circle.
pub fn a_link_that_jumps_to_the_newest_device_moves_nothing(guest: &Guest) -> Result<()> {
    // These rules leave ram disks out.
    let rule = "KERNEL==\"ram0\", IMPORT{builtin}=\"blkid\"\n\
                KERNEL==\"ram0\", ENV{ID_FS_UUID_ENC}==\"?*\", SYMLINK+=\"disk/by-uuid/$env{ID_FS_UUID_ENC}\"";
    program("mkfs.ext4", &["-q", "-U", UUID, "/dev/ram0"])?;
    let _udevd = Udevd::with_rule(rule)?;
    program("udevadm", &["trigger", "--settle", "--action=change", "/dev/ram0"])?;
    let leads_to = |name: &str| -> Result<bool> {
        let path = fs::canonicalize(format!("/dev/disk/by-uuid/{UUID}")).context("the link of udev")?;
        Ok(path.ends_with(name))
    };
    ensure!(leads_to("ram0")?, "the link leads to the disk at first");
    let map = format!(
        "[policy]\nallow = [\"remap\"]\n[mappings.u]\ntargets = [{{ type = \"linear\", length = 16384, device = \"UUID={UUID}\" }}]"
    );
    guest.apply(&map, &[])?;
    let number = guest.state("u")?.0.number;
    let node = format!("dm-{}", number.minor);
    comes("the link", || leads_to(&node))?;
    guest.in_sync(&map)?;
    let map_file = crate::guest::write_map(&map)?;
    let watch = Background::dmctl(&["watch", map_file, "--apply"])?;
    program("dmsetup", &["create", "test", "--table", &format!("0 16384 linear {number} 0")])?;
    Udevd::settle()?;
    let newest = format!("dm-{}", guest.state("test")?.0.number.minor);
    comes("the link", || leads_to(&newest))?;
    // Any event of the kernel makes a watch plan.
    program("dmsetup", &["create", "another", "--table", "0 8 zero"])?;
    Udevd::settle()?;
    std::thread::sleep(std::time::Duration::from_secs(2));
    watch.signal("TERM")?;
    watch.end()?;
    guest.in_sync(&map)?;
    let grown = map.replace("16384", "20480");
    guest.apply(&grown, &[])?;
    ensure!(guest.table(&named("u"))? == "0 20480 linear 1:0 0", "{}", guest.table(&named("u"))?);
    let status = with_map("status", &grown, &[])?;
    ensure!(status.status == Some(0), "{status:?}");
    program("dmsetup", &["remove", "test"])?;
    program("dmsetup", &["remove", "another"])?;
    apply_ends(NOTHING, &[], 0)?;
    // The file system and its link must not be there for the next case.
    guest.disks[0].fill(0, 128, 0)?;
    Udevd::settle()?;
    let link = format!("/dev/disk/by-uuid/{UUID}");
    if fs::symlink_metadata(&link).is_ok() {
        fs::remove_file(link)?;
    }
    Ok(())
}
