//! Tables that may have something left: what they tell of themselves, and how they give way.

use std::collections::BTreeMap;
use std::env;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use dmctl::access::Access;
use dmctl::kernel::{ChangeKernel, Id, Removal};

use crate::guest::{Disk, Guest, apply_ends, comes, dmctl, named, program, rows, with_map};

/// The length of every device here, in sectors.
const LENGTH: u64 = 8192;
/// How often each table gives way while it is written, unless [`SETTING`] gives another count.
const ROUNDS: u64 = 6;
/// The environment variable with the count of rounds, for long runs by hand.
pub const SETTING: &str = "DMCTL_ROUNDS";
/// What every byte is before a writer comes.
const CONTENT: u8 = 7;

/// A target that gives way to a device that has everything once nothing is left.
struct Leaver {
    target: &'static str,
    /// The table through which the content comes that is there before.
    content: &'static str,
    /// How slow a write to that device is in some rounds, in milliseconds: at least so much, and up to 24 times that.
    slowness: u64,
    /// The table that gives way.
    table: &'static str,
}

const CACHE: &str = "type = 'cache', length = 8192, metadata = '/dev/ram0', cache = '/dev/ram1', origin = '/dev/mapper/slow', block_size = 64, mode = 'MODE', policy = 'smq'";

const SLOW: &str = "type = 'linear', length = 8192, device = '/dev/mapper/slow'";
/// Tables through which content comes.
const FIRST_DISK: &str = "0 8192 linear /dev/ram1 0";
const LAST_DISK: &str = "0 8192 linear /dev/mapper/slow 0";
const SNAPSHOT: &str = "0 8192 snapshot /dev/mapper/slow /dev/ram1 P 8";

const WRITECACHE: Leaver = Leaver {
    target: "writecache",
    content: LAST_DISK,
    slowness: 40,
    table: "type = 'writecache', length = 8192, mode = 'ssd', origin = '/dev/mapper/slow', cache = '/dev/ram1', block_size = 512, cleaner = true",
};

const CLONE: Leaver = Leaver {
    target: "clone",
    content: FIRST_DISK,
    slowness: 1,
    table: "type = 'clone', length = 8192, metadata = '/dev/ram0', destination = '/dev/mapper/slow', source = '/dev/ram1', region_size = 8",
};

const MIRROR: Leaver = Leaver {
    target: "mirror",
    content: FIRST_DISK,
    slowness: 2,
    table: "type = 'mirror', length = 8192, log = { type = 'core', region_size = 64 }, legs = [{ device = '/dev/ram1' }, { device = '/dev/mapper/slow' }], handle_errors = true",
};

const MERGE: Leaver = Leaver {
    target: "snapshot-merge",
    content: SNAPSHOT,
    slowness: 60,
    table: "type = 'snapshot-merge', length = 8192, origin = '/dev/mapper/slow', cow = '/dev/ram1', persistent = true, chunk = 8",
};

fn map(row: &str) -> String {
    format!("[mappings.v]\ntargets = [{{ {row} }}]\n")
}

/// The kind of the only row of `v`, which must serve I/O without a table in its inactive slot.
fn serving(guest: &Guest) -> Result<String> {
    let (info, live, inactive) = guest.state("v")?;
    ensure!(!info.suspended && inactive.is_empty(), "{info:?} {inactive}");
    Ok(live.split(' ').nth(2).unwrap_or_default().to_string())
}

/// Writes a number that grows to one sector after the other, from a moment on and until it is told to end. Returns the last number that each sector
/// took.
fn write_on(delay: Duration, stop: &AtomicBool, written: &AtomicU64) -> Result<BTreeMap<u64, u64>> {
    thread::sleep(delay);
    let disk = Disk::mapping("v")?;
    let mut last = BTreeMap::new();
    for number in 1u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        // Spread over the device, so that each hits other blocks.
        let sector = (number * 1031) % LENGTH;
        let mut bytes = vec![0; 512];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        disk.write(sector, &bytes)?;
        last.insert(sector, number);
        written.store(number, Ordering::Relaxed);
    }
    Ok(last)
}

/// The table of the device that has everything in the end: writes to it take this long, in milliseconds.
fn delay(milliseconds: u64) -> String {
    format!("0 {LENGTH} delay /dev/ram2 0 0 /dev/ram2 0 {milliseconds}")
}

