//! Metadata on disk: what contradicts it is refused before, what is not seen yet is looked at in time, and layers use
//! what grows below them.

use anyhow::{Context, Result, ensure};

use crate::guest::{Disk, Guest, apply_ends, program, with_map};

/// Returns what an apply that ends with 1 says, and ensures that no device was changed.
fn conflicts(guest: &Guest, map: &str, words: &[&str]) -> Result<()> {
    let ran = guest.refused(map, &["--allow", "format,remap,loss"], 1)?;
    let said = format!("{}{}", ran.stdout, ran.stderr);
    for word in words {
        ensure!(said.contains(word), "`{word}` is not in: {said}");
    }
    Ok(())
}

/// Applies a map and ensures that nothing is left to do. The kernel may count events meanwhile: an array is made
/// consistent.
fn applied(map: &str, options: &[&str]) -> Result<()> {
    apply_ends(map, options, 0)?;
    let plan = with_map("plan", map, &[])?;
    ensure!(plan.stdout.contains("Nothing to do."), "{plan:?}");
    Ok(())
}

fn status(name: &str) -> Result<String> {
    program("dmsetup", &["status", name])
}

const NOTHING: &str = "[policy]\nprune = true\n[mappings]";

const POOL: &str = "[mappings.pool]\ntargets = [{ type = 'thin-pool', metadata = '/dev/ram0', data = '/dev/ram1', block_size = 128, length = LENGTH }]";

pub fn a_pool_does_not_shrink(guest: &Guest) -> Result<()> {
    guest.needs("thin-pool")?;
    let pool = |blocks: u64| POOL.replace("LENGTH", &(blocks * 128).to_string());
    guest.apply(&pool(64), &["--allow", "format"])?;
    // Live, and then taken down.
    conflicts(guest, &pool(32), &["counts 64 blocks", "has 32"])?;
    conflicts(guest, &pool(64).replace("block_size = 128", "block_size = 256"), &["block_size 128", "256"])?;
    guest.apply("[mappings.pool]\nstate = 'absent'", &[])?;
    conflicts(guest, &pool(32), &["counts 64 blocks", "has 32"])?;
    conflicts(guest, &pool(64).replace("block_size = 128", "block_size = 256"), &["block_size 128", "256"])?;
    guest.apply(&pool(96), &[])?;
    guest.apply(NOTHING, &[])
}

/// A type, its row, and for each change of the row what the refusal tells.
type Fixed<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str, &'a str)]);

const FIXED: &[Fixed<'_>] = &[
    (
        "snapshot",
        "length = 8192, origin = '/dev/ram0', cow = '/dev/ram1', persistent = true, chunk = 8",
        &[("chunk = 8", "chunk = 16", "chunk 8")],
    ),
    (
        "integrity",
        "length = 8, device = '/dev/ram0', mode = 'journal', internal_hash = 'crc32c'",
        &[
            ("internal_hash = 'crc32c'", "internal_hash = 'sha256'", "tag_size 4"),
            ("mode = 'journal'", "mode = 'journal', block_size = 4096", "block_size 512"),
            (
                "mode = 'journal'",
                "mode = 'journal', journal_mac = { algorithm = 'hmac(sha256)', key = { hex = '00112233' } }",
                "journal_mac unset",
            ),
        ],
    ),
    (
        "cache",
        "length = 8192, metadata = '/dev/ram0', cache = '/dev/ram1', origin = '/dev/ram2', block_size = 64, mode = 'writethrough'",
        &[("block_size = 64", "block_size = 128", "block_size 64")],
    ),
    (
        "era",
        "length = 8192, metadata = '/dev/ram0', origin = '/dev/ram1', block_size = 128",
        &[("block_size = 128", "block_size = 64", "block_size 128")],
    ),
    (
        "clone",
        "length = 8192, metadata = '/dev/ram0', destination = '/dev/ram1', source = '/dev/ram2', region_size = 8, no_hydration = true",
        &[("region_size = 8", "region_size = 16", "region_size 8"), ("8192", "4096", "length 8192")],
    ),
    (
        "writecache",
        "length = 8192, mode = 'ssd', origin = '/dev/ram0', cache = '/dev/ram1', block_size = 4096",
        &[("block_size = 4096", "block_size = 512", "block_size 4096")],
    ),
    (
        "raid",
        "length = 8192, level = 'raid5_ls', chunk = 128, sync = 'nosync', devices = [{ metadata = '/dev/ram0', data = '/dev/ram1' }, { metadata = '/dev/ram2', data = '/dev/ram3' }, { metadata = '/dev/ram4', data = '/dev/ram5' }]",
        &[("chunk = 128", "chunk = 64", "chunk 128")],
    ),
];

