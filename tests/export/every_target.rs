//! Every row that a kernel was seen to print.

use dmctl::export::{self, Selection};
use dmctl::identity::Key;
use dmctl::kernel::ReadKernel;
use dmctl::kernel::simulated::Simulated;
use dmctl::targets::{self, Style};
use proptest::prelude::*;

use super::{disk, kernel, kernel_rows, mapping, planned};

/// Rows that no map can declare: type, the beginning of the parameters, why.
const LEFT_OUT: &[(&str, &str, &str)] = &[
    ("linear", "1:99 0", "its device is made when it is opened, and is not there"),
    ("thin", "Fail", "the pool has failed"),
    ("thin", "-", "the pool has failed"),
    ("thin-pool", "Fail", "the pool has failed"),
    ("unstriped", "2 16 2", "the kernel lets the index be one too large"),
];

/// The rows that were printed, by type, once each.
fn rows() -> Vec<(String, String)> {
    let all = kernel_rows::rows(include_str!("../data/roundtrip.tsv"));
    let printed = all.filter(|(.., printed)| !printed.starts_with('!'));
    let mut rows: Vec<(String, String)> =
        printed.map(|(_, target, _, printed)| (target.to_string(), printed)).collect();
    // What a kernel prints of a pool in trouble depends on the trouble.
    rows.extend(
        [("thin", "Fail"), ("thin", "-"), ("thin-pool", "Fail")]
            .map(|(kind, params)| (kind.to_string(), params.to_string())),
    );
    rows.sort();
    rows.dedup();
    rows
}

fn stays_out(kind: &str, params: &str) -> bool {
    LEFT_OUT.iter().any(|(other, begins, _)| *other == kind && params.starts_with(begins))
}

/// A kernel that has these rows, a device each, and their lower devices.
fn kernel_with(rows: &[(String, String)]) -> Simulated {
    let rams = (0..16).map(|n| disk(1, n, &format!("/dev/disk/by-id/ram-{n}")));
    let loops = (0..8).map(|n| disk(7, n, &format!("/dev/loop{n}")));
    let sda = |mut disk: dmctl::kernel::simulated::Disk| {
        // vdo prints the path that it was given.
        let first = disk.number == dmctl::identity::DevNum::new(8, 0);
        disk.paths.extend(first.then(|| "/dev/sda".to_string()));
        disk
    };
    let others = ["8:0", "8:16", "8:32", "8:48", "259:0"].into_iter().enumerate();
    let others = others.map(|(n, number)| {
        let (major, minor) = number.split_once(':').unwrap();
        sda(disk(major.parse().unwrap(), minor.parse().unwrap(), &format!("/dev/disk/by-partlabel/p{n}")))
    });
    // Lower devices of those rows that are mappings, the first a pool.
    let mut mappings =
        vec![mapping(0, "pool", Some("DMCTL-lab-pool"), 16384, "thin-pool", "1:14 1:15 128 0 0 ")];
    mappings.extend((1..16).map(|n| {
        mapping(
            n,
            &format!("below{n}"),
            Some(&format!("uuid-{n}")),
            1 << 20,
            "linear",
            &format!("1:13 {}", n << 20),
        )
    }));
    for (place, (kind, params)) in (100u32..).zip(rows) {
        let (name, uuid) = (format!("row{place}"), format!("DMCTL-lab-row{place}"));
        // As long as a whole number of stripes of any kind, and as what a tree of hashes covers.
        let length = if kind == "verity" { 2048 } else { 46080 };
        let mut row = mapping(place, &name, Some(&uuid), length, kind, params);
        row.read_only = kind == "verity";
        mappings.push(row);
    }
    kernel(rams.chain(loops).chain(others).collect(), mappings)
}

