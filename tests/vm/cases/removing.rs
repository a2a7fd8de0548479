//! Devices that are in use when they should go.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use dmctl::kernel::{ChangeKernel, ReadKernel, Removal, Slot};

use crate::guest::{Guest, Mounted, Ran, apply_ends, comes, dmctl, private, program, with_map};

const DATA: &str = r#"
    [mappings.data]
    targets = [{ type = "linear", length = "4MiB", device = "/dev/ram0" }]"#;

/// How long a program keeps a device open that is to be removed meanwhile.
const HELD: Duration = Duration::from_secs(1);

const GONE: &str = "mappings.data.state = \"absent\"";

/// Both ways to remove it must refuse, change nothing, and say this.
fn both_refuse(guest: &Guest, says: &str) -> Result<()> {
    let before = guest.states()?;
    let applied = guest.refused(GONE, &["--allow", "remap,format,loss"], 3)?;
    ensure!(applied.stderr.contains(says), "{says}: {applied:?}");
    let removed = dmctl(&["remove", "data"])?;
    ensure!(removed.status == Some(3) && removed.stderr.contains(says), "{says}: {removed:?}");
    ensure!(guest.states()? == before);
    Ok(())
}

pub fn a_mounted_device_stays(guest: &Guest) -> Result<()> {
    guest.apply(DATA, &[])?;
    let mounted = Mounted::fresh("/dev/mapper/data", "ext2", "/run/tmp/busy")?;
    both_refuse(guest, "/run/tmp/busy")?;
    drop(mounted);
    guest.apply(GONE, &[])
}

pub fn a_device_under_another_stays(guest: &Guest) -> Result<()> {
    guest.apply(DATA, &[])?;
    let table = "0 64 linear /dev/mapper/data 0";
    program("dmsetup", &["create", "stranger", "--noudevsync", "--table", table])?;
    both_refuse(guest, "stranger")?;
    let removed = dmctl(&["remove", "stranger"])?;
    ensure!(removed.status == Some(0), "{removed:?}");
    guest.apply(GONE, &[])
}

/// A program that has a device open for a while.
struct Holder(Child);

