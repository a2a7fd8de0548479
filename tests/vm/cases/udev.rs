//! Beside a udevd that runs, is stopped, is killed, or is somewhere else.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use dmctl::access::Access;
use dmctl::identity::Name;
use dmctl::kernel::live::{Live, Udev};
use dmctl::kernel::{ChangeKernel, Id, ReadKernel, Removal, Suspend};
use dmctl::ops::{self, RemoveOptions};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::guest::{
    Background, Disk, Guest, Room, Udevd, WithoutRules, apply_ends, comes, dmctl, no_semaphores, program,
    rows, semaphore_is_awaited, semaphores, with_map, write_map,
};

const STACK: &str = r#"
    [mappings.lower]
    targets = [{ type = "linear", length = 4096, device = "/dev/ram0" }]
    [mappings.upper]
    targets = [{ type = "linear", length = 64, device = "@lower" }]"#;

const SINGLE: &str = r#"
    [mappings.data]
    targets = [{ type = "linear", length = 64, device = "/dev/ram0" }]"#;

const NOTHING: &str = "[policy]\nprune = true\n[mappings]";

fn path(name: &str) -> PathBuf {
    Path::new("/dev/mapper").join(name)
}

fn is_link(name: &str) -> bool {
    fs::symlink_metadata(path(name)).is_ok_and(|metadata| metadata.is_symlink())
}

/// Every device must have a link that leads to it, and there must be no other.
fn links_are_right(guest: &Guest) -> Result<()> {
    let devices = guest.kernel.list()?;
    for device in &devices {
        let name = device.name.kernel();
        ensure!(is_link(name), "{name} has no link");
        ensure!(Disk::mapping(name)?.number == device.number, "{name} leads to another device");
    }
    let there = fs::read_dir("/dev/mapper")?.count();
    ensure!(there == devices.len() + 1, "{there} names in /dev/mapper, {} devices", devices.len());
    no_semaphores()
}

/// A udevd that goes on must get there.
fn links_come_right(guest: &Guest) -> Result<()> {
    comes("udev", || Ok(links_are_right(guest).is_ok()))
}

pub fn links_are_right_when_an_apply_ends(guest: &Guest) -> Result<()> {
    let _udevd = Udevd::start()?;
    apply_ends(STACK, &[], 0)?;
    links_are_right(guest)?;
    // A growth, two names that change places, and then all goes.
    let grown = STACK.replace("4096", "8192").replace("length = 64", "length = 128");
    let grown = grown.replace("mappings.lower]", "mappings.lower]\nname = \"upper\"");
    let swapped = grown.replace("mappings.upper]", "mappings.upper]\nname = \"lower\"");
    apply_ends(&swapped, &[], 0)?;
    links_are_right(guest)?;
    apply_ends(NOTHING, &[], 0)?;
    links_are_right(guest)
}

pub fn every_verb_waits_for_udev(guest: &Guest) -> Result<()> {
    let _udevd = Udevd::start()?;
    for arguments in [
        &["create", "one", "--table", "0 64 linear /dev/ram0 0"][..],
        &["reload", "one", "--table", "0 128 linear /dev/ram0 0"],
        &["rename", "one", "two"],
        &["suspend", "two"],
        &["resume", "two"],
        &["remove", "two"],
    ] {
        let ran = dmctl(arguments)?;
        ensure!(ran.status == Some(0) && ran.stderr.is_empty(), "{arguments:?}: {ran:?}");
        links_are_right(guest)?;
    }
    Ok(())
}

pub fn a_stopped_udevd_costs_one_wait_and_a_warning(guest: &Guest) -> Result<()> {
    let udevd = Udevd::start()?;
    udevd.signal("STOP")?;
    let begin = Instant::now();
    let ran = apply_ends(STACK, &["--udev-timeout", "2s"], 0)?;
    let took = begin.elapsed();
    ensure!(took >= Duration::from_secs(2) && took < Duration::from_secs(10), "it took {took:?}");
    for says in ["udev did not answer within 2 s", "lower", "upper", "cookie 0xd4d"] {
        ensure!(ran.stderr.contains(says), "{says}: {ran:?}");
    }
    ensure!(ran.stderr.matches("WARN").count() == 1, "{ran:?}");
    no_semaphores()?;
    ensure!(!path("upper").exists(), "a node was made that udev's link could not replace");
    // It goes on, and finds that the wait is over.
    udevd.signal("CONT")?;
    links_come_right(guest)?;
    apply_ends(NOTHING, &[], 0)?;
    links_are_right(guest)
}