/// Makes the device that has everything in the end.
fn slow(guest: &Guest) -> Result<Id> {
    guest.needs("delay")?;
    guest.device("slow", &delay(0))
}

/// Sets how long a write to it takes.
fn set_delay(guest: &Guest, slow: &Id, milliseconds: u64) -> Result<()> {
    guest.kernel.load(slow, &rows(&delay(milliseconds)), Access::Writable)?;
    Ok(guest.kernel.resume(slow).map(drop)?)
}

/// How often each table gives way.
fn rounds() -> u64 {
    env::var(SETTING).ok().and_then(|count| count.parse().ok()).unwrap_or(ROUNDS)
}

/// Writes the content that is there before, and something else to the device that has it all in the end.
fn fill(guest: &Guest, table: &str) -> Result<()> {
    let length = usize::try_from(LENGTH)?;
    Disk::open("/dev/ram2")?.fill(0, length, !CONTENT)?;
    let v = guest.device("v", table)?;
    Disk::mapping("v")?.fill(0, length, CONTENT)?;
    Ok(guest.kernel.remove(&v, Removal::Now)?)
}

/// Ensures that each sector of `v` has what it took last, and the others what they had before.
fn keeps(last: &BTreeMap<u64, u64>) -> Result<()> {
    let bytes = Disk::mapping("v")?.read(0, usize::try_from(LENGTH)?)?;
    for (sector, content) in (0u64..).zip(bytes.chunks_exact(512)) {
        let (number, rest) = content.split_at(8);
        let found = u64::from_le_bytes(number.try_into()?);
        let before = u64::from_le_bytes([CONTENT; 8]);
        let (wanted, byte) = last.get(&sector).map_or((before, CONTENT), |number| (*number, 0));
        ensure!(found == wanted, "sector {sector} has {found}, and took {wanted} last");
        ensure!(rest.iter().all(|found| *found == byte), "sector {sector} is not whole");
    }
    Ok(())
}

/// How the rounds ended.
#[derive(Debug, Default)]
struct Ends {
    applied: u64,
    refused: u64,
    put_back: u64,
}

/// Lets `wanted` take the place of what is live while a writer goes on: it does, and has everything, or the old table goes
/// on and has everything.
fn give_way(guest: &Guest, wanted: &str, target: &str, round: u64, ends: &mut Ends) -> Result<()> {
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let (ran, last) = thread::scope(|scope| -> Result<_> {
        // The first write is at another moment of the apply in each round, and sometimes before it.
        let delay = if round.is_multiple_of(5) { 0 } else { round * 7 % 60 };
        let (stop, written) = (&stop, &written);
        let writer = scope.spawn(move || write_on(Duration::from_millis(delay), stop, written));
        while round.is_multiple_of(5) && written.load(Ordering::Relaxed) == 0 && !writer.is_finished() {
            thread::sleep(Duration::from_micros(200));
        }
        let ran = with_map("apply", &map(wanted), &[]);
        thread::sleep(Duration::from_millis(round % 7));
        stop.store(true, Ordering::Relaxed);
        let last = writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
        Ok((ran?, last))
    })?;
    let kind = serving(guest)?;
    match ran.status {
        Some(0) => {
            ends.applied += 1;
            ensure!(kind == "linear", "{kind}: {ran:?}");
        }
        Some(3) => {
            ends.refused += 1;
            ensure!(kind == target, "{kind}: {ran:?}");
        }
        Some(6) => {
            ends.put_back += 1;
            ensure!(kind == target, "{kind}: {ran:?}");
        }
        _ => bail!("{ran:?}"),
    }
    keeps(&last).with_context(|| format!("round {round}: {ran:?}"))
}

/// Lets a table that is written up to the moment of the swap give way, with all data or not at all.
fn gives_way(guest: &Guest, leaver: &Leaver) -> Result<()> {
    guest.needs(leaver.target)?;
    let mut ends = Ends::default();
    for round in 0..rounds() {
        guest.blank()?;
        let slow = slow(guest)?;
        fill(guest, leaver.content)?;
        // In every fourth round the process is slow, so that it ends near the swap, or after it.
        if round.is_multiple_of(4) {
            set_delay(guest, &slow, leaver.slowness * (1 + round % 24))?;
        }
        apply_ends(&map(leaver.table), &["--allow", "format,remap,loss"], 0)?;
        if round % 2 == 1 {
            let ran = dmctl(&["wait", "v", "--timeout", "20s"])?;
            ensure!(ran.status == Some(0), "{ran:?}");
        }
        give_way(guest, SLOW, leaver.target, round, &mut ends)?;
        set_delay(guest, &slow, 0)?;
        guest.kernel.remove(&named("v"), Removal::Now)?;
        guest.kernel.remove(&slow, Removal::Now)?;
    }
    eprintln!("{}: {ends:?}", leaver.target);
    ensure!(ends.applied > 0, "{}: {ends:?}", leaver.target);
    Ok(())
}