impl Holder {
    fn of(device: &str, seconds: &str) -> Result<Self> {
        let open = File::open(device)?;
        Ok(Self(Command::new("sleep").arg(seconds).stdin(open).spawn()?))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn a_program_that_has_a_device_open_is_named(guest: &Guest) -> Result<()> {
    guest.apply(DATA, &[])?;
    let holder = Holder::of("/dev/mapper/data", "60")?;
    both_refuse(guest, &format!("sleep (pid {})", holder.0.id()))?;
    drop(holder);
    guest.apply(GONE, &[])
}

pub fn a_mount_in_another_namespace_is_named(guest: &Guest) -> Result<()> {
    guest.apply(DATA, &[])?;
    let mounted = Mounted::fresh("/dev/mapper/data", "ext2", "/run/tmp/leaked")?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sleep", "60"]).stdin(Stdio::null());
    let elsewhere = Holder(command.spawn()?);
    let comm = format!("/proc/{}/comm", elsewhere.0.id());
    comes("the program", || Ok(fs::read_to_string(&comm)?.trim() == "sleep"))?;
    drop(mounted);
    let says =
        format!("mounted on /run/tmp/leaked in the mount namespace of sleep (pid {})", elsewhere.0.id());
    both_refuse(guest, &says)?;
    drop(elsewhere);
    guest.apply(GONE, &[])
}

pub fn a_loop_device_on_top_is_named(guest: &Guest) -> Result<()> {
    guest.apply(DATA, &[])?;
    program("busybox", &["losetup", "/dev/loop0", "/dev/mapper/data"])?;
    let mounted = Mounted::fresh("/dev/loop0", "ext2", "/run/tmp/looped")?;
    let refused = both_refuse(guest, "loop0");
    let plan = with_map("plan", GONE, &[])?;
    let graph = dmctl(&["graph"])?;
    drop(mounted);
    program("busybox", &["losetup", "-d", "/dev/loop0"])?;
    refused?;
    ensure!(plan.stdout.contains("under loop0 (loop0 is mounted on /run/tmp/looped)"), "{plan:?}");
    ensure!(graph.stdout.contains("└─/dev/loop0 "), "{graph:?}");
    guest.apply(GONE, &[])
}

pub fn swap_space_stays(guest: &Guest) -> Result<()> {
    guest.apply(DATA, &[])?;
    program("mkswap", &["/dev/mapper/data"])?;
    program("swapon", &["/dev/mapper/data"])?;
    let refused = both_refuse(guest, "swap space");
    program("swapoff", &["/dev/mapper/data"])?;
    refused?;
    guest.apply(GONE, &[])
}

pub fn a_device_with_a_swap_file_stays(guest: &Guest) -> Result<()> {
    guest.apply(DATA, &[])?;
    let mounted = Mounted::fresh("/dev/mapper/data", "ext2", "/run/tmp/swapping")?;
    let file = mounted.file("swap");
    private(&file.display().to_string(), &vec![0; 1 << 20])?;
    program("mkswap", &[&file.display().to_string()])?;
    program("swapon", &[&file.display().to_string()])?;
    let refused = both_refuse(guest, "mounted on /run/tmp/swapping");
    program("swapoff", &[&file.display().to_string()])?;
    drop(mounted);
    refused?;
    guest.apply(GONE, &[])
}

/// An array of one device, made through the kernel's own files alone.
struct Array;

impl Array {
    const FILES: &str = "/sys/block/md_held/md";

    fn of(number: &str) -> Result<Self> {
        program("/run/modprobe", &["raid1"])?;
        fs::write("/sys/module/md_mod/parameters/new_array", "md_held")?;
        let files =
            [("metadata_version", "none"), ("level", "raid1"), ("raid_disks", "1"), ("new_dev", number)];
        for (file, word) in files {
            fs::write(format!("{}/{file}", Self::FILES), word)?;
        }
        Ok(Self)
    }
}

impl Drop for Array {
    fn drop(&mut self) {
        let _ = fs::write(format!("{}/array_state", Self::FILES), "clear");
    }
}

pub fn a_device_in_an_array_is_left_alone(guest: &Guest) -> Result<()> {
    guest.apply(DATA, &[])?;
    let array = Array::of(&guest.state("data")?.0.number.to_string())?;
    both_refuse(guest, "md_held")?;
    // No other program gets it either: an array does not share.
    let upper = format!("{DATA}\n[mappings.upper]\ntargets = [{{ type = \"linear\", device = \"@data\" }}]");
    let before = guest.states()?;
    let planned = guest.refused(&upper, &[], 1)?;
    ensure!(planned.stderr.contains("is part of md_held,"), "{planned:?}");
    ensure!(guest.states()? == before);
    drop(array);
    guest.apply(GONE, &[])
}

/// Waits until the kernel has removed whatever it is to remove after a last close: its workers take one after the other
/// (`deferred_remove_workqueue` in `dm.c`), so a device that is closed now goes after those closed before.
fn deferred_removals_are_done(guest: &Guest) -> Result<()> {
    let last = guest.device("last", "0 8 zero")?;
    let open = File::open("/dev/mapper/last")?;
    guest.kernel.remove(&last, Removal::Deferred)?;
    drop(open);
    comes("the last removal", || Ok(guest.kernel.device(&last, Slot::Live)?.is_none()))?;
    Ok(guest.kernel.settle()?)
}

/// Removes it, one way or the other, while a program has it open for [`HELD`].
fn waits_a_second(guest: &Guest, remove: impl FnOnce() -> Result<Ran>) -> Result<()> {
    guest.apply(DATA, &[])?;
    let open = File::open("/dev/mapper/data")?;
    let begin = Instant::now();
    let removed = thread::scope(|scope| {
        scope.spawn(move || {
            thread::sleep(HELD);
            drop(open);
        });
        remove()
    })?;
    ensure!(removed.status == Some(0), "{removed:?}");
    ensure!(begin.elapsed() >= HELD, "it was not open any more");
    ensure!(guest.states()?.is_empty());
    Ok(())
}

pub fn a_device_that_is_open_for_a_moment_is_waited_for(guest: &Guest) -> Result<()> {
    waits_a_second(guest, || dmctl(&["remove", "data"]))?;
    waits_a_second(guest, || apply_ends(GONE, &[], 0))
}

pub fn a_deferred_remove_takes_its_time(guest: &Guest) -> Result<()> {
    guest.apply(DATA, &[])?;
    let open = File::open("/dev/mapper/data")?;
    let removed = dmctl(&["remove", "data", "--deferred"])?;
    ensure!(removed.status == Some(0), "{removed:?}");
    ensure!(guest.state("data")?.0.deferred_remove);
    // dmctl does not run any more when the device goes: its node goes at once.
    ensure!(!Path::new("/dev/mapper/data").exists(), "the node outlives its device");
    // No other change brings it back.
    shows(&["create", "other", "--table", "0 8 zero"], 0, "")?;
    ensure!(!Path::new("/dev/mapper/data").exists(), "the node came back");
    drop(open);
    comes("a deferred removal", || Ok(guest.states()?.len() == 1))?;
    shows(&["create", "next", "--table", "0 8 zero"], 0, "")?;
    ensure!(!Path::new("/dev/mapper/data").exists(), "the old name leads to the next device");
    shows(&["remove", "next"], 0, "")?;
    shows(&["remove", "other"], 0, "")
}

/// What a verb prints must hold this, and it must end so.
fn shows(arguments: &[&str], status: i32, says: &str) -> Result<()> {
    let ran = dmctl(arguments)?;
    ensure!(ran.status == Some(status) && ran.stdout.contains(says), "{arguments:?}: {ran:?}");
    Ok(())
}

pub fn a_pending_removal_is_shown_and_called_off(guest: &Guest) -> Result<()> {
    guest.apply(DATA, &[])?;
    let open = File::open("/dev/mapper/data")?;
    shows(&["remove", "data", "--deferred"], 0, "")?;
    shows(&["info", "data"], 0, "deferred_remove: true")?;
    shows(&["list", "--long"], 0, "pending")?;
    shows(&["status"], 2, "pending")?;
    // Its removal is on its way: a map that wants it gone has nothing to do, and is not refused.
    guest.in_sync(GONE)?;
    guest.in_sync("[policy]\nprune = true\n[mappings]")?;
    let status = with_map("status", GONE, &[])?;
    ensure!(status.status == Some(2) && status.stdout.contains("pending"), "{status:?}");
    // A map that wants it back has something to do.
    let status = with_map("status", DATA, &[])?;
    ensure!(status.status == Some(2) && status.stdout.contains("pending"), "{status:?}");
    let plan = with_map("plan", DATA, &[])?;
    ensure!(plan.stdout.contains("@cancel_deferred_remove"), "{plan:?}");
    guest.apply(DATA, &[])?;
    ensure!(!guest.state("data")?.0.deferred_remove);
    ensure!(Path::new("/dev/mapper/data").exists(), "a device that stays has its node again");
    drop(open);
    deferred_removals_are_done(guest)?;
    guest.in_sync(DATA)?;
    guest.apply(GONE, &[])
}

pub fn a_pending_removal_holds_its_name(guest: &Guest) -> Result<()> {
    guest.apply(DATA, &[])?;
    let open = File::open("/dev/mapper/data")?;
    shows(&["remove", "data", "--deferred"], 0, "")?;
    let other = DATA.replace("mappings.data]", "mappings.other]\nname = \"data\"");
    let ran = guest.refused(&other, &[], 1)?;
    ensure!(ran.stdout.contains("goes away as soon as it is closed"), "{ran:?}");
    drop(open);
    comes("a deferred removal", || Ok(guest.states()?.is_empty()))?;
    guest.apply(&other, &[])?;
    guest.apply("mappings.other.state = \"absent\"", &[])
}
