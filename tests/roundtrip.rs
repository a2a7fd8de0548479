//! What real kernels printed for what they were given, as data: every row of `data/roundtrip.tsv` goes
//! through the parser of its target.
//!
//! A row that a kernel took must compare equal to what it printed, and one it refused must be refused
//! before it gets there, unless the refusal depends on the state of the machine. Each exception to that is
//! listed here with its reason, and an exception that no row needs any more is a failure.

use std::collections::BTreeMap;

use dmctl::device::{Device, Form};
use dmctl::identity::DevNum;
use dmctl::targets::{self, Problems, Style, Typed};
use proptest::prelude::*;

/// Types whose live tables are read and never judged.
const UNJUDGED: &[&str] = &["inlinecrypt"];

/// Rows that a kernel takes and dmctl refuses, on purpose: target, parameters, reason.
const REFUSED_HERE: &[(&str, &str, &str)] = &[
    ("linear", "/dev/ram0 18446744073709551616", "the kernel wraps the number around to 0"),
    ("linear", r"\/dev/ram0 0", "a backslash means different things to the kernel and to other tools"),
    ("linear", "0100 0", "a hexadecimal device number, which kernel 6.12 does not read"),
    ("delay", "/dev/ram0 0 4294967396", "the kernel wraps the number around to 100"),
    ("unstriped", "2 16 2 /dev/ram0 0", "the kernel lets the index be one too large"),
    ("snapshot-merge", "/dev/ram0 /dev/ram1 N 8", "kernel 6.1.176 panics at the resume"),
];

/// Rows that a kernel takes without an error and then ignores: they must compare as different, so that
/// verification reports them. Target, parameters, what is ignored.
const IGNORED_BY_THE_KERNEL: &[(&str, &str, &str)] = &[
    ("thin-pool", "/dev/ram1 /dev/ram0 256 100", "the block size of a live pool"),
    ("snapshot", "/dev/ram0 /dev/ram1 P 16", "the chunk size, where the header has another"),
    ("snapshot", "/dev/ram0 /dev/ram1 p 16", "the chunk size, where the header has another"),
    (
        "raid",
        "raid5_ls 1 256 3 /dev/mapper/meta4 /dev/ram0 /dev/mapper/meta5 /dev/ram1 /dev/mapper/meta6 /dev/ram2",
        "the chunk size, where there is no room to reshape",
    ),
];

/// Refusals that depend on the state of the machine, so that parsing can't foresee them: target, a part of
/// the parameters, the end of what the kernel said, what it depends on.
const STATE: &[(&str, &str, &str, &str)] = &[
    ("linear", "", "dev_size=131072", "the size of the device below"),
    ("linear", "nonexist", "Device lookup failed", "whether the device exists"),
    ("linear", "", "!load EINVAL", "the live table, which is of an immutable type or request-based"),
    ("crypt", ":32:logon:", "Error decoding and setting key", "the keyring"),
    ("integrity", "", "information in superblock", "the metadata"),
    ("integrity", "", "Journal mac mismatch", "the metadata"),
    ("integrity", "", "requested mapping size", "the metadata and the length of the row"),
    ("integrity", "", "not initialized", "the metadata"),
    ("integrity", " I ", "Integrity profile not supported", "whether the device below keeps tags"),
    ("verity", "", "Device must be readonly", "the read-only flag of the table"),
    ("verity", "root_hash_sig_key_desc", "Unrecognized verity feature request", "how the kernel was built"),
    ("verity", "", "Data device is too small", "the length of the row"),
    ("thin-pool", "", "once enabled", "the live table"),
    ("thin-pool", "", "preresume failed, error = -22", "the metadata"),
    ("thin-pool", "", "already in use by a pool", "other devices"),
    ("thin-pool", "", "different pool cannot replace a pool", "the live table"),
    ("thin-pool", "", "!load ENOTBLK: Error creating metadata object", "the metadata"),
    ("thin", "", "Couldn't open thin internal device", "the metadata of the pool"),
    ("snapshot", "", "Failed to read snapshot metadata", "the metadata"),
    ("raid", "", "Invalid superblocks", "the metadata"),
    ("cache", "", "Error creating metadata object", "the metadata"),
    ("writecache", "", "does not match superblock", "the metadata"),
    ("writecache", "", "not supported on this system", "the memory of the machine"),
    ("flakey", "", "Unrecognised flakey feature requested", "the kernel: 6.1 lacks it, 6.12 has it"),
    ("clone", "", "Failed to load metadata", "the metadata"),
    ("multipath", "historical-service-time", "unknown path selector type", "the modules of the kernel"),
    ("multipath", "", "!load EINVAL", "whether the devices below are request-based"),
];

/// A row of the data.
struct Row {
    line: usize,
    target: String,
    loaded: String,
    printed: String,
}

