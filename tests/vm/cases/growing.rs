//! Devices below that grow: what a target makes of it, and what the plan tells.

use anyhow::{Context, Result, ensure};

use crate::guest::{Disk, Guest, apply_ends, program, with_map};

/// Rows of `integrity`, with the keys that matter for where it puts data and tags.
const INTEGRITY: &[&str] = &[
    "mode = 'journal', internal_hash = 'crc32c'",
    "mode = 'journal', internal_hash = 'crc32c', fix_padding = true",
    "mode = 'bitmap', internal_hash = 'sha256', block_size = 4096",
    "mode = 'direct', internal_hash = 'crc32c', block_size = 1024, interleave_sectors = 1000, reserved = 24",
    "mode = 'direct', tag_size = 7, interleave_sectors = 8, fix_padding = true",
    "mode = 'journal', tag_size = 255, journal_sectors = 1, reserved = 8",
    "mode = 'journal', internal_hash = { algorithm = 'hmac(sha256)', key = { hex = '00112233' } }, journal_sectors = 2000, journal_mac = { algorithm = 'hmac(sha256)', key = { hex = '00112233' } }, fix_hmac = true",
];

/// Returns the length of a device of `integrity`, and how much the kernel counts that there is room for.
fn lengths(name: &str) -> Result<(u64, u64)> {
    let status = program("dmsetup", &["status", name])?;
    let words: Vec<&str> = status.split_whitespace().collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse().ok()).with_context(|| status.clone());
    Ok((number(1)?, number(4)?))
}

/// Ensures that a device of `integrity` is as long as there is room for, and returns that.
fn full(name: &str) -> Result<u64> {
    let (length, provided) = lengths(name)?;
    ensure!(length == provided, "{length} of {provided} sectors");
    Ok(length)
}

fn stack(sectors: u64, row: &str) -> String {
    format!(
        "[mappings.o]\ntargets = [{{ type = 'linear', length = {sectors}, device = '/dev/ram0' }}]\n[mappings.s]\ntargets = [{{ type = 'integrity', device = '@o', {row} }}]"
    )
}

const NOTHING: &str = "[policy]\nprune = true\n[mappings]";

fn with_length(row: &str, sectors: u64) -> String {
    stack(100_000, &format!("{row}, length = {sectors}"))
}

/// Ensures that one block more than there is room for is a conflict, with both numbers.
fn too_long(guest: &Guest, row: &str, there: u64) -> Result<()> {
    let ran = guest.refused(&with_length(row, there + 8), &["--allow", "remap,format"], 1)?;
    let said = format!("{}{}", ran.stdout, ran.stderr);
    ensure!(said.contains(&format!("has {there};")), "{row}: {said}");
    Ok(())
}

/// The kernel counts at each load how much there is room for.
pub fn integrity_grows_with_what_is_below(guest: &Guest) -> Result<()> {
    guest.needs("integrity")?;
    for (index, row) in INTEGRITY.iter().enumerate() {
        guest.blank()?;
        let is_checked = row.contains("internal_hash");
        let told = |sectors: u64| format!("{row}, {sectors} sectors");
        guest.apply(&stack(30_001, row), &["--allow", "format"]).with_context(|| told(30_001))?;
        let small = full("s").with_context(|| told(30_001))?;
        Disk::mapping("s")?.fill(0, 64, 0x5a)?;
        // Live: both grow in one apply, and nothing that was there is lost.
        let plan = with_map("plan", &stack(66_048, row), &[])?;
        ensure!(plan.stdout.contains("~ reload  s"), "{}", plan.stdout);
        guest.apply(&stack(66_048, row), &[]).with_context(|| told(66_048))?;
        let grown = full("s").with_context(|| told(66_048))?;
        ensure!(grown > small, "{}", told(66_048));
        ensure!(Disk::mapping("s")?.read(0, 64)?.iter().all(|byte| *byte == 0x5a), "{row}: data is lost");
        ensure!(
            !is_checked || Disk::mapping("s")?.read(grown - 8, 8).is_err() || row.contains("bitmap"),
            "{row}"
        );
        // The layouts differ in the counts alone: the rest is the same for all.
        if index % 3 > 0 {
            apply_ends(NOTHING, &[], 0)?;
            continue;
        }
        // By hand: the plan sees it.
        let table = "0 100000 linear /dev/ram0 0";
        program("dmsetup", &["suspend", "s"])?;
        program("dmsetup", &["reload", "o", "--table", table])?;
        program("dmsetup", &["resume", "o"])?;
        program("dmsetup", &["resume", "s"])?;
        guest.apply(&stack(100_000, row), &[]).with_context(|| told(100_000))?;
        let by_hand = full("s").with_context(|| told(100_000))?;
        ensure!(by_hand > grown, "{}", told(100_000));
        // What is longer than fits is told, live and not.
        too_long(guest, row, by_hand).context("live")?;
        // Down while it grows.
        let down = |sectors| format!("{}\nstate = 'absent'", stack(sectors, row));
        apply_ends(&down(100_000), &[], 0)?;
        too_long(guest, row, by_hand).context("down")?;
        apply_ends(&with_length(row, by_hand), &[], 0)?;
        apply_ends(&down(131_072), &[], 0)?;
        guest.apply(&stack(131_072, row), &[]).with_context(|| told(131_072))?;
        ensure!(full("s").with_context(|| told(131_072))? > by_hand, "{row}");
        ensure!(Disk::mapping("s")?.read(0, 64)?.iter().all(|byte| *byte == 0x5a), "{row}: data is lost");
        // Shorter, on request.
        apply_ends(&stack(66_048, row), &[], 3)?;
        guest.apply(&stack(66_048, row), &["--allow", "remap"])?;
        ensure!(full("s")? == grown, "{row}: shrunk");
        apply_ends(NOTHING, &[], 0)?;
        // On a blank device.
        guest.blank()?;
        guest.apply(&stack(100_000, row), &["--allow", "format"])?;
        let fresh = full("s")?;
        apply_ends(NOTHING, &[], 0)?;
        guest.blank()?;
        too_long(guest, row, fresh).context("blank")?;
        guest
            .apply(&with_length(row, fresh), &["--allow", "format"])
            .with_context(|| format!("blank: {row}"))?;
        ensure!(full("s")? == fresh, "blank: {row}");
        apply_ends(NOTHING, &[], 0)?;
    }
    Ok(())
}

