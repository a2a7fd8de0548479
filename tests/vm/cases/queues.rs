//! How lower devices take I/O: what the kernel refuses for it, a plan tells before.

use anyhow::{Context, Result, ensure};
use dmctl::access::Access;
use dmctl::identity::Name;
use dmctl::kernel::{ChangeKernel, Removal};
use nix::errno::Errno;

use crate::guest::{Guest, named, program, rows, with_map};

fn multipath(name: &str, more: &str, device: &str) -> String {
    format!(
        "[mappings.{name}]\ntargets = [{{ type = 'multipath', length = 1024, {more}groups = [{{ selector = 'round-robin', \
         paths = [{{ device = '{device}' }}] }}] }}]\n"
    )
}

fn linear(name: &str, device: &str) -> String {
    format!("[mappings.{name}]\ntargets = [{{ type = 'linear', length = 1024, device = '{device}' }}]\n")
}

/// Loads a row to a new device, which the kernel must refuse with this errno.
fn kernel_refuses(guest: &Guest, row: &str, errno: Errno) -> Result<()> {
    guest.kernel.create(&Name::new("tried")?, None)?;
    let outcome = guest.kernel.load(&named("tried"), &rows(row), Access::Writable);
    guest.kernel.remove(&named("tried"), Removal::Now)?;
    let error = outcome.err().context("the kernel took it")?;
    ensure!(error.errno() == Some(errno), "expected {errno:?}: {error}");
    Ok(())
}

/// A plan of this map must have a conflict with these words, and an apply must change nothing.
fn in_conflict(guest: &Guest, map: &str, words: &str) -> Result<()> {
    let plan = with_map("plan", map, &[])?;
    ensure!(plan.status == Some(1) && plan.stdout.contains(words), "`{words}` is missing: {plan:?}");
    guest.refused(map, &["--allow", "remap,format,loss"], 1)?;
    Ok(())
}

fn remove_all(guest: &Guest) -> Result<()> {
    guest.apply("[policy]\nprune = true\n[mappings]", &["--allow", "loss,remap"])
}

/// A loop device over a disk, until this is dropped.
struct Looped(&'static str);

impl Looped {
    fn new(device: &'static str, disk: &str) -> Result<Self> {
        program("losetup", &[device, disk])?;
        Ok(Self(device))
    }
}

impl Drop for Looped {
    fn drop(&mut self) {
        let _ = program("losetup", &["--detach", self.0]);
    }
}

pub fn multipath_over_what_takes_no_requests_is_told(guest: &Guest) -> Result<()> {
    guest.needs("multipath")?;
    kernel_refuses(guest, "0 1024 multipath 0 0 1 1 round-robin 0 1 0 /dev/ram0", Errno::EINVAL)?;
    let told = "takes no requests";
    in_conflict(guest, &multipath("m", "", "/dev/ram0"), told)?;
    let below = linear("l", "/dev/ram0");
    in_conflict(guest, &(below.clone() + &multipath("m", "", "@l")), told)?;
    // The way out.
    guest.apply(&(below + &multipath("m", "queue_mode = 'bio', ", "@l")), &[])?;
    remove_all(guest)?;

    // A loop device takes requests, and so does a device of them: one outside of the map is asked for it.
    let _looped = Looped::new("/dev/loop0", "/dev/ram0")?;
    let twice = multipath("m", "", "/dev/loop0") + &multipath("n", "", "@m");
    guest.apply(&twice, &[])?;
    remove_all(guest)?;
    guest.device("outside", "0 1024 multipath 0 0 1 1 round-robin 0 1 0 /dev/loop0")?;
    guest.apply(&multipath("m", "", "/dev/mapper/outside"), &[])?;
    remove_all(guest)?;
    guest.kernel.remove(&named("outside"), Removal::Now)?;
    guest.device("outside", "0 1024 linear /dev/loop0 0")?;
    in_conflict(guest, &multipath("m", "", "/dev/mapper/outside"), told)?;
    guest.kernel.remove(&named("outside"), Removal::Now)?;
    Ok(())
}

pub fn a_device_of_bios_becomes_one_of_requests(guest: &Guest) -> Result<()> {
    guest.needs("multipath")?;
    let _looped = Looped::new("/dev/loop0", "/dev/ram0")?;
    guest.apply(&linear("m", "/dev/loop0"), &[])?;
    let load = guest.kernel.load(
        &named("m"),
        &rows("0 1024 multipath 0 0 1 1 round-robin 0 1 0 /dev/loop0"),
        Access::Writable,
    );
    ensure!(load.err().and_then(|error| error.errno()) == Some(Errno::EINVAL), "the kernel took it");
    let wanted = multipath("m", "", "/dev/loop0");
    let refused = guest.refused(&wanted, &[], 3)?;
    ensure!(refused.stdout.contains("recreated: linear -> multipath"), "{refused:?}");
    guest.apply(&wanted, &["--allow", "remap"])?;
    // With bios it is a reload.
    remove_all(guest)?;
    guest.apply(&linear("m", "/dev/loop0"), &[])?;
    guest.apply(&multipath("m", "queue_mode = 'bio', ", "/dev/loop0"), &["--allow", "remap"])?;
    remove_all(guest)
}

pub fn a_cache_that_is_not_memory_is_told(guest: &Guest) -> Result<()> {
    guest.needs("writecache")?;
    guest.blank()?;
    kernel_refuses(guest, "0 1024 writecache p /dev/ram0 /dev/ram1 4096 0", Errno::EOPNOTSUPP)?;
    let map = |mode: &str, cache: &str| {
        linear("c", "/dev/ram1").replace("1024", "65536")
            + &format!(
                "[mappings.w]\ntargets = [{{ type = 'writecache', length = 1024, mode = '{mode}', block_size = 4096, \
                 origin = '/dev/ram0', cache = '{cache}' }}]\n"
            )
    };
    in_conflict(guest, &map("pmem", "/dev/ram2"), "is not memory that the kernel can address")?;
    in_conflict(guest, &map("pmem", "@c"), "below @c is not memory")?;
    guest.apply(&map("ssd", "@c"), &["--allow", "format"])?;
    remove_all(guest)
}