pub fn a_writecache_gives_way_whole_or_not_at_all(guest: &Guest) -> Result<()> {
    gives_way(guest, &WRITECACHE)
}

pub fn a_clone_gives_way_whole_or_not_at_all(guest: &Guest) -> Result<()> {
    gives_way(guest, &CLONE)
}

pub fn a_mirror_gives_way_whole_or_not_at_all(guest: &Guest) -> Result<()> {
    gives_way(guest, &MIRROR)
}

pub fn a_merge_gives_way_whole_or_not_at_all(guest: &Guest) -> Result<()> {
    gives_way(guest, &MERGE)
}

/// The same with a cache, which is dirty until it is told to write back.
pub fn a_cache_gives_way_whole_or_not_at_all(guest: &Guest) -> Result<()> {
    guest.needs("cache")?;
    let cache = |mode: &str| map(&CACHE.replace("MODE", mode));
    let mut ends = Ends::default();
    for round in 0..rounds() {
        guest.blank()?;
        let slow = slow(guest)?;
        fill(guest, LAST_DISK)?;
        // What is written is taken into the cache, and stays clean; from the next table on it is dirty once it is written.
        apply_ends(&cache("writethrough"), &["--allow", "format,remap,loss"], 0)?;
        let disk = Disk::mapping("v")?;
        for _ in 0..3 {
            disk.fill(0, 8192, CONTENT)?;
        }
        apply_ends(&cache("writeback"), &[], 0)?;
        give_way(guest, SLOW, "cache", round, &mut ends)?;
        guest.kernel.remove(&named("v"), Removal::Now)?;
        guest.kernel.remove(&slow, Removal::Now)?;
    }
    eprintln!("cache: {ends:?}");
    ensure!(ends.refused + ends.put_back > 0, "{ends:?}");
    Ok(())
}

/// `health --raw` prints what `dmsetup status` prints, and each target tells how it fares.
pub fn health_is_what_the_kernel_prints(guest: &Guest) -> Result<()> {
    let devices = [
        ("linear", "0 8192 linear /dev/ram5 0", "ok"),
        ("striped", "0 8192 striped 2 8 /dev/ram5 8192 /dev/ram6 8192", "ok"),
        ("error", "0 8 error", "failed"),
        ("thin-pool", "0 8192 thin-pool /dev/ram0 /dev/ram1 128 0", "ok"),
        ("era", "0 8192 era /dev/ram2 /dev/ram3 64", "ok"),
        ("writecache", "0 8192 writecache s /dev/ram4 /dev/ram7 4096 0", "ok"),
        ("dust", "0 4096 dust /dev/ram5 16384 512", "ok"),
        ("delay", "0 4096 delay /dev/ram5 20480 0", "ok"),
    ];
    for (target, table, health) in devices {
        guest.needs(target)?;
        guest.device(target, table)?;
        let ran = dmctl(&["health", target, "--raw"])?;
        ensure!(ran.stdout == program("dmsetup", &["status", target])?, "{ran:?}");
        let ran = dmctl(&["health", target])?;
        let word = ran.stdout.split_whitespace().nth(3).unwrap_or_default().to_string();
        ensure!(word == health, "{ran:?}");
        ensure!(ran.status == Some(if health == "failed" { 8 } else { 0 }), "{ran:?}");
    }
    // All together, and as JSON.
    let ran = dmctl(&["health", "--json"])?;
    ensure!(ran.status == Some(8) && ran.stdout.contains("\"era\""), "{ran:?}");
    // A suspended era is not asked: it would not answer.
    dmctl(&["suspend", "era"])?;
    let ran = dmctl(&["health", "era"])?;
    ensure!(ran.status == Some(8) && ran.stdout.contains("unknown"), "{ran:?}");
    dmctl(&["resume", "era"])?;
    ensure!(dmctl(&["health", "era"])?.status == Some(0), "{ran:?}");
    for (target, ..) in devices {
        dmctl(&["remove", target])?;
    }
    Ok(())
}

