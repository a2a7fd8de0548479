//! Hosts of which dmctl sees a part alone: `/sys`, `/proc` or `/dev` is missing, empty or another file.

use std::fs::{self, File};

use anyhow::{Result, ensure};
use dmctl::kernel::{ChangeKernel, ReadKernel, Removal};

use crate::guest::{Background, Guest, Mounted, Ran, comes, dmctl, dmctl_where, named, program, write_map};

const NEW: &str = "[mappings.new]\ntargets = [{ type = \"linear\", length = 64, device = \"/dev/ram1\" }]\n";
const SAME: &str =
    "[mappings.same]\ntargets = [{ type = \"linear\", length = 64, device = \"/dev/ram2\" }]\n";
const OLD: &str = "[mappings.old]\nstate = \"absent\"\n";

/// The ways in which a part is missing, and what a plan tells of it.
const PARTS: [(&str, &str); 7] = [
    ("mount -t tmpfs none /sys", "can't look for block devices (is sysfs mounted?) in /sys/dev/block"),
    ("mount -t tmpfs none /sys/dev && mkdir -p /sys/dev/block/1:1", "it is not sysfs"),
    ("mount --bind /dev/null /sys/dev/block/1:1/size", "`` is not a number"),
    ("mount -t tmpfs none /proc", "can't read /proc/self/mountinfo: no such file or directory"),
    ("mount --bind /dev/null /proc/$$/mountinfo", "can't read /proc/self/mountinfo: it lists no mount"),
    ("mount --bind /dev/null /proc/swaps", "can't read /proc/swaps: another file is mounted over it"),
    ("mount -t tmpfs none /dev && mkdir /dev/mapper", "/dev/ram1 does not exist"),
];

fn refuses(ran: &Ran, told: &str) -> Result<()> {
    let text = format!("{}{}", ran.stdout, ran.stderr);
    ensure!(ran.status == Some(1) && text.contains(told), "{told}: {ran:?}");
    Ok(())
}

pub fn a_new_device_is_refused_and_the_rest_is_not(guest: &Guest) -> Result<()> {
    guest.apply(SAME, &[])?;
    for (arranged, told) in PARTS {
        let plan = dmctl_where(arranged, &["plan", write_map(&format!("{SAME}{NEW}"))?])?;
        refuses(&plan, told)?;
        ensure!(plan.stdout.contains("! conflict  new"), "{arranged}: {plan:?}");
        let apply = dmctl_where(arranged, &["apply", write_map(&format!("{SAME}{NEW}"))?])?;
        refuses(&apply, told)?;
        // A device that is as it should be needs no part that is missing.
        let same =
            if arranged.contains("none /dev ") { SAME.replace("/dev/ram2", "1:2") } else { SAME.into() };
        let plan = dmctl_where(arranged, &["plan", write_map(&same)?])?;
        ensure!(plan.status == Some(0) && plan.stdout.contains("Nothing to do."), "{arranged}: {plan:?}");
    }
    guest.kernel.remove(&named("same"), Removal::Now)?;
    Ok(())
}

pub fn a_closed_device_goes_and_an_open_one_stays(guest: &Guest) -> Result<()> {
    for (arranged, told) in &PARTS[3..6] {
        let id = guest.device("plain", "0 64 linear 1:3 0")?;
        program("dmsetup", &["rename", "--setuuid", "plain", "DMCTL-lab-old"])?;
        program("dmsetup", &["rename", "plain", "old"])?;
        let open = File::open("/dev/mapper/old")?;
        let plan = dmctl_where(arranged, &["plan", write_map(OLD)?])?;
        ensure!(plan.stdout.contains("refused: in use") && plan.stdout.contains(told), "{plan:?}");
        drop(open);
        let gone = dmctl_where(arranged, &["apply", write_map(OLD)?])?;
        ensure!(gone.status == Some(0), "{arranged}: {gone:?}");
        drop(id);
    }
    Ok(())
}

pub fn a_mount_that_was_detached_is_not_a_program(guest: &Guest) -> Result<()> {
    let id = guest.device("lazy", "0 32768 linear 1:3 0")?;
    let mounted = Mounted::fresh("/dev/mapper/lazy", "ext2", "/run/tmp/lazy")?;
    let mut inside = Background::program("sh", &["-c", "cd /run/tmp/lazy && exec busybox sleep 600"])?;
    comes("the program", || {
        let folders = fs::read_dir("/proc")?.flatten().map(|entry| entry.path().join("cwd"));
        Ok(folders.filter_map(|cwd| fs::read_link(cwd).ok()).any(|cwd| cwd == mounted.at))
    })?;
    program("busybox", &["umount", "-l", "/run/tmp/lazy"])?;
    let seen = dmctl(&["remove", "lazy"])?;
    let hidden = dmctl_where("mount -t tmpfs none /proc", &["remove", "lazy"])?;
    inside.kill()?;
    drop((inside.end()?, mounted));
    comes("the end of the mount", || {
        Ok(guest
            .kernel
            .device(&id, dmctl::kernel::Slot::Live)?
            .is_some_and(|device| device.info.open_count == 0))
    })?;
    guest.kernel.remove(&id, Removal::Now)?;
    let told = "open once, and no program has it open: a mount that was detached lazily (`umount -l`)";
    ensure!(seen.status != Some(0) && seen.stderr.contains(told), "{seen:?}");
    let told = "open once, and by what could not be seen: can't read /proc";
    ensure!(hidden.status != Some(0) && hidden.stderr.contains(told), "{hidden:?}");
    Ok(())
}

/// Verbs that only read show the rest, and tell what is missing.
pub fn reading_verbs_show_what_can_be_seen(guest: &Guest) -> Result<()> {
    guest.apply(SAME, &[])?;
    for (arranged, told) in &PARTS[..6] {
        let in_sysfs = arranged.contains("/sys");
        for args in [&["graph"][..], &["graph", "--json"], &["status"], &["export"], &["list", "--long"]] {
            let ran = dmctl_where(arranged, args)?;
            ensure!(ran.status == Some(0) && ran.stdout.contains("same"), "{arranged}: {args:?}: {ran:?}");
            let is_near = !arranged.contains("1:1/size");
            let is_told = args[0] == "graph" && is_near || (args[0] == "status" && in_sysfs && is_near);
            ensure!(!is_told || ran.stderr.contains(told), "{arranged}: {args:?}: {ran:?}");
            // Nodes are in `/dev`, and are found there without sysfs.
            ensure!(args[0] != "export" || ran.stdout.contains("\"/dev/ram2\""), "{arranged}: {ran:?}");
        }
        let whole = dmctl_where(arranged, &["export", "--format", "json"])?;
        if in_sysfs {
            refuses(&whole, told)?;
        } else {
            ensure!(whole.status == Some(0) && whole.stdout.contains("\"unseen\""), "{arranged}: {whole:?}");
        }
        let map = write_map(&SAME.replace("/dev/ram2", "1:2"))?;
        let drawn = dmctl_where(arranged, &["graph", map])?;
        ensure!(drawn.status == Some(0) && drawn.stdout.contains("same"), "{arranged}: {drawn:?}");
    }
    guest.kernel.remove(&named("same"), Removal::Now)?;
    Ok(())
}