/// In recovery mode the kernel writes no superblock, and the layout that it takes for a blank disk is not the one with which
/// another mode formats it.
pub fn integrity_is_formatted_after_the_recovery_of_a_blank_disk(guest: &Guest) -> Result<()> {
    guest.needs("integrity")?;
    guest.blank()?;
    let map = |mode: &str| {
        format!(
            "[mappings.s]\ntargets = [{{ type = 'integrity', device = '/dev/ram0', mode = '{mode}', internal_hash = 'crc32c', length = 8000 }}]"
        )
    };
    let head = || -> Result<bool> { Ok(guest.disks[0].read(0, 8)?.iter().all(|byte| *byte == 0)) };
    guest.apply(&map("recovery"), &[])?;
    ensure!(head()?, "recovery mode wrote to the disk");
    let plan = with_map("plan", &map("journal"), &[])?.stdout;
    ensure!(plan.contains("    moves 0..") && !plan.contains("keeps"), "{plan}");
    guest.refused(&map("journal"), &["--allow", "remap"], 3)?;
    ensure!(head()?, "a refused plan wrote to the disk");
    guest.apply(&map("journal"), &["--allow", "format"])?;
    ensure!(!head()?, "no superblock");
    // With a superblock a change of the mode is one of the mode alone, both ways.
    guest.apply(&map("recovery"), &[])?;
    guest.apply(&map("journal"), &[])?;
    apply_ends(NOTHING, &[], 0)?;
    Ok(())
}

/// Linux 6.1 crashes in recovery mode over a superblock that tells of a dirty bitmap, and over any content with that flag. A live
/// table in bitmap mode makes it clean before another one takes over.
pub fn integrity_is_not_recovered_over_a_dirty_bitmap(guest: &Guest) -> Result<()> {
    guest.needs("integrity")?;
    guest.blank()?;
    let map = |mode: &str| {
        format!(
            "[mappings.s]\ntargets = [{{ type = 'integrity', device = '/dev/ram0', mode = '{mode}', internal_hash = 'crc32c', length = 8000 }}]"
        )
    };
    guest.apply(&map("bitmap"), &["--allow", "format"])?;
    let dirty = guest.disks[0].read(0, 8)?;
    ensure!(dirty[24] == 4, "the bitmap is not dirty: {}", dirty[24]);
    guest.apply(&map("recovery"), &[])?;
    apply_ends(NOTHING, &[], 0)?;
    // As a crash leaves it.
    guest.disks[0].write(0, &dirty)?;
    guest.refused(&map("recovery"), &[], 1)?;
    guest.disks[0].write(0, &[b'.'; 4096])?;
    guest.refused(&map("recovery"), &[], 1)?;
    guest.disks[0].write(0, &[b'A'; 4096])?;
    guest.apply(&map("recovery"), &[])?;
    apply_ends(NOTHING, &[], 0)?;
    guest.disks[0].write(0, &dirty)?;
    guest.apply(&map("bitmap"), &[])?;
    apply_ends(NOTHING, &[], 0)?;
    Ok(())
}

