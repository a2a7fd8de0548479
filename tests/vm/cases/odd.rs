//! The rows of `tests/data/odd.tsv`, as dmctl would write them: what it takes the kernel must take, too, and print
//! something that means the same; or refuse it as it did before.
//!
//! Everything happens in this process, since there are hundreds of them.

use anyhow::{Context, Result, bail, ensure};
use dmctl::access::Access;
use dmctl::device::Form;
use dmctl::identity::Name;
use dmctl::kernel::{ChangeKernel, ReadKernel, Removal, Slot};
use dmctl::table::RawRow;
use dmctl::targets::{self, Problems, Style, Target};

use super::roundtrip::Loops;
use crate::guest::{Disk, Guest, Release, named};

/// Targets that write nothing before they are used.
const HARMLESS: &[&str] = &[
    "linear",
    "striped",
    "error",
    "crypt",
    "verity",
    "delay",
    "flakey",
    "dust",
    "multipath",
    "switch",
    "unstriped",
];

/// Rows whose outcome is that of what was there before.
const DEPENDS: &[&str] = &["thin"];

/// Rows that the kernel refuses, and takes as dmctl writes them: with what is missing, or without what has no
/// meaning. The type, and a part of the words.
const PUT_RIGHT: &[(&str, &str)] = &[
    ("verity", " 6 use_fec_from_device "),
    ("error", ""),
    ("flakey", "corrupt_bio_byte 1 r 1 0 corrupt_bio_byte 2 r 2 0"),
    ("flakey", " 2 random_read_corrupt 0"),
];

fn put_right(kind: &str, loaded: &str) -> bool {
    PUT_RIGHT.iter().any(|(target, part)| *target == kind && loaded.contains(part))
}

pub fn what_dmctl_makes_of_them_is_taken(guest: &Guest) -> Result<()> {
    let _loops = Loops::new()?;
    let types = guest.kernel.targets()?;
    let here = if guest.release < Release(6, 12) { "UML" } else { "QEMU" };
    let mut failures = Vec::new();
    let (mut taken, mut refused) = (0, 0);
    for n in 4..8 {
        guest.device(&format!("meta{n}"), &format!("0 16384 linear 1:{n} 0"))?;
    }
    for line in include_str!("../../data/odd.tsv").lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [kind, loaded, printed, seen] = columns[..] else { bail!("{line}") };
        // The older kernel crashed where an array was taken away while it began to resync.
        let fragile = kind == "raid" && guest.release < Release(6, 12);
        if !seen.contains(here) || !types.contains_key(kind) || DEPENDS.contains(&kind) || fragile {
            continue;
        }
        let length = if kind == "raid" { 65536 } else { 2048 };
        let Some(wanted) = understood(kind, loaded, length) else { continue };
        if !HARMLESS.contains(&kind) {
            guest.disks.iter().try_for_each(|disk| disk.fill(0, 128, 0))?;
        }
        let outcome = try_row(guest, wanted.as_ref(), length);
        match (outcome, printed.starts_with('!')) {
            (Ok(()), false) => taken += 1,
            (Err(_), true) => refused += 1,
            (Ok(()), true) if put_right(kind, loaded) => taken += 1,
            (Ok(()), true) => failures.push(format!("{kind} `{loaded}` is taken, and was not: {printed}")),
            (Err(error), false) => failures.push(format!("{kind} `{loaded}`: {error:#}")),
        }
    }
    for n in 4..8 {
        guest.kernel.remove(&named(&format!("meta{n}")), Removal::Now)?;
    }
    println!("odd rows: {taken} taken, {refused} refused");
    ensure!(failures.is_empty(), "{} rows failed:\n{}", failures.len(), failures.join("\n"));
    ensure!(taken > 100 && refused > 10, "{taken} taken, {refused} refused");
    Ok(())
}

/// The row, with its devices found; none where dmctl refuses it.
fn understood(kind: &str, params: &str, length: u64) -> Option<Box<dyn Target>> {
    let mut typed = targets::parse(kind, params).ok()?;
    let mut problems = Problems::default();
    typed.check(Some(length), &mut problems);
    for device in typed.devices_mut() {
        if let Form::Path(path) = &device.form {
            device.number = Disk::open(path).ok().map(|disk| disk.number);
        }
    }
    problems.is_empty().then_some(typed)
}

/// Loads a row as dmctl writes it, and compares what the kernel prints with it.
fn try_row(guest: &Guest, wanted: &dyn Target, length: u64) -> Result<()> {
    let id = named("odd");
    guest.kernel.create(&Name::new("odd")?, None)?;
    let tried = || -> Result<()> {
        let row = RawRow::new(0, length, wanted.kind(), wanted.params(Style::Kernel));
        let read_only = wanted.kind() == "verity";
        guest.kernel.load(&id, std::slice::from_ref(&row), Access::from_read_only(read_only))?;
        guest.kernel.resume(&id)?;
        let mapped = guest.kernel.device(&id, Slot::Live)?.context("no such device")?;
        let live = &mapped.table[0];
        let read = targets::parse(&live.kind, live.params()).with_context(|| live.to_string())?;
        let differences = wanted.compare(read.as_ref()).context("another type")?;
        ensure!(differences.is_equal(), "`{row}` is `{live}`: {differences:?}");
        Ok(())
    };
    let outcome = tried();
    guest.kernel.remove(&id, Removal::Now)?;
    outcome
}