pub fn what_was_fixed_by_formatting_is_told_before(guest: &Guest) -> Result<()> {
    for (kind, row, changes) in FIXED {
        if !guest.has(kind)? {
            continue;
        }
        guest.blank()?;
        let map = |row: &str| format!("[mappings.test]\ntargets = [{{ type = '{kind}', {row} }}]");
        guest.apply(&map(row), &["--allow", "format"]).context(*kind)?;
        apply_ends("[mappings.test]\nstate = 'absent'", &["--allow", "loss"], 0)?;
        for (was, is, told) in *changes {
            conflicts(guest, &map(&row.replace(was, is)), &[told])
                .with_context(|| format!("{kind}: {is}"))?;
        }
        guest.apply(&map(row), &[]).with_context(|| format!("{kind}: as it was"))?;
        apply_ends("[mappings.test]\nstate = 'absent'", &["--allow", "loss"], 0)?;
    }
    Ok(())
}

/// Rows under the metadata of a pool.
const LAYERS: &[(&str, &str)] = &[
    ("linear", "length = 8192, device = '/dev/ram0'"),
    ("striped", "length = 8192, chunk = 8, stripes = [{ device = '/dev/ram0' }, { device = '/dev/ram2' }]"),
    (
        "raid",
        "length = 8192, level = 'raid1', sync = 'nosync', devices = [{ data = '/dev/ram0' }, { data = '/dev/ram2' }]",
    ),
    (
        "mirror",
        "length = 8192, log = { type = 'core', region_size = 1024, sync = 'nosync' }, legs = [{ device = '/dev/ram0' }, { device = '/dev/ram2' }]",
    ),
    (
        "crypt",
        "length = 8192, device = '/dev/ram0', cipher = 'aes-cbc-essiv:sha256', key = { hex = '00112233445566778899aabbccddeeff' }",
    ),
];

pub fn a_stack_with_metadata_on_a_mapping_comes_up_unasked(guest: &Guest) -> Result<()> {
    guest.needs("thin-pool")?;
    for (kind, row) in LAYERS {
        if !guest.has(kind)? {
            continue;
        }
        guest.blank()?;
        let below = format!("[mappings.md]\ntargets = [{{ type = '{kind}', {row} }}]\n");
        let map = format!(
            "{below}[mappings.pool]\ntargets = [{{ type = 'thin-pool', length = 8192, metadata = '@md', data = '/dev/ram1', block_size = 128 }}]"
        );
        guest.apply(&below, &[]).context(*kind)?;
        Disk::mapping("md")?.fill(0, 8192, 0)?;
        guest.apply(NOTHING, &[])?;
        // Blank, whether or not that can be seen before.
        let ran = guest.refused(&map, &[], 3)?;
        ensure!(ran.stderr.contains("the kernel formats a new, empty pool"), "{kind}: {}", ran.stderr);
        ensure!(guest.states()?.is_empty(), "{kind}: something is left");
        guest.apply(&map, &["--allow", "format"]).context(*kind)?;
        guest.apply(NOTHING, &[])?;
        guest.apply(&map, &[]).with_context(|| format!("{kind}: at the next boot"))?;
        guest.apply(NOTHING, &[])?;
    }
    Ok(())
}

