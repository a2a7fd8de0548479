//! What a kernel was seen to print for what it was given, tried again: every row of
//! `tests/data/roundtrip.tsv` is applied as a generic row. A row that was seen on 6.1 is expected to end alike on
//! 6.12, unless the data says of the same row how it ended there.
//!
//! A row that the kernel took must be in sync afterwards and printed as it was then. One that it refused
//! must be refused again, by dmctl before it asks or by the kernel, and leave nothing behind.
//!
//! dmctl works in this process here: a process of its own for each of hundreds of rows takes minutes in a guest. What
//! the command does of a map, `targets.rs` and others see.

mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, ensure};
use dmctl::apply::{self, ApplyError, Options, Silent};
use dmctl::export::{self, Selection};
use dmctl::kernel::{ChangeKernel, ReadKernel};
use dmctl::plan::document::Document;
use dmctl::policy::Class;
use dmctl::{config, plan};

use crate::guest::{Guest, Release, Skipped, named, program, read_map};
use stage::{Before, Outcome};

/// A row of the data.
#[derive(Debug, Clone, Copy)]
struct Row {
    target: &'static str,
    loaded: &'static str,
    printed: &'static str,
}

/// The rows of the data that were seen on this kernel or on the older one; those read from source are none.
fn rows() -> Vec<(Row, Seen)> {
    let rows = include_str!("../../../data/roundtrip.tsv").lines().skip(1).filter_map(|line| {
        let mut columns = line.split('\t');
        let [target, loaded, printed, seen] = std::array::from_fn(|_| columns.next().unwrap_or_default());
        let seen = match seen {
            seen if seen.starts_with("UML") => Seen::On6_1,
            seen if seen.starts_with("QEMU 6.12") => Seen::On6_12,
            _ => return None,
        };
        Some((Row { target, loaded, printed }, seen))
    });
    rows.collect()
}

/// Where a row was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    On6_1,
    On6_12,
}

pub fn rows_seen_on_this_kernel(guest: &Guest) -> Result<()> {
    let here = if guest.release < Release(6, 12) { Seen::On6_1 } else { Seen::On6_12 };
    let rows: Vec<Row> = rows().into_iter().filter(|(_, seen)| *seen == here).map(|(row, _)| row).collect();
    try_rows(guest, &rows)?;
    let all: Vec<Row> = self::rows().into_iter().map(|(row, _)| row).collect();
    let unneeded = stage::unneeded(&all);
    ensure!(unneeded.is_empty(), "no row needs these any more: {unneeded:?}");
    Ok(())
}

pub fn rows_seen_on_an_older_kernel(guest: &Guest) -> Result<()> {
    if guest.release < Release(6, 12) {
        return Err(Skipped("no row was seen on an older one".to_string()).into());
    }
    let (here, older): (Vec<_>, Vec<_>) = rows().into_iter().partition(|(_, seen)| *seen == Seen::On6_12);
    let again =
        |row: &Row| here.iter().any(|(other, _)| other.target == row.target && other.loaded == row.loaded);
    let rows: Vec<Row> = older.into_iter().map(|(row, _)| row).filter(|row| !again(row)).collect();
    try_rows(guest, &rows)
}

/// Tries the rows of targets that this kernel has.
fn try_rows(guest: &Guest, rows: &[Row]) -> Result<()> {
    let types = guest.kernel.targets()?;
    let _loops = Loops::new()?;
    let mut failures = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows.iter().copied().filter(|row| types.contains_key(row.target)) {
        let outcome = set_up(guest, row).and_then(|()| try_row(guest, row));
        guest.clean_up()?;
        match outcome {
            Ok(outcome) => *counts.entry(outcome).or_default() += 1,
            Err(error) => failures.push(format!("{row:?} ({}): {error:#}", stage::why(row))),
        }
    }
    println!("rows of a real kernel, applied: {counts:?}");
    ensure!(failures.is_empty(), "{} rows failed:\n{}", failures.len(), failures.join("\n"));
    Ok(())
}

/// Two loop devices: unlike ram disks they take requests, as multipath needs.
pub struct Loops;

impl Loops {
    pub fn new() -> Result<Self> {
        for n in 0..2 {
            let (node, image) = (format!("/dev/loop{n}"), format!("/run/tmp/loop{n}"));
            fs::File::create(&image)?.set_len(1 << 20)?;
            program("losetup", &[&node, &image])?;
        }
        Ok(Self)
    }
}

impl Drop for Loops {
    fn drop(&mut self) {
        for n in 0..2 {
            // A file that stays is gone with the guest.
            let _ = program("losetup", &["--detach", &format!("/dev/loop{n}")]);
            let _ = fs::remove_file(format!("/run/tmp/loop{n}"));
        }
    }
}