/// The tags of all data must be on `meta_device`, however long the table is.
pub fn integrity_with_a_device_for_the_tags_that_is_too_small(guest: &Guest) -> Result<()> {
    guest.needs("integrity")?;
    let map = |data: u64, tags: u64, more: &str| {
        format!(
            "[mappings.o]\ntargets = [{{ type = 'linear', length = {data}, device = '/dev/ram0' }}]\n[mappings.m]\ntargets = [{{ type = 'linear', length = {tags}, device = '/dev/ram1' }}]\n[mappings.s]\ntargets = [{{ type = 'integrity', device = '@o', meta_device = '@m', mode = 'direct', internal_hash = 'crc32c'{more} }}]"
        )
    };
    for more in ["", ", block_size = 4096", ", buffer_sectors = 1", ", journal_sectors = 40"] {
        guest.blank()?;
        let conflict = |data: u64, tags: u64| -> Result<Option<u64>> {
            let plan = with_map("plan", &map(data, tags, more), &[])?;
            let told = plan.stdout.split("the journal and the tags of all data counts ").nth(1);
            Ok(told.and_then(|told| told.split(' ').next()?.parse().ok()))
        };
        // As small as it says, and not smaller.
        let least = conflict(65_536, 16)?.with_context(|| format!("{more}: no conflict"))?;
        ensure!(conflict(65_536, least - 1)? == Some(least), "{more}: {least}");
        apply_ends(
            &map(65_536, least - 1, more).replace("[mappings.s]", "[mappings.s]\nstate = 'absent'"),
            &[],
            0,
        )?;
        let refused = "0 8 integrity /dev/mapper/o 0 - D 2 meta_device:/dev/mapper/m internal_hash:crc32c";
        if more.is_empty() {
            program("dmsetup", &["create", "t", "--notable"])?;
            ensure!(program("dmsetup", &["load", "t", "--table", refused]).is_err());
            program("dmsetup", &["remove", "t"])?;
        }
        guest
            .apply(&map(65_536, least, more), &["--allow", "format"])
            .with_context(|| format!("{more}: {least}"))?;
        ensure!(full("s")? == 65_536, "{more}");
        // The data grows, and needs more tags.
        let more_needed = conflict(131_072, least)?.with_context(|| format!("{more}: grows, no conflict"))?;
        guest
            .apply(&map(131_072, more_needed, more), &[])
            .with_context(|| format!("{more}: {more_needed}"))?;
        ensure!(full("s")? == 131_072, "{more}");
        apply_ends(NOTHING, &[], 0)?;
    }
    Ok(())
}

/// Makes a stack of `integrity` with tags on `m`, behind `reserved` sectors.
fn behind(reserved: u64, data: u64, tags: u64, more: &str) -> String {
    format!(
        "[mappings.o]\ntargets = [{{ type = 'linear', length = {data}, device = '/dev/ram0' }}]\n[mappings.m]\ntargets = [{{ type = 'linear', length = {tags}, device = '/dev/ram1' }}]\n[mappings.s]\ntargets = [{{ type = 'integrity', device = '@o', meta_device = '@m', reserved = {reserved}, internal_hash = 'crc32c'{more} }}]"
    )
}

/// Returns how many sectors `meta_device` must have, with the reserved ones, as the conflict of a plan tells it.
fn told_in_all(map: &str) -> Result<Option<u64>> {
    let plan = with_map("plan", map, &[])?;
    let told = plan.stdout.split_once(" in all, ").and_then(|(before, _)| before.rsplit(' ').next());
    Ok(told.and_then(|told| told.parse().ok()))
}