impl Row {
    fn is(&self, target: &str, loaded: &str) -> bool {
        self.target == target && self.loaded == loaded
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {} `{}` -> `{}`", self.line, self.target, self.loaded, self.printed)
    }
}

fn rows() -> Vec<Row> {
    let rows = include_str!("data/roundtrip.tsv").lines().enumerate().skip(1).map(|(index, line)| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [target, loaded, printed, _evidence] = columns[..] else { panic!("line {}: {line}", index + 1) };
        Row {
            line: index + 1,
            target: target.to_string(),
            loaded: filled_in(loaded),
            printed: filled_in(printed),
        }
    });
    rows.collect()
}

/// Rows taken from kernel source have places for a key, a hash or a number.
fn filled_in(params: &str) -> String {
    let digits = "0123456789ABCDEF";
    params
        .replace("<64 hex lower>", &digits.repeat(4).to_lowercase())
        .replace("<64 hex>", &digits.repeat(4))
        .replace("<128 hex>", &digits.repeat(8))
        .replace("<key>", &digits.repeat(12).to_lowercase())
        .replace("<root>", &digits.repeat(4).to_lowercase())
        .replace("<salt>", "0102")
        .replace("<keytype number>", "0")
        .replace("<n>", "8")
}

/// The number of a device node that has a fixed one.
fn number_of(path: &str) -> Option<DevNum> {
    let node = path.rsplit('/').next()?;
    if let Some(number) = node.strip_prefix("ram") {
        return Some(DevNum::new(1, number.parse().ok()?));
    }
    if let Some(number) = node.strip_prefix("loop") {
        return Some(DevNum::new(7, number.parse().ok()?));
    }
    if let Some(letter) = node.strip_prefix("sd").and_then(|rest| rest.bytes().next()) {
        return Some(DevNum::new(8, u32::from(letter - b'a') * 16));
    }
    matches!(node, "nvme0n1" | "pmem0").then(|| DevNum::new(259, 0))
}

/// Gives the devices of `loaded` their numbers. A device under `/dev/mapper` has the one that `printed`
/// shows in the same place, and the same one wherever its name stands.
fn resolve(loaded: &mut dyn Typed, printed: &mut dyn Typed) {
    let mut mapped: BTreeMap<String, DevNum> = BTreeMap::new();
    let printed: Vec<&mut Device> = printed.devices_mut();
    for device in &printed {
        assert!(device.number.is_some() || number_of(&device.to_string()).is_some(), "{device}");
    }
    let numbers: Vec<Option<DevNum>> = printed
        .into_iter()
        .map(|device| {
            device.number = device.number.or_else(|| number_of(&device.to_string()));
            device.number
        })
        .collect();
    for (index, device) in loaded.devices_mut().into_iter().enumerate() {
        if let Form::Path(path) = &device.form {
            device.number = number_of(path).or_else(|| {
                let number = numbers.get(index).copied().flatten()?;
                assert!(mapped.iter().all(|(other, taken)| other == path || *taken != number), "{path}");
                Some(*mapped.entry(path.clone()).or_insert(number))
            });
        }
    }
}

fn parse(row: &Row, params: &str) -> Result<Box<dyn Typed>, String> {
    let typed = targets::parse(&row.target, params).map_err(|error| error.to_string())?;
    let mut problems = Problems::default();
    typed.check(None, &mut problems);
    match problems.into_vec().into_iter().next() {
        Some(problem) => Err(problem.says),
        None => Ok(typed),
    }
}

/// A row the kernel took: equal to what it printed, unless the kernel ignored it; and what it printed
/// survives being printed and read again.
fn taken(row: &Row, failures: &mut Vec<String>) {
    let (mut loaded, mut printed) = match (parse(row, &row.loaded), parse(row, &row.printed)) {
        (Ok(loaded), Ok(printed)) => (loaded, printed),
        (Err(error), _) => return failures.push(format!("{row}: what was loaded is refused: {error}")),
        (_, Err(error)) => return failures.push(format!("{row}: what was printed is refused: {error}")),
    };
    resolve(loaded.as_mut(), printed.as_mut());
    let differences = loaded.compare(printed.as_ref()).expect("both are of one type");
    let ignored = IGNORED_BY_THE_KERNEL.iter().any(|(target, params, _)| row.is(target, params));
    if differences.is_equal() == ignored {
        failures.push(format!(
            "{row}: expected {}, found {differences:?}",
            if ignored { "a difference" } else { "none" }
        ));
    }
    let again = printed.params(Style::Kernel);
    match parse(row, &again) {
        Err(error) => failures.push(format!("{row}: printed again as `{again}`, refused: {error}")),
        Ok(read) => {
            let differences = read.compare(printed.as_ref()).expect("both are of one type");
            if !differences.is_equal() || read.params(Style::Kernel) != again {
                failures.push(format!("{row}: printed again as `{again}`, which differs: {differences:?}"));
            }
        }
    }
}

