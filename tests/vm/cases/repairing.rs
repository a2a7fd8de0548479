//! Metadata that the kernel marks after a failed write: the plan tells what to do before it changes anything.

use std::fs::File;

use anyhow::{Result, ensure};
use dmctl::kernel::{ChangeKernel as _, Removal};

use crate::guest::{Disk, Guest, Ran, apply_ends, comes, dmctl, program, with_map};

const ALL: [&str; 2] = ["--allow", "format,remap,loss"];

/// A mapping of the metadata, which takes all writes, or those of the superblock alone, which has the mark.
fn metadata(works: bool, sectors: u64) -> String {
    let (first, rest) = (8, sectors - 8);
    let more = if works {
        format!("type = 'linear', length = {rest}, device = '/dev/ram0', offset = {first}")
    } else {
        format!(
            "type = 'flakey', length = {rest}, device = '/dev/ram0', offset = {first}, up_interval = 0, down_interval = 3600, error_writes = true"
        )
    };
    let superblock = format!("type = 'linear', length = {first}, device = '/dev/ram0'");
    format!("[mappings.md]\ntargets = [{{ {superblock} }}, {{ {more} }}]\n")
}

fn pool(length: u64) -> String {
    format!(
        "[mappings.pool]\ntargets = [{{ type = 'thin-pool', length = {length}, metadata = '@md', data = '/dev/ram1', block_size = 128 }}]\n"
    )
}

fn volume(id: u32) -> String {
    format!(
        "[mappings.v{id}]\ntargets = [{{ type = 'thin', length = 8192, pool = '@pool', id = {id}, create = true }}]\n"
    )
}

/// Waits until the kernel tells that the metadata of a device needs a check.
fn needs_check(device: &str) -> Result<()> {
    comes("needs_check", || Ok(dmctl(&["health", device, "--raw"])?.stdout.contains("needs_check")))
}

/// Ensures that an apply of this map ends with this status, and changes no table. What the kernel tells of metadata that it can't write counts
/// as an event of the device.
fn refused(guest: &Guest, map: &str, options: &[&str], status: i32) -> Result<Ran> {
    let tables = || -> Result<Vec<(bool, String, String)>> {
        Ok(guest
            .states()?
            .into_iter()
            .map(|(info, live, inactive)| (info.suspended, live, inactive))
            .collect())
    };
    let before = tables()?;
    let ran = apply_ends(map, options, status)?;
    ensure!(tables()? == before, "{ran:?}");
    Ok(ran)
}

/// Ensures that an apply of this map is a conflict, changes nothing, and tells the way out.
fn conflicts(guest: &Guest, map: &str, told: &[&str]) -> Result<()> {
    let ran = refused(guest, map, &ALL, 1)?;
    for words in told {
        ensure!(ran.stdout.contains(words) || ran.stderr.contains(words), "{words}: {ran:?}");
    }
    Ok(())
}

/// A pool whose metadata could not be written is not changed, does not grow, and makes no volume before it is repaired.
pub fn a_pool_that_needs_a_check_is_repaired_first(guest: &Guest) -> Result<()> {
    for target in ["thin-pool", "thin", "flakey"] {
        guest.needs(target)?;
    }
    guest.blank()?;
    let stands = metadata(true, 4096) + &pool(32768) + &volume(0);
    apply_ends(&stands, &ALL, 0)?;
    let disk = Disk::mapping("v0")?;
    disk.fill(0, 128, b'a')?;
    // With a commit of the metadata.
    File::open(&disk.path)?.sync_all()?;
    apply_ends(&(metadata(false, 4096) + &pool(32768) + &volume(0)), &ALL, 0)?;
    // The commit of this block fails.
    let _ = disk.fill(256, 128, b'b');
    needs_check("pool")?;
    apply_ends(&stands, &ALL, 0)?;
    needs_check("pool")?;

    // As it is it stays, and the plan tells that it is not well.
    let ran = with_map("plan", &stands, &[])?;
    ensure!(ran.status == Some(0) && ran.stdout.contains("needs a check"), "{ran:?}");
    let way_out = ["needs a check", "the pool and its volumes", "thin_check", "thin_repair"];
    conflicts(guest, &(metadata(true, 4096) + &pool(49152) + &volume(0)), &way_out)?;
    conflicts(guest, &(metadata(true, 8192) + &pool(32768) + &volume(0)), &way_out)?;
    conflicts(guest, &(stands.clone() + &volume(1)), &way_out)?;

    // Down, checked, and up again.
    ensure!(with_map("deactivate", &stands, &[])?.status == Some(0), "it stays up");
    program("thin_check", &["--clear-needs-check-flag", "/dev/ram0"])?;
    let grown = metadata(true, 8192) + &pool(49152) + &volume(0) + &volume(1);
    apply_ends(&grown, &[], 0)?;
    guest.in_sync(&grown)?;
    ensure!(dmctl(&["health", "pool"])?.status == Some(0), "the pool is not well");
    ensure!(
        Disk::mapping("v0")?.read(0, 128)?.iter().all(|byte| *byte == b'a'),
        "the volume lost what it had"
    );
    ensure!(with_map("deactivate", &grown, &[])?.status == Some(0), "it stays up");
    Ok(())
}

/// A cache whose metadata needs a check is not loaded again before it is repaired.
pub fn a_cache_that_needs_a_check_is_repaired_first(guest: &Guest) -> Result<()> {
    for target in ["cache", "flakey"] {
        guest.needs(target)?;
    }
    guest.blank()?;
    let cache = |length: u64| {
        format!(
            "[mappings.v]\ntargets = [{{ type = 'cache', length = {length}, metadata = '@md', cache = '/dev/ram1', origin = '/dev/ram2', block_size = 64, mode = 'writeback', policy = 'smq' }}]\n"
        )
    };
    let stands = metadata(true, 4096) + &cache(16384);
    apply_ends(&stands, &ALL, 0)?;
    let disk = Disk::mapping("v")?;
    for _ in 0..3 {
        disk.fill(0, 8192, b'a')?;
    }
    apply_ends(&(metadata(false, 4096) + &cache(16384)), &ALL, 0)?;
    // Blocks that are new in the cache change its metadata.
    comes("needs_check", || {
        let _ = disk.fill(8192, 8192, b'b');
        let _ = File::open(&disk.path)?.sync_all();
        Ok(dmctl(&["health", "v", "--raw"])?.stdout.contains("needs_check"))
    })?;
    apply_ends(&stands, &ALL, 0)?;
    let way_out = ["needs a check", "cache_check", "cache_repair"];
    conflicts(guest, &(metadata(true, 4096) + &cache(24576)), &way_out)?;
    ensure!(with_map("deactivate", &stands, &[])?.status == Some(0), "it stays up");
    conflicts(guest, &stands, &way_out)?;
    // What is wrong here is more than the mark. The tool counts the blocks of the device that it writes to.
    let spare = guest.device("spare", "0 4096 linear /dev/ram4 0")?;
    program("cache_repair", &["-i", "/dev/ram0", "-o", "/dev/mapper/spare"])?;
    guest.kernel.remove(&spare, Removal::Now)?;
    let repaired = stands.replace("/dev/ram0", "/dev/ram4");
    apply_ends(&repaired, &ALL, 0)?;
    guest.in_sync(&repaired)?;
    ensure!(with_map("deactivate", &repaired, &[])?.status == Some(0), "it stays up");
    Ok(())
}
