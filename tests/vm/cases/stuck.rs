//! Calls that would never end, because a device below is suspended and stays so: told before, with a way out that works.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dmctl::kernel::{ChangeKernel, Removal, Suspend};

use crate::guest::{Background, Guest, apply_ends, dmctl, named, program, with_map, write_map};

/// The time after which an apply hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Rows over `@t`, which is a linear device over the suspended `p`: the kernel reads it in the load or in the resume.
const READ: [&str; 9] = [
    "type = 'cache', length = 8192, metadata = '@t', cache = '/dev/ram1', origin = '/dev/ram2', block_size = 64, mode = 'writethrough'",
    "type = 'thin-pool', length = 8192, metadata = '@t', data = '/dev/ram1', block_size = 128",
    "type = 'era', length = 8192, metadata = '@t', origin = '/dev/ram1', block_size = 128",
    "type = 'clone', length = 8192, metadata = '@t', destination = '/dev/ram1', source = '/dev/ram2', region_size = 8, no_hydration = true",
    "type = 'writecache', length = 8192, mode = 'ssd', origin = '/dev/ram1', cache = '@t', block_size = 4096",
    "type = 'integrity', length = 8192, mode = 'journal', device = '@t', internal_hash = 'crc32c'",
    "type = 'snapshot', length = 8192, origin = '/dev/ram1', cow = '@t', persistent = true, chunk = 8",
    "type = 'raid', length = 8192, level = 'raid1', devices = [{ metadata = '@t', data = '/dev/ram1' }, { metadata = '/dev/ram3', data = '/dev/ram2' }]",
    "type = 'mirror', length = 8192, log = { type = 'disk', device = '@t', region_size = 1024 }, legs = [{ device = '/dev/ram1' }, { device = '/dev/ram2' }]",
];

/// Rows over it that are loaded at once.
const NOT_READ: [&str; 5] = [
    "type = 'cache', length = 8192, metadata = '/dev/ram1', cache = '/dev/ram2', origin = '@t', block_size = 64, mode = 'writethrough'",
    "type = 'thin-pool', length = 8192, metadata = '/dev/ram1', data = '@t', block_size = 128",
    "type = 'snapshot', length = 8192, origin = '/dev/ram1', cow = '@t', persistent = false, chunk = 8",
    "type = 'log-writes', length = 8192, device = '/dev/ram1', log_device = '@t'",
    "type = 'raid', length = 8192, level = 'raid1', devices = [{ data = '@t' }, { data = '/dev/ram2' }], sync = 'nosync'",
];

/// Rows over it whose targets copy by themselves for longer than the case takes: the first copy to or from `@t` never ends.
const COPYING: [(&str, &str); 4] = [
    (
        "mirror",
        "type = 'mirror', length = 65536, log = { type = 'core', region_size = 128 }, legs = [{ device = '/dev/ram1' }, { device = '@t' }]",
    ),
    (
        "raid",
        "type = 'raid', length = 16384, level = 'raid1', devices = [{ metadata = '/dev/ram2', data = '/dev/ram1' }, { metadata = '/dev/ram3', data = '@t' }]",
    ),
    (
        "clone",
        "type = 'clone', length = 32768, metadata = '/dev/ram1', destination = '/dev/ram2', source = '@t', region_size = 8",
    ),
    (
        "integrity",
        "type = 'integrity', length = 16384, mode = 'journal', device = '@t', meta_device = '/dev/ram1', internal_hash = 'crc32c', recalculate = true",
    ),
];

fn below(state: &str) -> String {
    format!(
        "[mappings.p]\nstate = '{state}'\ntargets = [{{ type = 'linear', length = 65536, device = '/dev/ram0' }}]\n\
         [mappings.t]\ntargets = [{{ type = 'linear', length = 65536, device = '@p' }}]\n"
    )
}

fn over(row: &str, state: &str) -> String {
    format!("{}[mappings.c]\nstate = '{state}'\ntargets = [{{ {row} }}]\n", below("suspended"))
}

/// Applies within a time.
fn applies(map: &str) -> Result<()> {
    let ran = Background::dmctl(&["apply", write_map(map)?, "--allow", "format,remap,loss"])?
        .end_within(PATIENCE)?;
    ensure!(ran.status == Some(0), "{ran:?}");
    Ok(())
}

/// A plan of this map must have a conflict with these words, and an apply must change nothing.
fn in_conflict(guest: &Guest, map: &str, words: &str) -> Result<()> {
    let plan = with_map("plan", map, &[])?;
    ensure!(plan.status == Some(1) && plan.stdout.contains(words), "`{words}` is missing: {plan:?}");
    guest.refused(map, &["--allow", "remap,format,loss"], 1)?;
    Ok(())
}

