//! Devices below that become shorter than what is in use of them, and tables that the kernel refuses before that is written
//! back.

use anyhow::{Context, Result, ensure};

use crate::guest::{Disk, Guest, apply_ends, dmctl, program, with_map};

const NOTHING: &str = "[policy]\nprune = true\n[mappings]";

/// A row over the mapping `b`, its sectors, how many there are to be, and what the conflict tells.
type Case = (&'static str, u64, u64, &'static str);

const CASES: [Case; 6] = [
    (
        "type = 'cache', metadata = '/dev/ram2', cache = '@b', origin = '/dev/ram0', block_size = 128, mode = 'writeback'",
        16384,
        4096,
        "the cache takes 16384 sectors",
    ),
    (
        "type = 'cache', metadata = '@b', cache = '/dev/ram2', origin = '/dev/ram0', block_size = 128, mode = 'writethrough'",
        8192,
        64,
        "the metadata of the cache takes 8192 sectors",
    ),
    (
        "type = 'era', metadata = '@b', origin = '/dev/ram0', block_size = 128",
        8192,
        32,
        "the metadata of era takes 8192 sectors",
    ),
    (
        "type = 'clone', metadata = '@b', destination = '/dev/ram2', source = '/dev/ram0', region_size = 8, length = 32768, no_hydration = true",
        8192,
        32,
        "the metadata of the clone takes 8192 sectors",
    ),
    (
        "type = 'mirror', length = 131072, log = { type = 'disk', region_size = 8, device = '@b', sync = 'nosync' }, legs = [{ device = '/dev/ram0' }, { device = '/dev/ram2' }]",
        64,
        1,
        "the log of the mirror takes 6 sectors",
    ),
    (
        "type = 'snapshot', origin = '/dev/ram0', cow = '@b', chunk = 8, persistent = true, length = 32768",
        32768,
        4096,
        "what the snapshot keeps takes",
    ),
];

fn map(row: &str, sectors: u64) -> String {
    format!(
        "[mappings.b]\ntargets = [{{ type = 'linear', device = '/dev/ram1', length = {sectors} }}]\n[mappings.c]\ntargets = [{{ {row} }}]\n"
    )
}

/// Ensures that a map is refused as a conflict that has these words.
fn conflicts(guest: &Guest, map: &str, words: &[&str]) -> Result<()> {
    let ran = guest.refused(map, &["--allow", "format,remap,loss"], 1)?;
    let said = format!("{}{}", ran.stdout, ran.stderr);
    for word in words {
        ensure!(said.contains(word), "`{word}` is not in: {said}");
    }
    Ok(())
}

/// Live, and then from nothing: the device below stays as long as it is.
pub fn what_is_in_use_of_a_device_is_not_cut_off(guest: &Guest) -> Result<()> {
    for (row, sectors, fewer, told) in CASES {
        let kind = row.split('\'').nth(1).unwrap_or_default();
        if !guest.has(kind)? {
            continue;
        }
        guest.blank()?;
        guest.apply(&map(row, sectors), &["--allow", "format"]).context(row)?;
        Disk::mapping("c")?.fill(0, 8192, 0x5a)?;
        let way_out = if kind == "mirror" { "make it larger" } else { "give it its size back" };
        conflicts(guest, &map(row, fewer), &[told, way_out]).with_context(|| format!("live: {row}"))?;
        ensure!(Disk::mapping("c")?.read(0, 8192)?.iter().all(|byte| *byte == 0x5a), "{row}: data is lost");
        // How much a snapshot has in use is not in its header.
        if kind != "snapshot" {
            program("dmsetup", &["remove", "c"])?;
            program("dmsetup", &["remove", "b"])?;
            conflicts(guest, &map(row, fewer), &[told]).with_context(|| format!("from nothing: {row}"))?;
            guest.apply(&map(row, sectors), &[]).with_context(|| format!("full again: {row}"))?;
        }
        apply_ends(NOTHING, &["--allow", "loss"], 0)?;
    }
    Ok(())
}

/// A cache with dirty blocks: the kernel refuses a shorter row, and passthrough, until they are written back.
pub fn dirty_blocks_are_written_back_before_a_cache_is_shorter_or_bypassed(guest: &Guest) -> Result<()> {
    guest.needs("cache")?;
    guest.blank()?;
    let cache = |length: u64, rest: &str| {
        format!(
            "[mappings.c]\ntargets = [{{ type = 'cache', metadata = '/dev/ram2', cache = '/dev/ram1', origin = '/dev/ram0', block_size = 64, length = {length}, {rest} }}]\n"
        )
    };
    // Nothing is written back by itself.
    let held = "mode = 'writeback', policy_args = { migration_threshold = 0 }";
    apply_ends(&cache(32768, held), &["--allow", "format"], 0)?;
    Disk::mapping("c")?.fill(16384, 4096, 0x5a)?;
    let dirty = || -> Result<u64> {
        let status = program("dmsetup", &["status", "c"])?;
        status.split_whitespace().nth(13).and_then(|word| word.parse().ok()).with_context(|| status.clone())
    };
    let count = dirty()?;
    ensure!(count > 0, "nothing is dirty");
    let told = format!("{count} dirty block");
    let way_out = "set policy = \"cleaner\", apply, and wait with `dmctl wait` first";
    conflicts(guest, &cache(8192, held), &[&told, "refuses a shorter row", way_out])?;
    let bypassed = cache(32768, "mode = 'passthrough'");
    conflicts(guest, &bypassed, &[&told, "refuses mode = \"passthrough\"", way_out])?;
    // The way out.
    apply_ends(&cache(32768, "mode = 'writeback', policy = 'cleaner'"), &[], 0)?;
    dmctl(&["wait", "c"])?;
    ensure!(dirty()? == 0, "dirty after the wait");
    apply_ends(&bypassed, &[], 0)?;
    apply_ends(&cache(8192, "mode = 'passthrough'"), &["--allow", "remap"], 0)?;
    let plan = with_map("plan", &cache(8192, "mode = 'passthrough'"), &[])?;
    ensure!(plan.stdout.contains("Nothing to do."), "{}", plan.stdout);
    guest.apply(NOTHING, &["--allow", "loss"])
}
