//! `/dev/mapper` where udev does not run.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use dmctl::access::Access;
use dmctl::identity::{DevNum, Name, Uuid};
use dmctl::kernel::{ChangeKernel, KernelError, ReadKernel, Removal};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::guest::{Disk, Guest, apply_ends, comes, named, program, rows};

fn path(name: &str) -> PathBuf {
    Path::new("/dev/mapper").join(name)
}

/// A node made behind dmctl's back.
fn plant(name: &str, number: DevNum) -> Result<()> {
    let device = makedev(number.major.into(), number.minor.into());
    Ok(mknod(&path(name), SFlag::S_IFBLK, Mode::S_IRUSR, device)?)
}

/// Making a device of this name must fail, and make nothing.
fn refused(guest: &Guest, name: &str) -> Result<String> {
    let outcome = guest.kernel.create(&Name::new(name)?, None);
    let there = guest.kernel.list()?.iter().any(|device| device.name.kernel() == name);
    match outcome {
        Err(error @ KernelError::Io { .. }) if !there => Ok(error.to_string()),
        outcome => bail!("{name} was made: {outcome:?}"),
    }
}

pub fn a_node_has_number_and_mode(guest: &Guest) -> Result<()> {
    let number = guest.kernel.create(&Name::new("a blank")?, None)?;
    let metadata = fs::symlink_metadata(path("a\\x20blank"))?;
    ensure!(metadata.file_type().is_block_device());
    ensure!(metadata.permissions().mode() & 0o7777 == 0o600 && metadata.uid() == 0);
    ensure!(Disk::mapping("a\\x20blank")?.number == number);
    guest.kernel.remove(&named("a blank"), Removal::Now)?;
    ensure!(!path("a\\x20blank").exists());
    guest.kernel.settle()?;
    Ok(())
}

pub fn a_rename_moves_the_node(guest: &Guest) -> Result<()> {
    let (a, b, aside) = (Name::new("a")?, Name::new("b")?, Name::new("aside")?);
    let first = guest.kernel.create(&a, None)?;
    let second = guest.kernel.create(&b, None)?;
    guest.kernel.rename(&a, &aside)?;
    guest.kernel.rename(&b, &a)?;
    guest.kernel.rename(&aside, &b)?;
    ensure!(Disk::mapping("a")?.number == second && Disk::mapping("b")?.number == first);
    ensure!(!path("aside").exists());
    guest.kernel.settle()?;
    guest.kernel.remove(&named("a"), Removal::Now)?;
    guest.kernel.remove(&named("b"), Removal::Now)?;
    Ok(())
}

pub fn a_file_at_the_name_is_kept(guest: &Guest) -> Result<()> {
    fs::write(path("taken"), "mine")?;
    let text = refused(guest, "taken")?;
    ensure!(text.contains("/dev/mapper/taken") && text.contains("not a block device"), "{text}");
    // A rename to it does as little.
    guest.kernel.create(&Name::new("other")?, None)?;
    ensure!(guest.kernel.rename(&Name::new("other")?, &Name::new("taken")?).is_err());
    ensure!(Disk::mapping("other")?.number == guest.state("other")?.0.number);
    guest.kernel.remove(&named("other"), Removal::Now)?;
    guest.kernel.settle()?;
    ensure!(fs::read_to_string(path("taken"))? == "mine");
    fs::remove_file(path("taken"))?;
    Ok(())
}

pub fn a_node_of_another_device_is_kept(guest: &Guest) -> Result<()> {
    let other = guest.kernel.create(&Name::new("other")?, None)?;
    for number in [other, guest.disks[3].number] {
        plant("taken", number)?;
        let text = refused(guest, "taken")?;
        ensure!(text.contains(&format!("it leads to device {number}")), "{text}");
        ensure!(Disk::mapping("taken")?.number == number);
        fs::remove_file(path("taken"))?;
    }
    guest.kernel.remove(&named("other"), Removal::Now)?;
    Ok(())
}

pub fn a_node_that_cannot_be_made_is_told_and_undoes_nothing(guest: &Guest) -> Result<()> {
    let folder = "/dev/mapper";
    program("busybox", &["mount", "-o", "bind", folder, folder])?;
    program("busybox", &["mount", "-o", "remount,ro,bind", folder])?;
    let map = "mappings.data.targets = [{ type = \"zero\", length = 64 }]";
    let ran = apply_ends(map, &[], 7);
    program("busybox", &["umount", folder])?;
    let ran = ran?;
    for says in ["the plan is carried out", "/dev/mapper/data", "Read-only file system"] {
        ensure!(ran.stderr.contains(says), "{says}: {ran:?}");
    }
    ensure!(!guest.state("data")?.0.suspended && !path("data").exists());
    // The next apply has nothing to do but the node.
    guest.apply(map, &[])?;
    ensure!(Disk::mapping("data")?.number == guest.state("data")?.0.number);
    guest.apply("mappings.data.state = \"absent\"", &[])
}