pub fn a_degraded_array_comes_up_unasked(guest: &Guest) -> Result<()> {
    guest.needs("raid")?;
    let map = |gone: bool| {
        let leg = |name: &str, disk: u32, gone: bool| {
            let row = if gone {
                "type = 'error', length = 8192".to_string()
            } else {
                format!("type = 'linear', length = 8192, device = '/dev/ram{disk}'")
            };
            format!("[mappings.{name}]\ntargets = [{{ {row} }}]\n")
        };
        format!(
            "{}{}{}{}[mappings.arr]\ntargets = [{{ type = 'raid', length = 8192, level = 'raid1', region_size = 1024, devices = [{{ metadata = '@m0', data = '@d0' }}, {{ metadata = '@m1', data = '@d1' }}] }}]",
            leg("m0", 0, gone),
            leg("d0", 1, gone),
            leg("m1", 2, false),
            leg("d1", 3, false),
        )
    };
    applied(&map(false), &["--allow", "format"])?;
    apply_ends(NOTHING, &[], 0)?;
    applied(&map(true), &[])?;
    ensure!(status("arr")?.contains("raid1 2 DA"), "{}", status("arr")?);
    guest.apply(NOTHING, &[])
}

/// Every target that looks at its devices when it is loaded grows with them.
pub fn what_looks_at_sizes_grows_with_what_is_below(guest: &Guest) -> Result<()> {
    let pair = |n: u32| format!("{{ metadata = '@m{n}', data = '@d{n}' }}");
    let array = |level: &str, count: u32, times: u64| {
        let devices: Vec<String> = (0..count).map(pair).collect();
        (
            format!(
                "type = 'raid', length = LENGTH, level = '{level}', chunk = {}, region_size = 1024, devices = [{}]",
                if level == "raid1" { 0 } else { 128 },
                devices.join(", ")
            ),
            count,
            times,
        )
    };
    let arrays = [
        array("raid1", 2, 1),
        array("raid4", 3, 2),
        array("raid5_ls", 3, 2),
        array("raid6_zr", 5, 3),
        array("raid10", 2, 1),
        (
            "type = 'cache', length = LENGTH, metadata = '@m0', cache = '/dev/ram7', origin = '@d0', block_size = 64, mode = 'writethrough'".to_string(),
            1,
            1,
        ),
    ];
    for (row, count, times) in arrays {
        guest.blank()?;
        let map = |each: u64| {
            let pair = |n: u32| {
                format!(
                    "[mappings.m{n}]\ntargets = [{{ type = 'linear', length = 2048, device = '/dev/ram{n}' }}]\n[mappings.d{n}]\ntargets = [{{ type = 'linear', length = {each}, device = '/dev/ram{n}', offset = 2048 }}]\n"
                )
            };
            let row = row.replace("LENGTH", &(each * times).to_string());
            (0..count).map(pair).collect::<String>() + &format!("[mappings.arr]\ntargets = [{{ {row} }}]")
        };
        applied(&map(8192), &["--allow", "format"]).context(row.clone())?;
        applied(&map(12288), &[]).with_context(|| format!("grown: {row}"))?;
        ensure!(guest.state("arr")?.1.starts_with(&format!("0 {} ", 12288 * times)));
        apply_ends(NOTHING, &["--allow", "loss"], 0)?;
    }
    Ok(())
}

pub fn a_pool_and_a_cache_use_what_grew_below(guest: &Guest) -> Result<()> {
    guest.needs("thin-pool")?;
    let map = |sectors: u64| {
        format!(
            "[mappings.md]\ntargets = [{{ type = 'linear', length = {sectors}, device = '/dev/ram0' }}]\n[mappings.pool]\ntargets = [{{ type = 'thin-pool', length = 8192, metadata = '@md', data = '/dev/ram1', block_size = 128 }}]"
        )
    };
    guest.apply(&map(8192), &["--allow", "format"])?;
    ensure!(status("pool")?.contains("/1024 "), "{}", status("pool")?);
    guest.apply(&map(16384), &[])?;
    ensure!(status("pool")?.contains("/2048 "), "{}", status("pool")?);
    let map = |sectors: u64| {
        format!(
            "[mappings.fast]\ntargets = [{{ type = 'linear', length = {sectors}, device = '/dev/ram3' }}]\n[mappings.cached]\ntargets = [{{ type = 'cache', length = 8192, metadata = '/dev/ram2', cache = '@fast', origin = '/dev/ram4', block_size = 64, mode = 'writethrough' }}]"
        )
    };
    guest.apply(NOTHING, &[])?;
    guest.apply(&map(8192), &["--allow", "format"])?;
    ensure!(status("cached")?.contains("/128 "), "{}", status("cached")?);
    guest.apply(&map(16384), &[])?;
    ensure!(status("cached")?.contains("/256 "), "{}", status("cached")?);
    guest.apply(NOTHING, &["--allow", "loss"])
}

