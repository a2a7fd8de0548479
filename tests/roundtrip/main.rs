//! What real kernels printed for what they were given, as data: every row of `tests/data/roundtrip.tsv` goes
//! through the parser of its target.
//!
//! A row that a kernel took must keep the laws in `laws.rs`, and one it refused must be refused before it gets
//! there, unless the refusal depends on the state of the machine. Each exception to that is listed in
//! `exceptions.rs` with its reason, and an exception that no row needs any more is a failure.
//!
//! `tests/data/odd.tsv` has rows as only a careless or a hostile hand would write them: words twice, numbers at their
//! limits and beyond, counts that lie. They were loaded on both kernels by dmsetup, on blank disks.

mod damaged;
mod exceptions;
#[path = "../kernel_rows/mod.rs"]
mod kernel_rows;
mod laws;
mod row;

use std::collections::BTreeMap;

use dmctl::targets::KINDS;

use exceptions::{COMPLETED, LEFT_OUT, REFUSED_HERE, UNJUDGED, is_in, state};
use laws::{read, taken, unjudged};
use row::{Row, rows};

/// Checks a row, and returns how it was dealt with.
fn outcome(row: &Row, rows: &[Row], failures: &mut Vec<String>) -> &'static str {
    if UNJUDGED.contains(&row.target.as_str()) {
        unjudged(row, failures);
        "never judged"
    } else if REFUSED_HERE.iter().any(|(target, params, _)| row.is(target, params)) || is_in(LEFT_OUT, row) {
        if read(row, &row.loaded).is_ok() {
            failures.push(format!("{row}: must be refused"));
        }
        "taken by the kernel, refused here"
    } else if row.is_taken() {
        taken(row, failures);
        "taken"
    } else if state(row).is_some() {
        if let Err(error) = read(row, &row.loaded) {
            failures.push(format!("{row}: depends on the machine, yet is refused: {error}"));
        }
        "refused by the kernel for its state"
    } else if is_in(COMPLETED, row) {
        if let Err(error) = read(row, &row.loaded) {
            failures.push(format!("{row}: must be completed: {error}"));
        }
        "refused by the kernel, completed here"
    } else if rows.iter().any(|other| other.is(&row.target, &row.loaded) && other.is_taken()) {
        "refused by one kernel only"
    } else {
        if read(row, &row.loaded).is_ok() {
            failures.push(format!("{row}: must be refused before the kernel is asked"));
        }
        "refused before the kernel"
    }
}

#[test]
fn every_row_of_a_real_kernel() {
    let rows = rows();
    let mut failures = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &rows {
        *counts.entry(outcome(row, &rows, &mut failures)).or_default() += 1;
    }
    println!("{} rows: {counts:?}", rows.len());
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_target_has_a_row_that_a_kernel_took() {
    let rows = rows();
    for kind in KINDS {
        assert!(rows.iter().any(|row| row.target == kind.name && row.is_taken()), "{}", kind.name);
    }
}