/// A mirror whose first leg is behind is not loaded again with that leg first.
pub fn a_stale_first_leg_is_not_copied(guest: &Guest) -> Result<()> {
    guest.needs("mirror")?;
    let below = |first: &str| {
        format!(
            "[mappings.l0]\ntargets = [{{ {first} }}]\n[mappings.l1]\ntargets = [{{ type = 'linear', length = 16384, device = '/dev/ram1' }}]\n"
        )
    };
    let works = "type = 'linear', length = 16384, device = '/dev/ram0'";
    let mirror = |legs: [&str; 2], length: u64| {
        format!(
            "[mappings.v]\ntargets = [{{ type = 'mirror', length = {length}, log = {{ type = 'core', region_size = 1024 }}, legs = [{{ device = '@{}' }}, {{ device = '@{}' }}], handle_errors = true, keep_log = true }}]\n",
            legs[0], legs[1]
        )
    };
    let all = ["--allow", "format,remap"];
    let stands = below(works) + &mirror(["l0", "l1"], 8192);
    apply_ends(&stands, &all, 0)?;
    ensure!(dmctl(&["wait", "v", "--timeout", "20s"])?.status == Some(0), "it is not in sync");
    let disk = Disk::mapping("v")?;
    disk.fill(0, 8, b'o')?;
    let dead = below("type = 'error', length = 16384") + &mirror(["l0", "l1"], 8192);
    apply_ends(&dead, &all, 0)?;
    disk.fill(0, 8, b'n')?;
    apply_ends(&stands, &all, 0)?;
    let ran = dmctl(&["health", "v"])?;
    ensure!(ran.status == Some(8) && ran.stdout.contains("degraded"), "{ran:?}");
    ensure!(dmctl(&["wait", "v"])?.status == Some(8), "it waits for what can't come");
    // Longer, with the stale leg first: that would be copied over the other one.
    let grown = below(works) + &mirror(["l0", "l1"], 16384);
    let ran = guest.refused(&grown, &all, 3)?;
    ensure!(ran.stdout.contains("put a leg first that has everything"), "{ran:?}");
    // With the whole leg first everything stays.
    let turned = below(works) + &mirror(["l1", "l0"], 16384);
    apply_ends(&turned, &all, 0)?;
    ensure!(dmctl(&["wait", "v", "--timeout", "20s"])?.status == Some(0), "it is not in sync");
    for disk in [Disk::mapping("v")?, Disk::mapping("l0")?, Disk::mapping("l1")?] {
        ensure!(disk.read(0, 8)?.iter().all(|byte| *byte == b'n'), "{} is stale", disk.path.display());
    }
    let ran = with_map("deactivate", &turned, &[])?;
    ensure!(ran.status == Some(0), "{ran:?}");
    Ok(())
}