/// Follows the way out.
fn resumed(name: &str) -> Result<()> {
    let ran = dmctl(&["resume", name])?;
    ensure!(ran.status == Some(0), "{ran:?}");
    Ok(())
}

fn is_suspended(guest: &Guest, name: &str) -> Result<bool> {
    Ok(guest.state(name)?.0.suspended)
}

pub fn what_is_read_at_load_is_not_above_a_suspended_device(guest: &Guest) -> Result<()> {
    for row in READ {
        // Not every kernel is built with it.
        if row.contains("'clone'") && !guest.has("clone")? {
            continue;
        }
        guest.blank()?;
        applies(&below("suspended"))?;
        ensure!(is_suspended(guest, "p")?);
        in_conflict(guest, &over(row, "active"), "`p` below it is suspended").context(row)?;
        resumed("p")?;
        applies(&over(row, "active")).context(row)?;
        ensure!(is_suspended(guest, "p")?, "{row}");
        // Some write when they go.
        let down = over(row, "absent");
        if !row.contains("snapshot") {
            in_conflict(guest, &down, "`p` below it is suspended").context(row)?;
            resumed("p")?;
        }
        applies(&down).context(row)?;
        ensure!(is_suspended(guest, "p")?, "{row}");
        resumed("p")?;
        apply_ends("[policy]\nprune = true\n[mappings]", &["--allow", "loss,remap"], 0)?;
    }
    Ok(())
}

pub fn what_is_not_read_at_load_may_be(guest: &Guest) -> Result<()> {
    for row in NOT_READ {
        guest.blank()?;
        applies(&below("suspended"))?;
        applies(&over(row, "active")).context(row)?;
        ensure!(is_suspended(guest, "p")?, "{row}");
        resumed("p")?;
        apply_ends("[policy]\nprune = true\n[mappings]", &["--allow", "loss,remap"], 0)?;
    }
    Ok(())
}

pub fn a_suspended_device_of_another_is_told_whatever_is_between(guest: &Guest) -> Result<()> {
    guest.blank()?;
    let node = ["--noudevsync", "--noudevrules", "--table"];
    program(
        "dmsetup",
        &[&["create", "vg-lv", "-u", "LVM-abc"][..], &node, &["0 65536 linear 1:0 0"]].concat(),
    )?;
    let loop_device = program("losetup", &["-f", "--show", "/dev/mapper/vg-lv"])?;
    let loop_device = loop_device.trim();
    guest.kernel.suspend(&named("vg-lv"), Suspend { freeze: false, ..Suspend::default() })?;
    let map = format!("[mappings.c]\ntargets = [{{ {} }}]", READ[2].replace("@t", loop_device));
    in_conflict(guest, &map, "run `dmctl resume vg-lv --foreign` first")?;
    let ran = dmctl(&["resume", "vg-lv", "--foreign"])?;
    ensure!(ran.status == Some(0), "{ran:?}");
    applies(&map)?;
    apply_ends("mappings.c.state = 'absent'", &[], 0)?;
    program("losetup", &["-d", loop_device])?;
    guest.kernel.remove(&named("vg-lv"), Removal::Now)?;
    Ok(())
}

pub fn a_suspended_pool_takes_no_volume(guest: &Guest) -> Result<()> {
    guest.blank()?;
    let pool = |state: &str| {
        format!(
            "[mappings.pool]\nstate = '{state}'\ntargets = [{{ type = 'thin-pool', length = 8192, metadata = '/dev/ram0', \
             data = '/dev/ram1', block_size = 128 }}]\n"
        )
    };
    let volume =
        "[mappings.v]\ntargets = [{ type = 'thin', length = 2048, pool = '@pool', id = 1, create = true }]\n";
    applies(&pool("suspended"))?;
    let both = pool("suspended") + volume;
    in_conflict(guest, &both, "@pool (254:0) is suspended and stays so")?;
    resumed("pool")?;
    applies(&both)?;
    ensure!(is_suspended(guest, "pool")?);
    // By hand, and the map wants it active: it is resumed first.
    let both = pool("active") + volume + &volume.replace(".v]", ".w]").replace("id = 1", "id = 2");
    applies(&both)?;
    ensure!(!is_suspended(guest, "pool")?);
    apply_ends("[policy]\nprune = true\n[mappings]", &["--allow", "loss,remap"], 0)?;
    Ok(())
}