pub fn a_killed_udevd_holds_nobody_up(guest: &Guest) -> Result<()> {
    let udevd = Udevd::start()?;
    udevd.signal("STOP")?;
    let applied = Background::dmctl(&["apply", write_map(SINGLE)?, "--udev-timeout", "10m"])?;
    semaphore_is_awaited()?;
    udevd.signal("KILL")?;
    let begin = Instant::now();
    let ran = applied.end()?;
    ensure!(ran.status == Some(0) && begin.elapsed() < Duration::from_secs(10), "{ran:?}");
    no_semaphores()?;
    // Nothing else will make it.
    ensure!(Disk::mapping("data")?.number == guest.state("data")?.0.number);
    apply_ends(NOTHING, &[], 0)?;
    ensure!(!path("data").exists());
    Ok(())
}

pub fn a_signal_ends_the_wait(guest: &Guest) -> Result<()> {
    let udevd = Udevd::start()?;
    udevd.signal("STOP")?;
    let made = Background::dmctl(&["create", "one", "--table", "0 64 zero", "--udev-timeout", "10m"])?;
    comes("the device", || Ok(guest.states()?.first().is_some_and(|(info, ..)| !info.suspended)))?;
    let begin = Instant::now();
    made.signal("TERM")?;
    let ran = made.end()?;
    ensure!(ran.status == Some(0) && ran.stderr.contains("udev did not answer"), "{ran:?}");
    ensure!(begin.elapsed() < Duration::from_secs(15), "it took {:?}", begin.elapsed());
    no_semaphores()?;
    udevd.signal("CONT")?;
    links_come_right(guest)?;
    ensure!(dmctl(&["remove", "one"])?.status == Some(0));
    links_are_right(guest)
}

pub fn without_a_semaphore_nothing_is_changed(guest: &Guest) -> Result<()> {
    let _udevd = Udevd::start()?;
    apply_ends(STACK, &[], 0)?;
    let room = Room::for_sets(0)?;
    let says = "this system has no room for another one";
    let grown = STACK.replace("4096", "8192");
    for map in [grown.as_str(), NOTHING] {
        let ran = guest.refused(map, &[], 1)?;
        ensure!(ran.stderr.contains(says) && ran.stderr.contains("--udev off"), "{ran:?}");
    }
    let before = guest.states()?;
    for arguments in [
        &["create", "one", "--table", "0 64 zero"][..],
        &["rename", "upper", "top"],
        &["remove", "upper"],
        &["resume", "upper"],
    ] {
        let ran = dmctl(arguments)?;
        ensure!(ran.status == Some(1) && ran.stderr.contains(says), "{arguments:?}: {ran:?}");
    }
    ensure!(guest.states()? == before);
    // Who begins without a word gets what there is.
    let kernel = Live::open(Udev::Auto)?;
    let upper = Id::Name(Name::new("upper")?);
    kernel.suspend(&upper, Suspend::default())?;
    kernel.resume(&upper)?;
    kernel.settle()?;
    ensure!(guest.states()? == before);
    apply_ends(NOTHING, &["--udev", "off"], 0)?;
    drop(room);
    Udevd::settle()?;
    links_are_right(guest)
}

pub fn a_batch_takes_one_semaphore(guest: &Guest) -> Result<()> {
    let _udevd = Udevd::start()?;
    let _room = Room::for_sets(1)?;
    let many = (0..6).fold(String::new(), |map, n| {
        map + &format!("[mappings.m{n}]\ntargets = [{{ type = \"zero\", length = 64 }}]\n")
    });
    let ran = apply_ends(&many, &[], 0)?;
    // No warning of a semaphore that was not to be had.
    ensure!(ran.stderr == "Applied: 6 steps.\n", "{ran:?}");
    links_are_right(guest)?;
    apply_ends(NOTHING, &[], 0)?;
    links_are_right(guest)
}

