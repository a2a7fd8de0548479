//! What cannot be had leaves everything as it was.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::{Result, ensure};
use nix::libc;

use crate::guest::{Guest, Mounted, program};

const DATA: &str = r#"
    [mappings.data]
    targets = [{ type = "linear", length = 64, device = "/dev/ram0" }]
    [mappings.upper]
    targets = [{ type = "linear", length = 32, device = "@data" }]"#;

const NOTHING: &str = "[policy]\nprune = true\n[mappings]";

pub fn a_claimed_lower_device(guest: &Guest) -> Result<()> {
    guest.apply(DATA, &[])?;
    let mounted = Mounted::fresh("/dev/ram2", "ext2", "/run/tmp/claimed")?;
    let wanted = r#"
        [mappings.data]
        targets = [
          { type = "linear", length = 64, device = "/dev/ram0" },
          { type = "linear", length = 64, device = "/dev/ram2" },
        ]
        [mappings.new]
        targets = [{ type = "zero", length = 8 }]
        [mappings.upper]
        name = "renamed"
        targets = [{ type = "linear", length = 48, device = "@data" }]"#;
    // Who has it mounted is seen beforehand.
    let ran = guest.refused(wanted, &[], 1)?;
    ensure!(ran.stderr.contains("mounted on /run/tmp/claimed") && ran.stderr.contains("data"), "{ran:?}");
    drop(mounted);
    guest.in_sync(DATA)?;
    // A program that has it for itself is not: the kernel refuses the load.
    let claimed = OpenOptions::new().read(true).custom_flags(libc::O_EXCL).open("/dev/ram2")?;
    let ran = guest.refused(wanted, &[], 6)?;
    ensure!(ran.stderr.contains("EBUSY") && ran.stderr.contains("data"), "{ran:?}");
    drop(claimed);
    guest.in_sync(DATA)?;
    guest.apply(NOTHING, &[])
}

pub fn a_lower_device_that_is_too_small_or_absent(guest: &Guest) -> Result<()> {
    guest.apply(DATA, &[])?;
    for (device, length, says) in [
        ("/dev/ram3", "65MiB", "too small"),
        ("/dev/absent", "64KiB", "does not exist"),
        ("1:4000", "64KiB", "does not exist"),
    ] {
        let wanted = format!(
            r#"
            [mappings.data]
            targets = [{{ type = "linear", length = "{length}", device = "{device}" }}]
            [mappings.new]
            targets = [{{ type = "zero", length = 8 }}]"#
        );
        let ran = guest.refused(&wanted, &["--allow", "remap"], 1)?;
        ensure!(ran.stderr.contains(says) && ran.stderr.contains(device), "{ran:?}");
    }
    guest.apply(NOTHING, &[])
}

/// A pool of `sectors` sectors with a thin device on it.
fn pool(sectors: u64, thin: u64) -> String {
    format!(
        r#"
        [mappings.pool]
        [[mappings.pool.targets]]
        type = "thin-pool"
        length = {sectors}
        metadata = "/dev/ram1"
        data = "/dev/ram0"
        block_size = 128
        low_water_mark = 0
        [mappings.thin]
        [[mappings.thin.targets]]
        type = "thin"
        length = {thin}
        pool = "@pool"
        id = 0
        create = true"#
    )
}

pub fn a_resume_that_fails_puts_the_old_table_back(guest: &Guest) -> Result<()> {
    guest.disks[1].fill(0, 128, 0)?;
    // A snapshot can't be taken over from a device that is active. The kernel finds that when the new table is
    // to become live: by then the old one is gone, and the device is suspended.
    let stranger = "0 2048 snapshot 1:0 1:1 P 8";
    program("dmsetup", &["create", "stranger", "--noudevsync", "--table", stranger])?;
    guest.apply(DATA, &[])?;
    let open = File::open("/dev/mapper/upper")?;
    let wanted = r#"
        [mappings.data]
        shared = true
        targets = [{ type = "snapshot", length = 2048, origin = "/dev/ram0", cow = "/dev/ram1", persistent = true, chunk = 8 }]
        [mappings.upper]
        targets = [{ type = "linear", length = 64, device = "@data" }]"#;
    let ran = guest.refused(wanted, &["--allow", "remap,format,loss"], 6)?;
    ensure!(ran.stderr.contains("reload data") && ran.stderr.contains("EINVAL"), "{ran:?}");
    drop(open);
    guest.in_sync(DATA)?;
    guest.apply(NOTHING, &[])?;
    program("dmsetup", &["remove", "stranger", "--noudevsync"])?;
    Ok(())
}