pub fn an_apply_without_its_node_is_on_trial_all_the_same(guest: &Guest) -> Result<()> {
    let folder = "/dev/mapper";
    program("busybox", &["mount", "-o", "bind", folder, folder])?;
    program("busybox", &["mount", "-o", "remount,ro,bind", folder])?;
    let map = "mappings.data.targets = [{ type = \"zero\", length = 64 }]";
    let ran = apply_ends(map, &["--confirm-within", "2s"], 7);
    program("busybox", &["umount", folder])?;
    let ran = ran?;
    ensure!(ran.stderr.contains("the plan is carried out"), "{ran:?}");
    ensure!(ran.stdout.contains("Waiting for `dmctl confirm` until "), "{ran:?}");
    ensure!(guest.state("data").is_ok(), "{ran:?}");
    // It is not confirmed.
    comes("the way back", || Ok(guest.kernel.list()?.iter().all(|device| device.name.kernel() != "data")))
}

pub fn a_stale_node_is_replaced(guest: &Guest) -> Result<()> {
    let major = guest.kernel.create(&Name::new("any")?, None)?.major;
    plant("stale", DevNum::new(major, 77))?;
    symlink("../dm-78", path("dangling"))?;
    for name in ["stale", "dangling"] {
        let number = guest.kernel.create(&Name::new(name)?, None)?;
        ensure!(Disk::mapping(name)?.number == number);
        ensure!(fs::symlink_metadata(path(name))?.file_type().is_block_device());
        guest.kernel.remove(&named(name), Removal::Now)?;
        ensure!(!path(name).exists());
    }
    guest.kernel.settle()?;
    guest.kernel.remove(&named("any"), Removal::Now)?;
    Ok(())
}

pub fn a_right_link_is_kept(guest: &Guest) -> Result<()> {
    let number = guest.kernel.create(&Name::new("linked")?, Some(&Uuid::new("DMCTL-lab-l")?))?;
    let id = named("linked");
    guest.kernel.load(&id, &rows("0 8 zero"), Access::Writable)?;
    guest.kernel.resume(&id)?;
    fs::remove_file(path("linked"))?;
    symlink(format!("../dm-{}", number.minor), path("linked"))?;
    guest.kernel.settle()?;
    ensure!(fs::symlink_metadata(path("linked"))?.is_symlink());
    guest.kernel.remove(&id, Removal::Now)?;
    ensure!(fs::symlink_metadata(path("linked")).is_err(), "the link outlived its device");
    Ok(())
}

pub fn a_sweep_takes_only_what_is_stale(guest: &Guest) -> Result<()> {
    let owned = guest.kernel.create(&Name::new("owned")?, Some(&Uuid::new("DMCTL-lab-owned")?))?;
    let foreign = guest.kernel.create(&Name::new("foreign")?, None)?;
    plant("gone", DevNum::new(foreign.major, 99))?;
    plant("former-name", owned)?;
    plant("alias", foreign)?;
    plant("disk", guest.disks[0].number)?;
    guest.kernel.settle()?;
    for (name, stays) in [
        ("gone", false),
        ("former-name", false),
        ("alias", true),
        ("disk", true),
        ("owned", true),
        ("foreign", true),
        ("control", true),
    ] {
        ensure!(path(name).exists() == stays, "{name}");
    }
    for name in ["alias", "disk"] {
        fs::remove_file(path(name))?;
    }
    guest.kernel.remove(&named("owned"), Removal::Now)?;
    guest.kernel.remove(&named("foreign"), Removal::Now)?;
    Ok(())
}

pub fn a_missing_node_of_ours_is_made(guest: &Guest) -> Result<()> {
    let number = guest.kernel.create(&Name::new("ours")?, Some(&Uuid::new("DMCTL-lab-ours")?))?;
    guest.kernel.create(&Name::new("theirs")?, None)?;
    fs::remove_file(path("ours"))?;
    fs::remove_file(path("theirs"))?;
    guest.kernel.settle()?;
    ensure!(Disk::mapping("ours")?.number == number);
    ensure!(!path("theirs").exists(), "a node was made for a device that is not dmctl's");
    guest.kernel.remove(&named("ours"), Removal::Now)?;
    guest.kernel.remove(&named("theirs"), Removal::Now)?;
    Ok(())
}