pub fn a_batch_is_shared_by_threads(guest: &Guest) -> Result<()> {
    let _udevd = Udevd::start()?;
    let kernel = Live::open(Udev::Auto)?;
    kernel.begin()?;
    let work = |n: u32| -> Result<()> {
        let name = Name::new(&format!("thread-{n}"))?;
        let id = Id::Name(name.clone());
        for _ in 0..2 {
            kernel.create(&name, None)?;
            kernel.load(&id, &rows("0 64 zero"), Access::Writable)?;
            kernel.resume(&id)?;
            // One of them waits, as before a second try; the others go on.
            if n == 0 {
                kernel.catch_up();
            }
            ops::remove(&kernel, &name, RemoveOptions::default())?;
        }
        kernel.create(&name, None)?;
        kernel.load(&id, &rows("0 64 zero"), Access::Writable)?;
        Ok(kernel.resume(&id)?)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|n| {
                let work = &work;
                scope.spawn(move || work(n))
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| bail!("a panic")))
    })?;
    kernel.settle()?;
    links_are_right(guest)?;
    for n in 0..4 {
        kernel.remove(&Id::Name(Name::new(&format!("thread-{n}"))?), Removal::Now)?;
    }
    kernel.settle()?;
    links_are_right(guest)
}

pub fn a_killed_dmctl_leaves_a_semaphore_that_the_next_one_takes(guest: &Guest) -> Result<()> {
    let udevd = Udevd::start()?;
    udevd.signal("STOP")?;
    let killed = Background::dmctl(&["apply", write_map(SINGLE)?, "--udev-timeout", "10m"])?;
    comes("the device", || Ok(guest.states()?.first().is_some_and(|(info, ..)| !info.suspended)))?;
    killed.signal("KILL")?;
    ensure!(killed.end()?.status.is_none());
    ensure!(semaphores()?.len() == 1);
    udevd.signal("CONT")?;
    comes("udev", || Ok(is_link("data")))?;
    Udevd::settle()?;
    // udev answered; dmctl's own one is left, and does no harm.
    ensure!(semaphores()?.len() == 1);
    let other = program("ipcs", &["-s"])?;
    ensure!(other.contains("0x0d4d"), "{other}");
    apply_ends(NOTHING, &[], 0)?;
    links_are_right(guest)
}

pub fn a_device_that_udev_looks_at_is_removed_once_it_has_seen_enough(guest: &Guest) -> Result<()> {
    // Longer than a busy device is tried for. The file tells that the device is held: udev opens it for
    // itself before that, and closes it again.
    let rule = r#"ACTION=="change", KERNEL=="dm-*", RUN+="/bin/busybox sh -c 'exec 3</dev/%k; : >/run/held; sleep 8'""#;
    let held = Path::new("/run/held");
    let _udevd = Udevd::with_rule(rule)?;
    let kernel = Live::open(Udev::Auto)?;
    kernel.begin()?;
    let name = Name::new("seen")?;
    let id = Id::Name(name.clone());
    kernel.create(&name, None)?;
    kernel.load(&id, &rows("0 64 zero"), Access::Writable)?;
    kernel.resume(&id)?;
    comes("udev", || Ok(held.exists()))?;
    ensure!(guest.state("seen")?.0.open_count > 0);
    let begin = Instant::now();
    ops::remove(&kernel, &name, RemoveOptions::default())?;
    ensure!(begin.elapsed() > Duration::from_secs(5), "udev let go after {:?}", begin.elapsed());
    fs::remove_file(held)?;
    links_are_right(guest)
}

pub fn a_node_made_by_hand_does_not_get_in_the_way_of_udev(guest: &Guest) -> Result<()> {
    let _udevd = Udevd::start()?;
    apply_ends(SINGLE, &["--udev", "off"], 0)?;
    apply_ends(NOTHING, &[], 0)?;
    links_are_right(guest)?;
    // One that a crash left leads to no device; udev makes no link where it is.
    ensure!(dmctl(&["create", "any", "--table", "0 64 zero"])?.status == Some(0));
    let number = guest.state("any")?.0.number;
    let stale = makedev(number.major.into(), 99);
    mknod(&path("data"), SFlag::S_IFBLK, Mode::S_IRUSR, stale)?;
    apply_ends(SINGLE, &[], 0)?;
    ensure!(Disk::mapping("data")?.number == guest.state("data")?.0.number);
    apply_ends(NOTHING, &[], 0)?;
    ensure!(fs::symlink_metadata(path("data")).is_err());
    ensure!(dmctl(&["remove", "any"])?.status == Some(0));
    links_are_right(guest)
}