/// Blank disks, and what the row needs beside them.
fn set_up(guest: &Guest, row: Row) -> Result<()> {
    for disk in &guest.disks {
        disk.fill(0, 128, 0)?;
    }
    let before = stage::before(row);
    let metas: Vec<usize> = (4..8).filter(|n| row.loaded.contains(&format!("/dev/mapper/meta{n}"))).collect();
    for n in 4..8 {
        let earlier = matches!(before, Before::Live("raid", ..));
        if metas.contains(&n) || (earlier && n < 7) {
            guest.device(&format!("meta{n}"), &format!("0 16384 linear 1:{n} 0"))?;
        }
    }
    if row.loaded.contains("smallcow") {
        guest.device("smallcow", "0 64 linear 1:1 0")?;
    }
    if row.loaded.contains("/dev/mapper/pool") {
        guest.device("pool", "0 16384 thin-pool 1:1 1:0 128 0")?;
        guest.kernel.message(&named("pool"), 0, "create_thin 0")?;
    }
    if row.loaded.contains("user:dmctlk") {
        program("keyctl", &["add", "user", "dmctlk", &"k".repeat(32), "@u"])?;
    }
    match before {
        Before::Nothing => {}
        Before::Garbage(disk) => guest.disks[disk].fill(0, 8, 0x55)?,
        Before::Live(target, params, length) => {
            let length = if target == "raid" { stage::length(row) } else { length };
            applied(guest, &map(target, params, length), Class::Format)?;
        }
        Before::Gone(target, params, length) => {
            applied(guest, &map(target, params, length), Class::Format)?;
            applied(guest, "mappings.row.state = \"absent\"", Class::Loss)?;
        }
    }
    Ok(())
}

/// How an apply ended.
#[derive(Debug)]
enum Ended {
    Applied,
    /// By whom.
    Refused(&'static str),
}

fn map(target: &str, params: &str, length: u64) -> String {
    format!("[mappings.row]\ntargets = [{{ type = \"{target}\", length = {length}, params = '{params}' }}]")
}

/// Applies a map, as `dmctl apply` does.
fn apply(guest: &Guest, map: &str, allowed: &[Class]) -> Result<Ended> {
    let Ok(map) = read_map(map) else { return Ok(Ended::Refused("refused by dmctl")) };
    let plan = plan::plan(&guest.kernel, &map, &allowed.iter().copied().collect())?;
    let options = Options { jobs: apply::JOBS, ..Options::default() };
    Ok(match apply::apply(&guest.kernel, &plan, options, &mut Silent) {
        Ok(()) => Ended::Applied,
        Err(ApplyError::Conflicts(_) | ApplyError::Refused(_)) => Ended::Refused("refused by dmctl"),
        Err(ApplyError::RolledBack { .. }) => Ended::Refused("refused by the kernel"),
        Err(other) => return Err(other.into()),
    })
}

/// Applies a map, which must work.
fn applied(guest: &Guest, map: &str, allowed: Class) -> Result<()> {
    let ended = apply(guest, map, &[allowed])?;
    ensure!(matches!(ended, Ended::Applied), "{ended:?}: {map}");
    Ok(())
}

fn try_row(guest: &Guest, row: Row) -> Result<&'static str> {
    let map = map(row.target, row.loaded, stage::length(row));
    let before = guest.states()?;
    let ended = apply(guest, &map, &[Class::Remap, Class::Format, Class::Loss])?;
    match (stage::outcome(row), ended) {
        (Outcome::Taken(printed), Ended::Applied) => {
            let plan = plan::plan(&guest.kernel, &read_map(&map)?, &BTreeSet::new())?;
            ensure!(
                plan.is_empty() && plan.conflicts.is_empty(),
                "not in sync: {}",
                serde_json::to_string(&Document::of(&plan))?
            );
            same_words(&guest.state("row")?.1, printed.unwrap_or(row.printed))?;
            exported(guest)?;
            Ok("taken")
        }
        (Outcome::Refused, Ended::Refused(by)) => {
            let after = guest.states()?;
            let same = |(one, other): (&crate::guest::State, &crate::guest::State)| {
                one.1 == other.1 && other.2.is_empty() && !other.0.suspended && one.0.name == other.0.name
            };
            ensure!(
                before.len() == after.len() && before.iter().zip(&after).all(same),
                "not everything was put back: {after:?}"
            );
            Ok(by)
        }
        (expected, ended) => Err(anyhow::anyhow!("{expected:?} was expected: {ended:?}")),
    }
}

/// An export of all that is there must change nothing. Devices that were set up for the row have no uuid.
fn exported(guest: &Guest) -> Result<()> {
    let text = export::map(&guest.kernel, &Selection::default())?;
    let loaded = config::parse_str("the export", &text);
    let map = loaded.map.as_ref().with_context(|| format!("{}\n{text}", loaded.render()))?;
    let plan = plan::plan(&guest.kernel, map, &BTreeSet::new())?;
    let adopts = plan.steps.iter().all(|step| step.action() == plan::Action::SetUuid);
    ensure!(plan.conflicts.is_empty() && adopts && !text.contains("Left out"), "{text}");
    Ok(())
}

/// Compares a row word by word; the numbers of mappings are others each time.
fn same_words(live: &str, printed: &str) -> Result<()> {
    // A row without parameters has three words.
    let live = live.splitn(4, ' ').nth(3).unwrap_or_default();
    let words = |text: &str| -> Vec<String> {
        let word = |word: &str| if word.starts_with("254:") { "254:N" } else { word }.to_string();
        text.split_whitespace().map(word).collect()
    };
    ensure!(words(live) == words(printed), "printed `{live}`");
    Ok(())
}