/// A row of a type that prints what it does not load: it is read, and left alone.
fn unjudged(row: &Row, failures: &mut Vec<String>) {
    match parse(row, &row.printed) {
        Err(error) => failures.push(format!("{row}: what was printed is refused: {error}")),
        Ok(printed) => {
            let differences = printed.compare(printed.as_ref()).expect("both are of one type");
            if differences.unknown.is_none() {
                failures.push(format!("{row}: must not be judged"));
            }
        }
    }
}

#[test]
fn every_row_of_a_real_kernel() {
    let rows = rows();
    let mut failures = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &rows {
        let outcome = if UNJUDGED.contains(&row.target.as_str()) {
            unjudged(row, &mut failures);
            "never judged"
        } else if REFUSED_HERE.iter().any(|(target, params, _)| row.is(target, params)) {
            if parse(row, &row.loaded).is_ok() {
                failures.push(format!("{row}: must be refused"));
            }
            "taken by the kernel, refused here"
        } else if !row.printed.starts_with('!') {
            taken(row, &mut failures);
            "taken"
        } else if state(row).is_some() {
            if let Err(error) = parse(row, &row.loaded) {
                failures.push(format!("{row}: depends on the machine, yet is refused: {error}"));
            }
            "refused by the kernel for its state"
        } else {
            if parse(row, &row.loaded).is_ok() {
                failures.push(format!("{row}: must be refused before the kernel is asked"));
            }
            "refused before the kernel"
        };
        *counts.entry(outcome).or_default() += 1;
    }
    println!("{} rows: {counts:?}", rows.len());
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// What the refusal of a row depends on, when it depends on the machine.
fn state(row: &Row) -> Option<&'static str> {
    STATE
        .iter()
        .find(|(target, params, says, _)| {
            row.target == *target && row.loaded.contains(params) && row.printed.ends_with(says)
        })
        .map(|(.., reason)| *reason)
}

/// A row of the data with a few of its words taken away, doubled or put in place of others.
fn damaged() -> impl Strategy<Value = (String, String)> {
    let rows = rows();
    let strange = prop::sample::select(vec![
        "0",
        "1",
        "2",
        "-",
        "4294967296",
        "18446744073709551615",
        "18446744073709551616",
        "@key",
        "x",
        "\u{301}",
    ]);
    let damage = prop::collection::vec((any::<prop::sample::Index>(), 0..4, strange), 0..4);
    (prop::sample::select(rows.into_iter().map(|row| (row.target, row.loaded)).collect::<Vec<_>>()), damage)
        .prop_map(|((target, loaded), damage)| {
            let mut words: Vec<&str> = loaded.split_whitespace().collect();
            for (at, what, strange) in &damage {
                let at = at.index(words.len() + 1);
                match (what, words.get(at).copied()) {
                    (0, Some(_)) => drop(words.remove(at)),
                    (1, Some(word)) => words.insert(at, word),
                    (2, Some(_)) => words[at] = strange,
                    _ => words.insert(at, strange),
                }
            }
            (target, words.join(" "))
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// Whatever stands in a row, it is refused or understood; and what is understood is printed as itself.
    #[test]
    fn damaged_rows_never_panic((target, params) in damaged()) {
        let Ok(typed) = targets::parse(&target, &params) else { return Ok(()) };
        let mut problems = Problems::default();
        typed.check(Some(8), &mut problems);
        typed.lowers(u64::MAX);
        typed.metadata();
        typed.rest(&|_| Some(u64::MAX));
        let _ = targets::redact(&target, &params);
        if problems.is_empty() {
            let again = typed.params(Style::Kernel);
            let read = targets::parse(&target, &again)
                .map_err(|error| TestCaseError::fail(format!("{target} {params}: as {again}: {error}")))?;
            let differences = typed.compare(read.as_ref()).expect("both are of one type");
            // What can't be judged at all can't be judged against itself either.
            let same = differences.is_equal() || differences.unknown.is_some();
            prop_assert!(same, "{} {}: as {}: {:?}", target, params, again, differences);
        }
    }
}

#[test]
fn every_exception_is_needed() {
    let rows = rows();
    for (target, params, reason) in REFUSED_HERE.iter().chain(IGNORED_BY_THE_KERNEL) {
        assert!(rows.iter().any(|row| row.is(target, params)), "{target} `{params}`: {reason}");
    }
    for (target, params, says, reason) in STATE {
        let needed = rows
            .iter()
            .any(|row| row.target == *target && row.loaded.contains(params) && row.printed.ends_with(says));
        assert!(needed, "{target} `{params}` -> `{says}`: {reason}");
    }
}