pub fn a_pool_that_cannot_start_leaves_nothing(guest: &Guest) -> Result<()> {
    guest.disks[1].fill(0, 128, 0)?;
    guest.apply(&pool(16384, 2048), &["--allow", "format"])?;
    guest.apply(NOTHING, &["--allow", "loss,remap"])?;
    // Its metadata records more blocks than this: it would be loaded, and not resumed.
    let ran = guest.refused(&pool(8192, 2048), &["--allow", "remap,format"], 1)?;
    ensure!(ran.stderr.contains("counts 128 blocks, this table has 64"), "{ran:?}");
    ensure!(guest.states()?.is_empty());
    Ok(())
}

pub fn a_refused_create_leaves_no_device(guest: &Guest) -> Result<()> {
    // Right up to its magic, wrong in its checksum: only the kernel finds that this is not metadata.
    let mut block = vec![0x55; 4096];
    for (at, value) in [(32, 27_022_010u64), (64, 128), (192, 16), (336, 128)] {
        block[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    guest.disks[1].write(0, &block)?;
    let ran = guest.refused(&pool(16384, 2048), &["--allow", "format"], 6)?;
    ensure!(ran.stderr.contains("pool"), "{ran:?}");
    ensure!(guest.states()?.is_empty());
    Ok(())
}

pub fn a_file_system_that_can_not_be_frozen_is_told_with_the_way_out(guest: &Guest) -> Result<()> {
    let map = |length: u32, way_out: &str| {
        format!(
            "[mappings.data]\n{way_out}targets = [{{ type = 'linear', length = {length}, device = '/dev/mapper/disk' }}]"
        )
    };
    let way_out = "suspend = { freeze = false }\n";
    let told = |length: u32, why: &str| -> Result<()> {
        let ran = guest.refused(&map(length, ""), &[], 6)?;
        for part in ["data", "the file system on it can't be frozen", why, "suspend = { freeze = false }"] {
            ensure!(ran.stderr.contains(part), "{part:?} is missing: {ran:?}");
        }
        Ok(())
    };
    guest.blank()?;
    program("dmsetup", &["create", "disk", "--table", "0 65536 linear /dev/ram0 0"])?;
    guest.apply(&map(32768, ""), &[])?;
    {
        let mounted = Mounted::fresh("/dev/mapper/data", "ext4", "/run/tmp/frozen")?;
        // A file system that is frozen already.
        let at = mounted.at.display().to_string();
        program("fsfreeze", &["--freeze", &at])?;
        let frozen = told(40960, "it is frozen already; thaw it with `fsfreeze --unfreeze`")
            .and_then(|()| guest.apply(&map(40960, way_out), &[]));
        program("fsfreeze", &["--unfreeze", &at])?;
        frozen?;
        // The other way out, with the file system thawed.
        guest.apply(&map(49152, ""), &[])?;

        // The disk fails, the journal is aborted, and the disk comes back.
        let swap = |table: &str| -> Result<()> {
            program("dmsetup", &["load", "disk", "--table", table])?;
            program("dmsetup", &["suspend", "--noflush", "--nolockfs", "disk"])?;
            program("dmsetup", &["resume", "disk"]).map(drop)
        };
        swap("0 65536 error")?;
        let _ = std::fs::write(mounted.file("lost"), vec![7; 1 << 16]);
        let synced = program("sync", &["--file-system", &at]);
        ensure!(synced.is_err(), "the file system did not notice that its disk failed");
        swap("0 65536 linear /dev/ram0 0")?;
        told(57344, "its journal may be aborted; unmount it")?;
        guest.apply(&map(57344, way_out), &[])?;
        ensure!(!guest.state("data")?.0.suspended);
    }
    // Without the file system there is nothing to freeze.
    guest.apply(&map(65536, ""), &[])?;
    guest.apply("mappings.data.state = \"absent\"", &[])?;
    program("dmsetup", &["remove", "disk"]).map(drop)
}
