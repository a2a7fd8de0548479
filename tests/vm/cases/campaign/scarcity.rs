//! What an apply needs and does not get: the lock, memory, a disk that answers.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use dmctl::access::Access;
use dmctl::kernel::{ChangeKernel, ReadKernel, Removal};

use super::deaths::{end_after, tell};
use super::is_whole;
use super::scene::{ALLOW, Scene, USED};
use super::traffic::Traffic;
use crate::guest::{Background, Guest, Ran, apply_ends, rows};

/// How long an apply that is short of something may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn two_at_once_take_turns(guest: &Guest) -> Result<()> {
    let scenes = Scene::both(guest)?;
    scenes[0].reach(guest)?;
    let traffic = Traffic::begin(&USED)?;
    let (mut both, mut sent_away) = (0, 0);
    for patience in ["0s", "0s", "30s", "30s"] {
        let start = |scene: &Scene| {
            Background::dmctl(&[&["apply", scene.path, "--lock-timeout", patience], &ALLOW[..]].concat())
        };
        let applies = [start(&scenes[1])?, start(&scenes[0])?];
        let ends = applies.map(|apply| apply.end_within(PATIENCE));
        let [one, two] = ends;
        let statuses = [one?.status, two?.status];
        match (patience, statuses) {
            (_, [Some(0), Some(0)]) => both += 1,
            ("0s", [Some(0), Some(5)] | [Some(5), Some(0)]) => sent_away += 1,
            _ => bail!("with --lock-timeout {patience} they end with {statuses:?}"),
        }
        let last = scenes.iter().filter(|scene| scene.is_reached(guest).is_ok()).count();
        ensure!(last == 1, "{statuses:?}: neither of the two maps is there");
        traffic.goes_on()?;
    }
    let flow = traffic.end()?;
    Scene::nothing()?.reach(guest)?;
    println!("    {both} times both were applied, {sent_away} times one was sent away with 5");
    tell("pairs of applies", both + sent_away, 0, &flow);
    Ok(())
}

/// Applies a map in a shell that takes something away first.
fn in_shell(before: &[&str], limit: &str, scene: &Scene, options: &[&str]) -> Result<Ran> {
    let script = format!("{limit}; exec \"$@\"");
    let dmctl = env!("CARGO_BIN_EXE_dmctl");
    let shell = ["busybox", "sh", "-c", &script, "sh", dmctl, "apply", scene.path];
    let words = [before, &shell, &ALLOW, options].concat();
    Background::program(words[0], &words[1..])?.end_within(PATIENCE)
}

/// How an apply ends that gets this many KiB of memory. Nothing may be suspended, and what says that everything was
/// put back must be right.
fn starved(guest: &Guest, scenes: &[Scene; 2], kib: u64, options: &[&str]) -> Result<Option<i32>> {
    let ran = in_shell(&[], &format!("ulimit -v {kib}"), &scenes[1], options)?;
    let suspended: Vec<_> =
        guest.states()?.into_iter().filter(|(info, ..)| info.suspended).map(|(info, ..)| info.name).collect();
    ensure!(suspended.is_empty(), "with {kib} KiB: {ran:?}: suspended: {suspended:?}");
    match ran.status {
        Some(0) => scenes[1].is_reached(guest)?,
        Some(6) => scenes[0].is_reached(guest)?,
        // An end in the middle of something, as by `kill -9`.
        _ => {}
    }
    scenes[0].reach(guest).with_context(|| format!("with {kib} KiB: {ran:?}"))?;
    Ok(ran.status)
}

pub fn memory_that_runs_out_leaves_nothing_suspended(guest: &Guest) -> Result<()> {
    let scenes = Scene::both(guest)?;
    scenes[0].reach(guest)?;
    let traffic = Traffic::begin(&USED)?;
    let (mut tried, mut failed) = (0, 0);
    let (jobs, lockable) = if is_whole() {
        (&["1", "8"][..], &["0", "4096", "8192", "16384", "32768", "65536"][..])
    } else {
        (&["8"][..], &["0", "16384"][..])
    };
    for jobs in jobs {
        let options = ["--jobs", jobs];
        // Where it begins to be enough, and then all that is just below.
        let (mut short, mut enough) = (16 << 10, 64 << 10);
        let (step, below) = if is_whole() { (128, 16) } else { (1024, 4) };
        while enough - short > step {
            let middle = u64::midpoint(short, enough);
            tried += 1;
            match starved(guest, &scenes, middle, &options)? {
                Some(0) => enough = middle,
                _ => short = middle,
            }
        }
        for less in 1..=below {
            tried += 1;
            failed += u64::from(starved(guest, &scenes, enough - less * step / below, &options)? != Some(0));
        }
        println!("    with --jobs {jobs} it takes {enough} KiB");
    }
    traffic.goes_on()?;
    // Without the right to lock memory it goes on unlocked, and where locking what there is works and locking more
    // does not, too.
    for limit in lockable {
        let unprivileged = ["setpriv", "--bounding-set", "-ipc_lock"];
        let ran = in_shell(&unprivileged, &format!("ulimit -l {limit}"), &scenes[1], &[])?;
        ensure!(ran.status == Some(0), "with {limit} KiB to lock: {ran:?}");
        scenes[1].is_reached(guest)?;
        scenes[0].reach(guest)?;
        tried += 1;
    }
    let flow = traffic.end()?;
    Scene::nothing()?.reach(guest)?;
    println!("    {failed} of those just below failed");
    tell("applies short of memory", tried, 0, &flow);
    Ok(())
}

