//! Devices that are in use when they should go.

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::guest::{Guest, Mounted, apply_ends, dmctl, program, with_map};

const DATA: &str = r#"
    [mappings.data]
    targets = [{ type = "linear", length = "4MiB", device = "/dev/ram0" }]"#;

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

pub fn an_open_device_stays(guest: &Guest) -> Result<()> {
    guest.apply(DATA, &[])?;
    let open = File::open("/dev/mapper/data")?;
    both_refuse(guest, "open")?;
    drop(open);
    guest.apply(GONE, &[])
}

pub fn a_device_that_is_open_for_a_moment_is_waited_for(guest: &Guest) -> Result<()> {
    guest.apply(DATA, &[])?;
    let open = File::open("/dev/mapper/data")?;
    let begin = Instant::now();
    let removed = thread::scope(|scope| {
        scope.spawn(move || {
            thread::sleep(Duration::from_secs(1));
            drop(open);
        });
        dmctl(&["remove", "data"])
    })?;
    ensure!(removed.status == Some(0), "{removed:?}");
    ensure!(begin.elapsed() >= Duration::from_secs(1), "it was not open any more");
    ensure!(guest.states()?.is_empty());
    Ok(())
}

pub fn a_deferred_remove_takes_its_time(guest: &Guest) -> Result<()> {
    guest.apply(DATA, &[])?;
    let open = File::open("/dev/mapper/data")?;
    let removed = dmctl(&["remove", "data", "--deferred"])?;
    ensure!(removed.status == Some(0), "{removed:?}");
    ensure!(guest.state("data")?.0.deferred_remove);
    drop(open);
    let deadline = Instant::now() + Duration::from_secs(5);
    while !guest.states()?.is_empty() {
        ensure!(Instant::now() < deadline, "it is still there");
        thread::sleep(Duration::from_millis(10));
    }
    // The next apply takes the node away.
    apply_ends(GONE, &[], 0)?;
    Ok(())
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
    // It is on its way: whoever wants it gone has nothing to do, and nobody is refused for it.
    guest.in_sync(GONE)?;
    guest.in_sync("[policy]\nprune = true\n[mappings]")?;
    let status = with_map("status", GONE, &[])?;
    ensure!(status.status == Some(2) && status.stdout.contains("pending"), "{status:?}");
    // Whoever wants it back has.
    let status = with_map("status", DATA, &[])?;
    ensure!(status.status == Some(2) && status.stdout.contains("pending"), "{status:?}");
    let plan = with_map("plan", DATA, &[])?;
    ensure!(plan.stdout.contains("@cancel_deferred_remove"), "{plan:?}");
    guest.apply(DATA, &[])?;
    ensure!(!guest.state("data")?.0.deferred_remove);
    drop(open);
    thread::sleep(Duration::from_millis(500));
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
    let deadline = Instant::now() + Duration::from_secs(5);
    while !guest.states()?.is_empty() {
        ensure!(Instant::now() < deadline, "it is still there");
        thread::sleep(Duration::from_millis(10));
    }
    guest.apply(&other, &[])?;
    guest.apply("mappings.other.state = \"absent\"", &[])
}