/// The verbs of one device are held to the same, and what they tell to run first works.
pub fn verbs_do_not_wait_above_a_suspended_device(guest: &Guest) -> Result<()> {
    guest.needs("thin-pool")?;
    guest.blank()?;
    applies(&below("active"))?;
    let table = "0 8192 thin-pool /dev/mapper/t /dev/ram1 128 0";
    guest.device("c", table)?;
    guest.kernel.suspend(&named("p"), Suspend::default())?;
    let told = "`p` is suspended, so that the call would never end; run `dmctl resume p` first";
    let refused = |arguments: &[&str]| -> Result<()> {
        let ran = Background::dmctl(arguments)?.end_within(PATIENCE)?;
        ensure!(ran.status != Some(0) && ran.stderr.contains(told), "{ran:?}");
        Ok(())
    };
    let zeros = "0 8192 error";
    let verbs: [&[&str]; 4] = [
        &["suspend", "c", "--foreign"],
        &["reload", "c", "--table", zeros, "--foreign"],
        &["remove", "c", "--foreign"],
        &["message", "c", "create_thin 1", "--foreign"],
    ];
    verbs.iter().try_for_each(|verb| refused(verb))?;
    refused(&["create", "d", "--table", "0 8192 era /dev/mapper/t /dev/ram2 128"])?;
    let resumed = dmctl(&["resume", "p"])?;
    ensure!(resumed.status == Some(0), "{resumed:?}");
    let removed = dmctl(&["remove", "c", "--foreign"])?;
    ensure!(removed.status == Some(0), "{removed:?}");
    guest.apply("[policy]\nprune = true\n[mappings]", &["--allow", "loss,remap"])
}

/// A cache whose fast device grew is not suspended where only a new load would end that.
pub fn verbs_do_not_strand_a_grown_cache(guest: &Guest) -> Result<()> {
    guest.needs("cache")?;
    guest.blank()?;
    guest.device("fast", "0 8192 linear /dev/ram1 0")?;
    guest.device("c", "0 8192 cache /dev/ram0 /dev/mapper/fast /dev/ram2 64 1 writethrough default 0")?;
    let longer = crate::guest::rows("0 16384 linear /dev/ram1 0");
    guest.kernel.load(&named("fast"), &longer, dmctl::access::Access::Writable)?;
    guest.kernel.resume(&named("fast"))?;
    let told = "before its table is loaded again; load it with `dmctl table c | dmctl reload c`";
    let suspended = dmctl(&["suspend", "c", "--foreign"])?;
    ensure!(suspended.status != Some(0) && suspended.stderr.contains(told), "{suspended:?}");
    guest.kernel.suspend(&named("c"), Suspend::default())?;
    let resumed = dmctl(&["resume", "c", "--foreign"])?;
    ensure!(resumed.status != Some(0) && resumed.stderr.contains(told), "{resumed:?}");
    let rows = dmctl(&["table", "c"])?.stdout;
    let reloaded = dmctl(&["reload", "c", "--foreign", "--table", rows.trim()])?;
    ensure!(reloaded.status == Some(0), "{reloaded:?}");
    for name in ["c", "fast"] {
        guest.kernel.remove(&named(name), Removal::Now)?;
    }
    Ok(())
}

pub fn what_copies_is_not_taken_down_above_a_suspended_device(guest: &Guest) -> Result<()> {
    for (kind, row) in COPYING {
        guest.needs(kind)?;
        guest.blank()?;
        let map = over(row, "active");
        applies(&map).context(row)?;
        ensure!(is_suspended(guest, "p")?);
        let ends = |arguments: &[&str]| Background::dmctl(arguments)?.end_within(PATIENCE);
        let told = "`p` below it is suspended";
        let deactivated = ends(&["deactivate", write_map(&map)?])?;
        ensure!(
            deactivated.status == Some(1) && deactivated.stdout.contains(told),
            "{kind}: {deactivated:?}"
        );
        let pruned = format!("[policy]\nprune = true\n{}", below("suspended"));
        let pruned = ends(&["apply", write_map(&pruned)?, "--allow", "loss,remap"])?;
        ensure!(pruned.status == Some(1) && pruned.stdout.contains(told), "{kind}: {pruned:?}");
        for verb in ["remove", "suspend"] {
            let ran = ends(&[verb, "c"])?;
            ensure!(ran.status == Some(1) && ran.stderr.contains("run `dmctl resume p`"), "{kind}: {ran:?}");
        }
        resumed("p")?;
        let deactivated = ends(&["deactivate", write_map(&map)?, "--allow", "loss"])?;
        ensure!(deactivated.status == Some(0), "{kind}: {deactivated:?}");
    }
    Ok(())
}