/// One stack that is wider than high: devices of a level are suspended and resumed at the same time.
fn fan(path: &str, length: u64) -> Result<()> {
    let mut map = String::from("format = 1\nowner = \"lab\"\n");
    writeln!(
        map,
        "mappings.low.targets = [{{ type = \"linear\", length = {length}, device = \"/dev/ram0\" }}]"
    )?;
    for n in 0..6 {
        writeln!(
            map,
            "mappings.up{n}.targets = [{{ type = \"linear\", length = {}, device = \"@low\", offset = {} }}]",
            length / 32,
            n * 64
        )?;
    }
    Ok(fs::write(path, map)?)
}

pub fn nothing_grows_while_devices_are_suspended(guest: &Guest) -> Result<()> {
    let (small, large) = ("/run/tmp/small.toml", "/run/tmp/large.toml");
    fan(small, 1024)?;
    fan(large, 2048)?;
    let never = usize::MAX;
    for (path, jobs) in [(small, 1), (large, 1), (small, 1), (large, 8), (small, 8), (large, 32), (small, 32)]
    {
        let ran = end_after("TERM", never, jobs, path)?;
        ensure!(ran.status == Some(0), "{jobs} jobs: {ran:?}");
    }
    ensure!(guest.states()?.len() == 7);
    Scene::nothing()?.reach(guest)
}

/// A stack whose lowest device keeps its metadata on a device of another owner, and a device beside it.
fn over_metadata(length: u64) -> String {
    format!(
        r#"
        [mappings.seen]
        targets = [{{ type = "era", length = {length}, metadata = "/dev/mapper/metadata", origin = "/dev/ram5", block_size = 128 }}]
        [mappings.upper]
        targets = [{{ type = "linear", length = {length}, device = "@seen" }}]
        [mappings.used]
        targets = [{{ type = "linear", length = {length}, device = "/dev/ram3" }}]"#
    )
}

/// Tables of a device that fails, with the messages that make it.
const FAILING: [(&str, &[&str]); 3] = [
    ("0 16384 error", &[]),
    ("0 16384 flakey 1:7 0 0 60", &[]),
    ("0 16384 dust 1:7 0 4096", &["addbadblock 0", "enable"]),
];

pub fn a_lower_device_that_fails_in_the_swap_is_survived(guest: &Guest) -> Result<()> {
    let sound = "0 16384 linear 1:7 0";
    guest.disks[7].fill(0, 128, 0)?;
    let metadata = guest.device("metadata", sound)?;
    let replace = |table: &str| {
        guest.kernel.load(&metadata, &rows(table), Access::Writable)?;
        guest.kernel.resume(&metadata)
    };
    apply_ends(&over_metadata(4096), &ALLOW, 0)?;
    let traffic = Traffic::begin(&["used"])?;
    let known = guest.kernel.targets()?;
    for (table, messages) in FAILING {
        // Not every kernel has each of them.
        if !table.split(' ').nth(2).is_some_and(|kind| known.contains_key(kind)) {
            continue;
        }
        replace(table)?;
        messages.iter().try_for_each(|text| guest.kernel.message(&metadata, 0, text).map(drop))?;
        let ran = guest.refused(&over_metadata(8192), &ALLOW, 6)?;
        ensure!(ran.stderr.contains("can't be read"), "{table}: {ran:?}");
        replace(sound)?;
        traffic.goes_on()?;
    }
    // One that still reads and no longer writes: nothing can be seen beforehand, and the kernel resumes it on no
    // table. That is told, and the next apply gets it going when the disk is well.
    replace("0 16384 flakey 1:7 0 0 60 1 error_writes")?;
    let ran = apply_ends(&over_metadata(8192), &ALLOW, 7)?;
    ensure!(ran.stderr.contains("seen has its new table and is suspended"), "{ran:?}");
    traffic.goes_on()?;
    replace(sound)?;
    apply_ends(&over_metadata(8192), &ALLOW, 0)?;
    ensure!(guest.states()?.iter().all(|(info, ..)| !info.suspended));
    let flow = traffic.end()?;
    apply_ends("[policy]\nprune = true\n[mappings]", &ALLOW, 0)?;
    guest.kernel.remove(&metadata, Removal::Now)?;
    tell("failing disks", FAILING.len() + 1, 1, &flow);
    Ok(())
}