/// There must be no wait, and the node must be dmctl's.
fn is_alone(guest: &Guest, options: &[&str]) -> Result<()> {
    let begin = Instant::now();
    let ran = apply_ends(SINGLE, options, 0)?;
    ensure!(begin.elapsed() < Duration::from_secs(10), "it took {:?}", begin.elapsed());
    ensure!(!ran.stderr.contains("WARN"), "{ran:?}");
    ensure!(Disk::mapping("data")?.number == guest.state("data")?.0.number);
    no_semaphores()?;
    apply_ends(NOTHING, options, 0)?;
    ensure!(!path("data").exists());
    Ok(())
}

pub fn a_udevd_in_another_namespace_is_not_waited_for(guest: &Guest) -> Result<()> {
    let udevd = Udevd::start()?;
    // It would not answer at all, so a wait would be seen.
    udevd.signal("STOP")?;
    let dmctl = env!("CARGO_BIN_EXE_dmctl");
    let begin = Instant::now();
    program("unshare", &["--ipc", dmctl, "apply", write_map(SINGLE)?])?;
    ensure!(begin.elapsed() < Duration::from_secs(10), "it took {:?}", begin.elapsed());
    ensure!(Disk::mapping("data")?.number == guest.state("data")?.0.number);
    ensure!(!is_link("data"));
    program("unshare", &["--ipc", dmctl, "apply", write_map(NOTHING)?])?;
    ensure!(!path("data").exists());
    udevd.signal("CONT")?;
    links_come_right(guest)
}

pub fn a_udevd_without_rules_is_not_waited_for(guest: &Guest) -> Result<()> {
    let _hidden = WithoutRules::hide()?;
    let _udevd = Udevd::start()?;
    is_alone(guest, &[])?;
    let ran = with_map("apply", SINGLE, &["-v"])?;
    ensure!(ran.stderr.contains("udevd has no rules for Device Mapper"), "{ran:?}");
    apply_ends(NOTHING, &[], 0)?;
    Ok(())
}

pub fn with_udev_off_nobody_is_waited_for(guest: &Guest) -> Result<()> {
    let udevd = Udevd::start()?;
    udevd.signal("STOP")?;
    is_alone(guest, &["--udev", "off"])?;
    udevd.signal("CONT")?;
    links_come_right(guest)
}

pub fn a_label_with_a_blank_is_found_by_each_of_its_spellings(guest: &Guest) -> Result<()> {
    // These rules leave ram disks out.
    let rule = "KERNEL==\"ram0\", IMPORT{builtin}=\"blkid\"\n\
                KERNEL==\"ram0\", ENV{ID_FS_LABEL_ENC}==\"?*\", SYMLINK+=\"disk/by-label/$env{ID_FS_LABEL_ENC}\"";
    program("mkfs.ext4", &["-q", "-L", "my data", "/dev/ram0"])?;
    let _udevd = Udevd::with_rule(rule)?;
    program("udevadm", &["trigger", "--settle", "--action=change", "/dev/ram0"])?;
    let link = r"/dev/disk/by-label/my\x20data";
    ensure!(fs::canonicalize(link)?.ends_with("ram0"), "the link of udev");
    // Behind the superblock, so that no mapping has the label as well.
    let rows = [
        "device = 'LABEL=my data', offset = '1MiB'",
        "device = 'LABEL=\"my data\"', offset = '2MiB'",
        r"device = 'LABEL=my\x20data', offset = '3MiB'",
        r"device = '/dev/disk/by-label/my\x20data', offset = '4MiB'",
        "params = ['LABEL=my data', 10240]",
    ];
    let mappings: Vec<String> = (1..)
        .zip(rows)
        .map(|(n, row)| format!("[mappings.m{n}]\ntargets = [{{ type = 'linear', length = 64, {row} }}]\n"))
        .collect();
    guest.apply(&mappings.concat(), &[])?;
    for n in 1..=rows.len() {
        let table = guest.state(&format!("m{n}"))?.1;
        ensure!(table == format!("0 64 linear 1:0 {}", n * 2048), "{table}");
    }
    let exported = dmctl(&["export"])?;
    ensure!(exported.stdout.matches(link).count() == rows.len(), "{exported:?}");
    apply_ends(NOTHING, &[], 0)?;
    // The file system and its link must not be there for the next case.
    guest.disks[0].fill(0, 128, 0)?;
    Udevd::settle()?;
    if fs::symlink_metadata(link).is_ok() {
        fs::remove_file(link)?;
    }
    Ok(())
}
