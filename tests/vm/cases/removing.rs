//! Devices that are in use when they should go.

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::guest::{Guest, Mounted, apply_ends, dmctl, program};

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
