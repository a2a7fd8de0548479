//! What real kernels printed for what they were given, as data: every row of `data/roundtrip.tsv` goes
//! through the parser of its target.
//!
//! A row that a kernel took must compare equal to what it printed, and one it refused must be refused
//! before it gets there, unless the refusal depends on the state of the machine. Each exception to that is
//! listed here with its reason, and an exception that no row needs any more is a failure.
//!
//! `data/odd.tsv` has rows as only a careless or a hostile hand would write them: words twice, numbers at their
//! limits and beyond, counts that lie. They were loaded on both kernels by dmsetup, on blank disks.

#[path = "kernel_rows/mod.rs"]
mod kernel_rows;

use std::collections::BTreeMap;

use dmctl::device::{Device, Form};
use dmctl::identity::DevNum;
use dmctl::targets::{self, Problems, Style, Target};
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
    ("striped", "2 +32 /dev/ram0 0 /dev/ram1 0", "a sign, which most targets refuse"),
    ("delay", "/dev/ram0 0 4294967296", "the kernel wraps the number around to 0"),
    ("flakey", "/dev/ram0 0 4294967296 5", "the kernel wraps the number around to 0"),
    (
        "flakey",
        "/dev/ram0 0 5 5 5 corrupt_bio_byte 1 r 1 4294967296",
        "the kernel wraps the number around to 0",
    ),
    ("clone", "/dev/ram1 /dev/ram0 /dev/ram0 8", "the destination would be overwritten with itself"),
    ("clone", "/dev/ram1 /dev/ram1 /dev/ram0 8", "the metadata and the data would overwrite each other"),
    ("era", "/dev/ram1 /dev/ram1 128", "the metadata and the data would overwrite each other"),
    (
        "raid",
        "raid10 4 64 raid10_use_near_sets raid10_format far 4 /dev/mapper/meta4 /dev/ram0 /dev/mapper/meta5 /dev/ram1 \
         /dev/mapper/meta6 /dev/ram2 /dev/mapper/meta7 /dev/ram3",
        "the kernel prints it with a word less than it counts",
    ),
];

/// Rows with words that the kernel leaves out without saying so, mostly behind a count that is too small.
const LEFT_OUT: &[(&str, &str)] = &[
    ("crypt", "1 allow_discards same_cpu_crypt"),
    ("verity", "1 ignore_corruption check_at_most_once"),
    ("verity", "2 fec_roots 2"),
    ("thin-pool", "1 skip_block_zeroing error_if_no_space"),
    ("cache", "smq 0 extra"),
    ("writecache", "4096 0 cleaner"),
    ("flakey", " 5 5 0 drop_writes"),
    ("multipath", "service-time 1 x 1 0 /dev/ram0"),
    ("log-writes", "/dev/ram1 x"),
];

/// Rows that the kernel refuses and dmctl takes, since it writes what is missing.
const COMPLETED: &[(&str, &str)] =
    &[("verity", " 0102 6 use_fec_from_device /dev/ram2 fec_blocks 260 fec_start 0")];

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
    ("linear", "/dev/null", "Device lookup failed", "what the file is"),
    ("linear", "/bin/busybox", "Device lookup failed", "what the file is"),
    ("snapshot-origin", "/dev/absent", "Cannot get target device", "whether the device exists"),
    ("thin", "/dev/ram1", "Couldn't get pool mapped device", "whether the device is a pool"),
    ("cache", " 2097152 ", "Data block size is larger than the cache device", "the size of the device below"),
    ("crypt", "AES-XTS-PLAIN64", "Error allocating crypto tfm", "the ciphers of the kernel"),
    ("crypt", "aes:64-cbc-lmk", "Error decoding and setting key", "the ciphers of the kernel"),
    ("crypt", "integrity:28:aead", "Bad cipher specification", "the ciphers of the kernel"),
    ("verity", "", "Cannot initialize hash function", "the hashes of the kernel"),
    ("integrity", " recalculate", "use the argument \"legacy_recalculate\"", "the metadata"),
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
    ("multipath", "", "unknown path selector type", "the modules of the kernel"),
    ("multipath", " hp_sw ", "unable to set hardware handler parameters", "the disk below"),
    ("multipath", "", "!load EINVAL", "whether the devices below are request-based"),
];

/// A row of the data.
struct Row {
    line: usize,
    /// How many sectors it had, where that is known.
    length: Option<u64>,
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
    let real = kernel_rows::rows(include_str!("data/roundtrip.tsv")).map(|row| (row, false));
    let odd = kernel_rows::rows(include_str!("data/odd.tsv")).map(|row| (row, true));
    let rows = real.chain(odd).map(|((line, target, loaded, printed), is_odd)| Row {
        line,
        length: is_odd.then_some(if target == "raid" { 65536 } else { 2048 }),
        target: target.to_string(),
        loaded,
        printed,
    });
    rows.collect()
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
fn resolve(loaded: &mut dyn Target, printed: &mut dyn Target) {
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
                Some(*mapped.entry(path.to_string()).or_insert(number))
            });
        }
    }
}

fn parse(row: &Row, params: &str) -> Result<Box<dyn Target>, String> {
    let typed = targets::parse(&row.target, params).map_err(|error| error.to_string())?;
    let mut problems = Problems::default();
    typed.check(row.length, &mut problems);
    match problems.into_vec().into_iter().next() {
        Some(problem) => Err(problem.to_string()),
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
    let again = printed.for_export().params(Style::Kernel);
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
        } else if REFUSED_HERE.iter().any(|(target, params, _)| row.is(target, params))
            || is_in(LEFT_OUT, row)
        {
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
        } else if is_in(COMPLETED, row) {
            if let Err(error) = parse(row, &row.loaded) {
                failures.push(format!("{row}: must be completed: {error}"));
            }
            "refused by the kernel, completed here"
        } else if rows
            .iter()
            .any(|other| other.is(&row.target, &row.loaded) && !other.printed.starts_with('!'))
        {
            "refused by one kernel only"
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

fn is_in(list: &[(&str, &str)], row: &Row) -> bool {
    list.iter().any(|(target, end)| row.target == *target && row.loaded.ends_with(end))
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
        typed.lower_devices(u64::MAX);
        typed.metadata();
        typed.remaining_length(&|_| Some(u64::MAX));
        let _ = targets::redact(&target, &params);
        if problems.is_empty() {
            let again = typed.for_export().params(Style::Kernel);
            let read = targets::parse(&target, &again)
                .map_err(|error| TestCaseError::fail(format!("{target} {params}: as {again}: {error}")))?;
            let differences = read.compare(typed.as_ref()).expect("both are of one type");
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
    for (target, end) in LEFT_OUT.iter().chain(COMPLETED) {
        assert!(
            rows.iter().any(|row| row.target == *target && row.loaded.ends_with(end)),
            "{target} `{end}`"
        );
    }
    for (target, params, says, reason) in STATE {
        let needed = rows
            .iter()
            .any(|row| row.target == *target && row.loaded.contains(params) && row.printed.ends_with(says));
        assert!(needed, "{target} `{params}` -> `{says}`: {reason}");
    }
}