/// What formats a blank device, with the device to format as FORMATTED.
const FORMATTING: &[(&str, &str)] = &[
    ("snapshot", "origin = '/dev/ram1', cow = 'FORMATTED', persistent = true, chunk = 8, length = 2048"),
    ("era", "metadata = 'FORMATTED', origin = '/dev/ram1', block_size = 128, length = 2048"),
    (
        "cache",
        "metadata = 'FORMATTED', cache = '/dev/ram2', origin = '/dev/ram1', block_size = 64, mode = 'writethrough', length = 2048",
    ),
    (
        "clone",
        "metadata = 'FORMATTED', destination = '/dev/ram1', source = '/dev/ram2', region_size = 8, length = 2048",
    ),
    (
        "writecache",
        "mode = 'ssd', origin = '/dev/ram1', cache = 'FORMATTED', block_size = 4096, length = 2048",
    ),
    ("integrity", "device = 'FORMATTED', mode = 'journal', internal_hash = 'crc32c', length = 2048"),
    (
        "raid",
        "level = 'raid1', region_size = 1024, devices = [{ metadata = 'FORMATTED', data = '/dev/ram1' }, { metadata = '/dev/ram2', data = '/dev/ram3' }], length = 2048",
    ),
    ("log-writes", "device = '/dev/ram1', log_device = 'FORMATTED', length = 2048"),
];

pub fn what_is_read_only_is_not_formatted(guest: &Guest) -> Result<()> {
    for (kind, row) in FORMATTING {
        if !guest.has(kind)? {
            continue;
        }
        guest.blank()?;
        let map = |device: &str, more: &str| {
            let low = "[mappings.low]\nreadonly = true\ntargets = [{ type = 'linear', length = 32768, device = '/dev/ram0' }]\n";
            let row = row.replace("FORMATTED", device);
            format!("{low}[mappings.test]\n{more}targets = [{{ type = '{kind}', {row} }}]")
        };
        for more in ["", "readonly = true\n"] {
            conflicts(guest, &map("@low", more), &["read-only", &format!("{kind} would format it")])
                .with_context(|| format!("{kind}: a mapping"))?;
        }
        program("blockdev", &["--setro", "/dev/ram4"])?;
        let refused =
            conflicts(guest, &map("/dev/ram4", "readonly = true\n"), &["read-only", "would format it"]);
        program("blockdev", &["--setrw", "/dev/ram4"])?;
        refused.with_context(|| format!("{kind}: a disk"))?;
    }
    Ok(())
}

/// The kernel can't write to a read-only loop device, but reads what is there.
pub fn a_read_only_snapshot_on_a_read_only_device(guest: &Guest) -> Result<()> {
    guest.needs("snapshot")?;
    let scratch = std::env::var("TMPDIR").unwrap_or_else(|_| "/tmp".to_string());
    let file = format!("{scratch}/cow.img");
    std::fs::File::create(&file)?.set_len(8 << 20)?;
    let map = |more: &str| {
        format!(
            "[mappings.test]\n{more}targets = [{{ type = 'snapshot', length = 2048, origin = '/dev/ram1', cow = '/dev/loop0', persistent = true, chunk = 8 }}]"
        )
    };
    let attached = |option: &[&str]| -> Result<()> {
        program("losetup", &[option, &["/dev/loop0", &file]].concat()).map(drop)
    };
    let outcome = (|| {
        attached(&["-r"])?;
        conflicts(
            guest,
            &map("readonly = true\n"),
            &["/dev/loop0", "read-only", "snapshot would format it"],
        )?;
        program("losetup", &["-d", "/dev/loop0"])?;
        attached(&[])?;
        guest.apply(&map(""), &["--allow", "format"])?;
        apply_ends(NOTHING, &[], 0)?;
        program("losetup", &["-d", "/dev/loop0"])?;
        attached(&["-r"])?;
        guest.apply(&map("readonly = true\n"), &[])?;
        apply_ends(NOTHING, &[], 0).map(drop)
    })();
    program("losetup", &["-d", "/dev/loop0"])?;
    outcome
}