/// A leg of an array that was lost is filled by the order of the map, and by nothing else; then the map is in sync.
pub fn a_lost_leg_is_filled_by_its_order(guest: &Guest) -> Result<()> {
    guest.needs("raid")?;
    let map = |second: &str, rebuild: &str| {
        let leg = |name: &str, row: &str| format!("[mappings.{name}]\ntargets = [{{ {row} }}]\n");
        let disk = |disk: u32| format!("type = 'linear', length = 8192, device = '/dev/ram{disk}'");
        let below = leg("m0", &disk(0)) + &leg("d0", &disk(1)) + &leg("m1", &disk(2)) + &leg("d1", second);
        format!(
            "{below}[mappings.v]\ntargets = [{{ type = 'raid', length = 8192, level = 'raid1', region_size = 1024, {rebuild}devices = [{{ metadata = '@m0', data = '@d0' }}, {{ metadata = '@m1', data = '@d1' }}] }}]\n"
        )
    };
    let works = "type = 'linear', length = 8192, device = '/dev/ram3'";
    let replaced = "type = 'linear', length = 8192, device = '/dev/ram4'";
    let dead = "type = 'error', length = 8192";
    let all = ["--allow", "format,remap"];
    let in_sync = || -> Result<()> {
        let ran = dmctl(&["wait", "v", "--timeout", "30s"])?;
        ensure!(ran.status == Some(0), "{ran:?}");
        Ok(())
    };
    apply_ends(&map(works, ""), &all, 0)?;
    in_sync()?;
    let disk = Disk::mapping("v")?;
    disk.fill(0, 8192, b'o')?;
    for (byte, back) in [(b'n', works), (b'm', replaced)] {
        apply_ends(&map(dead, ""), &all, 0)?;
        // What is written meanwhile the second leg does not have.
        disk.fill(0, 8192, byte)?;
        apply_ends(&map(back, ""), &all, 0)?;
        let ran = with_map("status", &map(back, ""), &[])?;
        ensure!(ran.status == Some(8) && ran.stdout.contains("degraded"), "{ran:?}");
        let wanted = map(back, "rebuild = [1], ");
        let ran = with_map("status", &wanted, &[])?;
        ensure!(ran.status == Some(2) && ran.stdout.contains("leg 1 is lost"), "{ran:?}");
        let ran = with_map("plan", &wanted, &[])?;
        ensure!(ran.stdout.contains("~ reload") && ran.stdout.contains("[reload]"), "{ran:?}");
        apply_ends(&wanted, &[], 0)?;
        // While it is filled, and afterwards.
        let ran = with_map("plan", &wanted, &[])?;
        ensure!(ran.stdout.contains("Nothing to do."), "{ran:?}");
        in_sync()?;
        let ran = with_map("status", &wanted, &[])?;
        ensure!(ran.status == Some(0), "{ran:?}");
        guest.in_sync(&wanted)?;
        for disk in [Disk::mapping("v")?, Disk::mapping("d1")?] {
            ensure!(disk.read(0, 8192)?.iter().all(|found| *found == byte), "{}", disk.path.display());
        }
    }
    // The table that is live shows the order: a leg that is lost again is filled again.
    let wanted = map(replaced, "rebuild = [1], ");
    let (_, live, _) = guest.state("v")?;
    ensure!(live.contains("rebuild 1"), "{live}");
    apply_ends(&map(dead, "rebuild = [1], "), &all, 0)?;
    disk.fill(0, 8192, b'l')?;
    apply_ends(&map(replaced, ""), &all, 0)?;
    apply_ends(&wanted, &[], 0)?;
    in_sync()?;
    guest.in_sync(&wanted)?;
    ensure!(Disk::mapping("d1")?.read(0, 8192)?.iter().all(|found| *found == b'l'), "the leg is old");
    let ran = with_map("deactivate", &wanted, &[])?;
    ensure!(ran.status == Some(0), "{ran:?}");
    Ok(())
}

/// A cache and a writecache that are taken down with dirty blocks keep them: that is told, and all data is there once they are up again.
pub fn dirty_blocks_stay_and_come_back(guest: &Guest) -> Result<()> {
    let writecache = "type = 'writecache', length = 8192, mode = 'ssd', origin = '/dev/ram2', cache = '/dev/ram1', block_size = 512";
    let cache = CACHE.replace("MODE", "writeback").replace("/dev/mapper/slow", "/dev/ram2");
    for (target, row, keepers) in
        [("cache", cache.as_str(), "1:1 and 1:0"), ("writecache", writecache, "1:1")]
    {
        guest.needs(target)?;
        guest.blank()?;
        Disk::open("/dev/ram2")?.fill(0, 8192, CONTENT)?;
        apply_ends(&map(row), &["--allow", "format"], 0)?;
        let is_dirty = || Ok(dmctl(&["health", "v"])?.stdout.contains("on the cache alone"));
        let disk = Disk::mapping("v")?;
        comes("a dirty block", || {
            disk.fill(1024, 2048, 9)?;
            is_dirty()
        })?;
        let before = disk.read(0, 8192)?;
        let ran = with_map("deactivate", &map(row), &[])?;
        ensure!(ran.status == Some(0) && ran.stdout.contains("[remove]"), "{ran:?}");
        ensure!(
            ran.stdout.contains("dirty block") && ran.stdout.contains(&format!("kept by {keepers}: ")),
            "{ran:?}"
        );
        ensure!(Disk::open("/dev/ram2")?.read(0, 8192)? != before, "nothing was dirty");
        guest.apply(&map(row), &[])?;
        ensure!(Disk::mapping("v")?.read(0, 8192)? == before, "{target}: it does not come back whole");
        guest.kernel.remove(&named("v"), Removal::Now)?;
    }
    Ok(())
}
