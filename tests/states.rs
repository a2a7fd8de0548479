//! The state of live targets: each row of `data/states.tsv` was printed by a real kernel.
//!
//! A row has the table as it was loaded, the lines of `dmsetup status`, the health that follows from the words, how far
//! the process is, how much is left that has no other copy, and the kernels that printed the line.

use std::collections::BTreeSet;

use dmctl::health::{DeviceHealth, RowHealth};
use dmctl::identity::{DevNum, Name};
use dmctl::render;
use dmctl::table::RawRow;
use dmctl::targets::{self, Health, Left, LiveRow, Reading, Target, Unreadable};

const ROWS: &str = include_str!("data/states.tsv");

/// A line of the state of a live target.
struct Line {
    target: Box<dyn Target>,
    length: u64,
    /// The kernel's words, with the blanks at their end.
    text: String,
}

impl Line {
    /// Pairs each row of a table with its line.
    fn all(table: &str, lines: &str) -> Vec<Self> {
        table.split(';').zip(lines.split(';')).map(|(row, line)| Self::new(row, line)).collect()
    }

    fn new(row: &str, line: &str) -> Self {
        let row = RawRow::parse(row).unwrap_or_else(|error| panic!("{row}: {error}"));
        let target =
            targets::parse(&row.kind, row.params()).unwrap_or_else(|error| panic!("{row:?}: {error}"));
        let text = line.splitn(4, ' ').nth(3).unwrap_or_default().to_string();
        Self { target, length: row.length, text }
    }

    fn read(&self) -> Result<Reading, Unreadable> {
        self.read_as(&self.text)
    }

    fn read_as(&self, text: &str) -> Result<Reading, Unreadable> {
        targets::read_state(self.target.as_ref(), text, LiveRow::of(self.length))
    }
}

/// The rows, as columns.
fn rows() -> impl Iterator<Item = [&'static str; 5]> {
    ROWS.lines().skip(1).map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        [columns[0], columns[1], columns[2], columns[3], columns[4]]
    })
}

#[test]
fn what_real_kernels_print_is_understood() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for [table, lines, health, progress, left] in rows() {
        let (mut worst, mut process, mut counted) = (Health::Ok, "-".to_string(), "-".to_string());
        for line in Line::all(table, lines) {
            match line.read() {
                Ok(reading) => {
                    assert_eq!(reading.more, Vec::<String>::new(), "{lines}");
                    worst = worst.max(reading.state.health());
                    process = reading.state.progress().map_or(process, |progress| progress.to_string());
                    if let Some(Left::Counted { count, .. }) = reading.state.left() {
                        counted = count.to_string();
                    }
                }
                Err(why) => wrong.push(format!("{lines}: {why}")),
            }
        }
        seen += 1;
        let left_is_told = left != "-" || !lines.contains("raid");
        if worst.word() != health || process != progress || (left_is_told && counted != left) {
            wrong.push(format!("{lines}\n   {worst} {process} {counted}, not {health} {progress} {left}"));
        }
    }
    assert!(seen > 180, "{seen} rows");
    assert!(wrong.is_empty(), "{} of {seen}:\n{}", wrong.len(), wrong.join("\n"));
}

/// The kernel ends the line of this target with a word or without it, and both are whole.
const ENDS_EITHER_WAY: &str = "log-writes";

/// A line that ends early is not understood, or is one that an older kernel prints; it never fares better.
#[test]
fn a_line_that_is_cut_never_fares_better() {
    for [table, lines, ..] in rows() {
        for line in Line::all(table, lines) {
            if line.target.kind() == ENDS_EITHER_WAY {
                continue;
            }
            let whole = line.read().map_or(Health::Unknown, |reading| reading.state.health());
            let ends = line.text.char_indices().map(|(at, _)| at).filter(|at| *at > 0);
            for end in ends {
                let cut = &line.text[..end];
                let fares = line.read_as(cut).map_or(Health::Unknown, |reading| reading.state.health());
                assert!(!fares.is_well() || whole.is_well(), "`{cut}` is {fares}, `{}` {whole}", line.text);
            }
        }
    }
}

/// The words of a newer kernel are kept, and change nothing.
#[test]
fn words_of_a_newer_kernel_are_kept() {
    for [table, lines, ..] in rows() {
        let has_words = |line: &Line| !line.text.trim().is_empty() && line.target.kind() != ENDS_EITHER_WAY;
        for line in Line::all(table, lines).into_iter().filter(has_words) {
            let (Ok(before), Ok(after)) = (line.read(), line.read_as(&format!("{} newer 7", line.text)))
            else {
                panic!("{lines}");
            };
            assert_eq!(after.more, ["newer", "7"], "{lines}");
            assert_eq!(after.state.health(), before.state.health(), "{lines}");
            assert_eq!(after.state.fields(), before.state.fields(), "{lines}");
        }
    }
}

/// A number that is damaged makes the line one that is not understood, or changes what it counts: never a panic.
#[test]
fn damaged_words_are_never_a_panic() {
    for [table, lines, ..] in rows() {
        for line in Line::all(table, lines) {
            let words: Vec<&str> = line.text.split_whitespace().collect();
            for at in 0..words.len() {
                for bad in
                    ["", "-1", "99999999999999999999", "18446744073709551615", "7/3", "x", "\u{202e}", "0/0"]
                {
                    let mut damaged = words.clone();
                    damaged[at] = bad;
                    if let Ok(reading) = line.read_as(&damaged.join(" ")) {
                        let state = reading.state;
                        drop((
                            state.health(),
                            state.findings(),
                            state.progress(),
                            state.left(),
                            state.fields(),
                        ));
                    }
                }
            }
        }
    }
}

/// The metrics of a device with these rows.
fn metrics_of(table: &str, lines: &str) -> String {
    let rows = table.split(';').zip(Line::all(table, lines)).map(|(row, line)| {
        let row = RawRow::parse(row).expect("a row");
        let reading = line.read().map_err(Into::into);
        RowHealth {
            start: row.start,
            length: row.length,
            kind: row.kind,
            text: Some(line.text),
            reading,
            pool: None,
        }
    });
    let (name, number) = (Name::new("v").expect("a name"), DevNum::new(254, 0));
    let device = DeviceHealth { name, number, uuid: None, suspended: false, rows: rows.collect() };
    render::metrics(&[device], None, &[])
}

/// Every figure is one that the kernel prints, each has one family, and none is there twice.
#[test]
fn metrics_are_the_figures_that_the_kernel_prints() {
    let mut figures = 0;
    for [table, lines, ..] in rows() {
        let printed: BTreeSet<&str> = lines.split(|c: char| !c.is_ascii_digit()).collect();
        let text = metrics_of(table, lines);
        let (mut family, mut seen) = (String::new(), BTreeSet::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().unwrap_or_default().to_string();
                assert!(seen.insert(family.clone()), "{family} twice:\n{text}");
                assert_eq!(rest.ends_with(" counter"), family.ends_with("_total"), "{rest}");
            }
            let Some((sample, value)) = line.strip_prefix("dmctl_").and_then(|_| line.rsplit_once(' '))
            else {
                continue;
            };
            let name = sample.split('{').next().unwrap_or_default();
            assert_eq!(name, family, "{text}");
            assert!(seen.insert(sample.to_string()), "{sample} twice:\n{text}");
            let is_word = name.ends_with("_info") || ["0", "1"].contains(&value);
            if !is_word && !name.starts_with("dmctl_device_") && !name.starts_with("dmctl_target_") {
                assert!(printed.contains(value), "{line} is not in {lines}");
                figures += 1;
            }
        }
    }
    assert!(figures > 500, "{figures}");
}