/// The kernel does not count the reserved sectors of `meta_device`, takes the table, and fails every access to tags behind
/// the end of that device.
pub fn integrity_with_reserved_sectors_before_the_tags(guest: &Guest) -> Result<()> {
    guest.needs("integrity")?;
    for more in ["", ", block_size = 4096", ", journal_sectors = 4000, buffer_sectors = 1, mode = 'direct'"] {
        for reserved in [8, 1100] {
            guest.blank()?;
            Disk::open("/dev/ram1")?.fill(0, 8192, 0)?;
            let map = |data: u64, tags: u64| behind(reserved, data, tags, more);
            let told = || format!("{more}: {reserved} reserved");
            let least = told_in_all(&map(16_384, 192))?.with_context(told)?;
            ensure!(told_in_all(&map(16_384, least - 1))? == Some(least), "{}: {least}", told());
            guest.apply(&map(16_384, least), &["--allow", "format"]).with_context(told)?;
            Disk::mapping("s")?.fill(16_320, 64, 0x5a).with_context(told)?;
            apply_ends(NOTHING, &[], 0)?;
            apply_ends(&map(16_384, least), &[], 0).with_context(told)?;
            let disk = Disk::mapping("s")?;
            ensure!(disk.read(16_376, 8)?.iter().all(|byte| *byte == 0x5a), "{}: data is lost", told());
            drop(disk);
            // The data grows, and needs tags behind the end, but for large blocks, whose tags are in the same buffer.
            let needed = told_in_all(&map(122_880, least))?;
            ensure!(
                needed.is_some_and(|needed| needed > least) || more.contains("block"),
                "grows: {}",
                told()
            );
            if needed.is_some() {
                guest.refused(&map(122_880, least), &["--allow", "remap,format"], 1).with_context(told)?;
            }
            guest.apply(&map(122_880, needed.unwrap_or(least)), &[]).with_context(told)?;
            Disk::mapping("s")?.fill(122_816, 64, 0x5a).with_context(told)?;
            apply_ends(NOTHING, &[], 0)?;
        }
    }
    Ok(())
}

/// A device without room for data tells the least size, which is enough.
pub fn integrity_on_a_device_without_room(guest: &Guest) -> Result<()> {
    guest.needs("integrity")?;
    for row in INTEGRITY {
        guest.blank()?;
        let least = |sectors: u64| -> Result<Option<u64>> {
            let plan = with_map("plan", &stack(sectors, row), &[])?;
            let told = plan.stdout.split("leave room for data from ").nth(1);
            Ok(told.and_then(|told| told.split(' ').next()?.parse().ok()))
        };
        let told = least(64)?.with_context(|| format!("{row}: no conflict"))?;
        ensure!(least(told - 1)? == Some(told), "{row}: {told}");
        guest.apply(&stack(told, row), &["--allow", "format"]).with_context(|| format!("{row}: {told}"))?;
        ensure!(full("s")? >= 8, "{row}");
        apply_ends(NOTHING, &[], 0)?;
    }
    Ok(())
}

/// The kernel resumes no cache whose fast device has more blocks than at its load, not even with the same table.
pub fn a_cache_whose_fast_device_grew_is_loaded_again(guest: &Guest) -> Result<()> {
    guest.needs("cache")?;
    guest.blank()?;
    let map = |state: &str, more: &str| {
        format!(
            "[mappings.c]\nstate = '{state}'\n{more}targets = [{{ type = 'cache', length = 16384, metadata = '/dev/ram1', \
             cache = '/dev/mapper/fast', origin = '/dev/ram2', block_size = 64, mode = 'writethrough' }}]\n"
        )
    };
    let grow = |sectors: u64| -> Result<()> {
        program("dmsetup", &["reload", "fast", "--table", &format!("0 {sectors} linear 1:0 0")])?;
        program("dmsetup", &["resume", "fast"])?;
        Ok(())
    };
    program(
        "dmsetup",
        &["create", "fast", "--noudevsync", "--noudevrules", "--table", "0 1024 linear 1:0 0"],
    )?;
    program("dmsetup", &["mknodes"])?;
    guest.apply(&map("active", ""), &["--allow", "format"])?;
    // Each of these would have suspended it, and failed to resume it.
    for (at, (state, more)) in [("active", ""), ("suspended", ""), ("active", ""), ("active", "name = 'd'\n")]
        .into_iter()
        .enumerate()
    {
        let sectors = 2048 * (at as u64 + 1);
        grow(sectors)?;
        let plan = with_map("plan", &map(state, more), &[])?;
        ensure!(plan.stdout.contains("until its table is loaded again"), "{}", plan.stdout);
        guest.apply(&map(state, more), &[])?;
        let name = if more.is_empty() { "c" } else { "d" };
        let status = program("dmsetup", &["status", name])?;
        ensure!(status.contains(&format!("/{} ", sectors / 64)), "{status}");
        ensure!(guest.state(name)?.0.suspended == (state == "suspended"));
    }
    // Stranded by hand: the same map puts it right.
    grow(16384)?;
    program("dmsetup", &["suspend", "d"])?;
    ensure!(program("dmsetup", &["resume", "d"]).is_err(), "resumed with the old table");
    guest.apply(&map("active", "name = 'd'\n"), &[])?;
    ensure!(!guest.state("d")?.0.suspended);
    apply_ends(NOTHING, &["--allow", "loss,remap"], 0)?;
    program("dmsetup", &["remove", "fast"])?;
    Ok(())
}