/// Words that a kernel prints and a map leaves out: target, the end of the row, the words, why.
const WORDS_LEFT_OUT: &[(&str, &str, &[&str], &str)] = &[
    ("clone", "1:0 8 0", &["0"], "no feature is what it has without a count, too"),
    ("flakey", " 5 5 0 ", &["0"], "no feature is what it has without a count, too"),
    (
        "flakey",
        " 5 5 2 error_reads error_writes",
        &["2", "error_reads", "error_writes"],
        "kernel 6.12 prints these where none was given, and 6.1 does not take them",
    ),
    ("pcache", " crc true", &["crc"], "the kernel reads another word, data_crc"),
    ("pcache", " crc false", &["crc"], "the kernel reads another word, data_crc"),
    ("inlinecrypt", " 0 0 8:0 0", &["0"], "the kernel prints the number of a key type that it does not read"),
    ("vdo", "V4 /dev/sda 262144 4096 32768 16380", &["/dev/sda"], "the best path is written"),
    ("vdo", " 16380 ack 1 bio 4", &["/dev/sda"], "the best path is written"),
    (
        "raid",
        "raid1 3 0 rebuild 0 2 254:0 1:0 254:1 1:1",
        &["3", "rebuild", "0"],
        "an order that superblocks remember",
    ),
    (
        "raid",
        "rebuild 1 region_size 2048 2 254:0 1:0 254:1 1:1",
        &["5", "rebuild", "1"],
        "an order that superblocks remember",
    ),
    (
        "raid",
        "nosync 2 254:0 1:0 254:1 1:1",
        &["nosync", "2"],
        "superblocks know what is in sync, the word does not",
    ),
];

/// Lists the words of a printed row that the map does not make again. Keys, upper case and leading zeros aside.
fn missing_words(kernel: &Simulated, text: &str, key: &str, kind: &str, params: &str) -> Vec<String> {
    let map = super::read(text);
    let mut target = map.mappings[&Key::new(key).unwrap()].rows[0].target.clone();
    let listed = kernel.list().unwrap();
    for device in target.devices_mut() {
        device.number = match device.key() {
            Some(key) => {
                let uuid = Some(map.mappings[key].uuid.clone());
                listed.iter().find(|listed| listed.uuid == uuid).map(|listed| listed.number)
            }
            None => kernel.resolve(device).unwrap(),
        };
    }
    let plain = |params: &str| -> Vec<String> {
        let plain = |word: &str| word.parse::<u64>().map_or(word.to_lowercase(), |number| number.to_string());
        targets::redact(kind, params).split_whitespace().map(plain).collect()
    };
    let mut again = plain(&target.params(Style::Redacted));
    let mut missing = Vec::new();
    for word in plain(params) {
        match again.iter().position(|other| *other == word) {
            Some(place) => drop(again.remove(place)),
            None => missing.push(word),
        }
    }
    missing
}

fn words_left_out(kind: &str, params: &str) -> &'static [&'static str] {
    let of_row = WORDS_LEFT_OUT.iter().find(|(other, part, ..)| *other == kind && params.ends_with(part));
    of_row.map_or(&[], |(_, _, words, _)| words)
}

/// Exports a kernel: the plan of that must be empty, and only what no map can declare left out.
fn holds(rows: &[(String, String)]) -> Result<(), TestCaseError> {
    let kernel = kernel_with(rows);
    let text = export::map(&kernel, &Selection::default()).unwrap();
    let plan = planned(&kernel, &text);
    prop_assert!(plan.is_empty(), "{}", text);
    for (place, (kind, params)) in (100u32..).zip(rows) {
        let written = text.contains(&format!("[mappings.row{place}"));
        prop_assert_eq!(written, !stays_out(kind, params), "{} {}\n{}", kind, params, &text);
        prop_assert!(written || text.contains(&format!("# Left out: row{place} ")), "{}", text);
        if written {
            let missing = missing_words(&kernel, &text, &format!("row{place}"), kind, params);
            prop_assert_eq!(&missing, words_left_out(kind, params), "{} {}\n{}", kind, params, &text);
        }
    }
    Ok(())
}

#[test]
fn each_by_itself() {
    let rows = rows();
    assert!(rows.len() > 100, "{}", rows.len());
    let failures: Vec<String> = rows
        .iter()
        .filter_map(|row| holds(std::slice::from_ref(row)).err().map(|error| format!("{row:?}: {error}")))
        .collect();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), rows.len(), failures.join("\n"));
    for (kind, begins, why) in LEFT_OUT {
        let needed = rows.iter().any(|(other, params)| other == kind && params.starts_with(begins));
        assert!(needed, "no row needs this any more: {kind} {begins}: {why}");
    }
    for (kind, part, _, why) in WORDS_LEFT_OUT {
        let needed = rows.iter().any(|(other, params)| other == kind && params.ends_with(part));
        assert!(needed, "no row needs this any more: {kind} {part}: {why}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_of_them_side_by_side(rows in prop::sample::subsequence(rows(), 0..12)) {
        holds(&rows)?;
    }
}
