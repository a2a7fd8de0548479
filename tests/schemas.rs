//! The JSON schemas say what the readers say: what one takes the other takes, and what one refuses for its shape the
//! other refuses.

#![allow(clippy::unwrap_used, reason = "a document that can't be read fails its test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dmctl::config;
use dmctl::kernel::simulated::{self, DiskSpec, State};
use dmctl::plan::document::Document;
use dmctl::render::{Heading, markdown};
use jsonschema::Validator;
use serde_json::{Value, json};

fn validator(schema: &Value) -> Validator {
    jsonschema::validator_for(schema).unwrap()
}

/// Every file below `folder` for which `wanted` holds.
fn files(folder: &str, wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if wanted(&path) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn a_simulated_kernel_fits_its_schema_when_it_can_be_read() {
    let schema = validator(&simulated::schema());
    let disk = json!({ "number": "8:0", "sectors": 2048 });
    let mapping = json!({ "name": "a", "number": "254:0" });
    let row = json!({ "start": 0, "length": 8, "type": "linear", "params": "8:0 0" });
    let with = |mut base: Value, key: &str, value: Value| {
        base[key] = value;
        base
    };
    let cases = [
        (json!({ "format_version": 1 }), true),
        (json!({}), false),
        (json!({ "format_version": 2 }), false),
        (json!({ "format_version": 1, "disks": [] }), false),
        (json!({ "format_version": 1, "block_devices": [disk] }), true),
        (
            json!({ "format_version": 1, "block_devices": [with(disk.clone(), "number", json!("8-0"))] }),
            false,
        ),
        (json!({ "format_version": 1, "block_devices": [with(disk.clone(), "sectors", json!(-1))] }), false),
        (json!({ "format_version": 1, "block_devices": [with(disk.clone(), "head", json!("00fF"))] }), true),
        (json!({ "format_version": 1, "block_devices": [with(disk.clone(), "head", json!("00f"))] }), false),
        (
            json!({ "format_version": 1, "block_devices": [with(disk.clone(), "holders", json!(["254:0"]))] }),
            true,
        ),
        (json!({ "format_version": 1, "mappings": [mapping] }), true),
        (json!({ "format_version": 1, "mappings": [{ "name": "a" }] }), false),
        (json!({ "format_version": 1, "mappings": [with(mapping.clone(), "uuid", Value::Null)] }), true),
        (json!({ "format_version": 1, "mappings": [with(mapping.clone(), "live", json!([row]))] }), true),
        (
            json!({ "format_version": 1, "mappings": [with(mapping.clone(), "live_table", json!([row]))] }),
            true,
        ),
        (
            json!({ "format_version": 1, "mappings": [with(mapping.clone(), "inactive_table", Value::Null)] }),
            true,
        ),
        (
            json!({ "format_version": 1, "mappings": [with(mapping.clone(), "live", json!(["0 8 zero"]))] }),
            false,
        ),
        (json!({ "format_version": 1, "mappings": [with(mapping, "queue", json!("slow"))] }), false),
        (
            json!({ "format_version": 1, "kernel": { "ioctl_version": "4.47.0", "targets": { "zero": "1.1.0" } } }),
            true,
        ),
        (json!({ "format_version": 1, "kernel": { "ioctl_version": "4.x.0" } }), false),
        (
            json!({ "format_version": 1, "pools": [{ "metadata": "8:0", "block_size": 128, "ids": [0, 7] }] }),
            true,
        ),
        (json!({ "format_version": 1, "pools": [{ "metadata": "8:0" }] }), false),
    ];
    for (document, good) in cases {
        let read = State::parse(&document.to_string(), "state.json");
        assert_eq!(read.is_ok(), good, "{document}: {read:?}");
        assert_eq!(schema.is_valid(&document), good, "{document}");
    }
}

#[test]
fn every_kernel_that_is_written_or_kept_fits_its_schema() {
    let schema = validator(&simulated::schema());
    let disks: Vec<DiskSpec> = ["/dev/sda=1GiB", "/dev/sdb=1GiB,ro"].map(|disk| disk.parse().unwrap()).into();
    let written = State::from_disks(&disks).unwrap().to_json();
    let mut texts = vec![("simulate".to_string(), written)];
    for path in files("tests", |path| path.file_name().is_some_and(|name| name == "kernel.json")) {
        texts.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
    }
    for (name, text) in texts {
        let document: Value = serde_json::from_str(&text).unwrap();
        schema
            .validate(&document)
            .unwrap_or_else(|error| panic!("{name}: {error} at {}", error.instance_path()));
    }
}

#[test]
fn every_valid_map_fits_its_schema() {
    let schema = validator(&config::schema());
    let maps =
        files("tests/configs/valid", |path| path.extension().is_some_and(|extension| extension == "toml"));
    assert!(maps.len() > 12, "only {} maps", maps.len());
    for path in maps {
        let table: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        let document = serde_json::to_value(table).unwrap();
        schema.validate(&document).unwrap_or_else(|error| {
            panic!("{}: {error} at {}", path.display(), error.instance_path());
        });
    }
}

/// The wrong maps that fit the schema all the same, with what it takes to see what is wrong. A schema sees the
/// shape of each value by itself.
const BEYOND_A_SCHEMA: &[(&str, &[&str])] = &[
    (
        "two values that have to be compared: lengths, places, sums",
        &["length-needed", "length-too-large", "start-gap", "start-not-zero", "start-overlap"],
    ),
    (
        "sectors that two mappings would use",
        &[
            "overlap-in-one-mapping",
            "overlap-on-a-mapping",
            "overlap-one-says-shared",
            "overlap-two-mappings",
            "own-sectors",
        ],
    ),
    (
        "another mapping that has to be looked at",
        &[
            "name-taken",
            "reference-absent",
            "reference-cycle",
            "reference-self",
            "reference-unknown",
            "row-not-the-first",
            "snapshot-of-its-snapshot-origin",
            "uuid-taken",
            "volume-twice",
        ],
    ),
    (
        "what one field means for another",
        &["protect-absent", "prune-without-owner", "targets-missing", "target-rules"],
    ),
    ("a number that another place may hold, and this one not", &["length-zero"]),
    ("a word that the kernel keeps for itself", &["key-reserved-as-name"]),
    ("the parts of the name of a cipher", &["crypt-cipher"]),
    ("the forms of a device that only the kernel takes", &["device-partnroff"]),
    ("what a row of parameters says", &["params-refused-by-type"]),
    ("messages that go to Device Mapper itself, whatever the target takes", &["messages-not-taken"]),
    ("the length of a name in the kernel's spelling", &["name-too-long-mangled"]),
];

#[test]
fn of_the_wrong_maps_the_schema_refuses_all_but_those_that_are_beyond_it() {
    let schema = validator(&config::schema());
    let maps =
        files("tests/configs/invalid", |path| path.extension().is_some_and(|extension| extension == "toml"));
    let mut fitting = BTreeSet::new();
    let mut refused = 0;
    for path in maps.iter().filter(|path| path.parent().is_some_and(|folder| folder.ends_with("invalid"))) {
        let Ok(text) = fs::read_to_string(path) else { continue };
        // What is no TOML never comes before a schema.
        let Ok(table) = text.parse::<toml::Table>() else { continue };
        if schema.is_valid(&serde_json::to_value(table).unwrap()) {
            fitting.insert(path.file_stem().unwrap().to_str().unwrap());
        } else {
            refused += 1;
        }
    }
    let beyond = BEYOND_A_SCHEMA.iter().flat_map(|(_, maps)| *maps).copied().collect();
    assert_eq!(fitting, beyond);
    assert!(refused > 25, "only {refused} are refused");
}

#[test]
fn a_map_of_the_wrong_shape_does_not() {
    let schema = validator(&config::schema());
    for map in [
        "owner = 'lab'",
        "format = 2",
        "format = 1\nmapping = {}",
        "format = 1\nowner = 'Lab'",
        "format = 1\n[policy]\nallow = ['everything']",
        "format = 1\n[mappings.'a b']\ntargets = []",
        "format = 1\n[mappings.a]\nstate = 'gone'",
        "format = 1\n[mappings.a]\nwait = 30",
        "format = 1\n[mappings.a]\ntargets = [{ type = 'linear', devise = '/dev/vda' }]",
        "format = 1\n[mappings.a]\ntargets = [{ type = 'crypt', cipher = 'aes', key = '00ff', device = '/dev/vda' }]",
    ] {
        let document = serde_json::to_value(map.parse::<toml::Table>().unwrap()).unwrap();
        assert!(!schema.is_valid(&document), "{map}");
    }
}

#[test]
fn every_plan_that_is_kept_fits_its_schema() {
    let schema = validator(&dmctl::render::json::plan_schema());
    let plans = files("tests/plans", |path| path.file_name().is_some_and(|name| name == "plan.json"));
    assert!(plans.len() > 20, "only {} plans", plans.len());
    for path in plans {
        let mut document: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        // Kept without the version, which is added where it is printed.
        document["format_version"] = json!(1);
        schema.validate(&document).unwrap_or_else(|error| {
            panic!("{}: {error} at {}", path.display(), error.instance_path());
        });
        document["steps"] = json!([{ "action": "explode" }]);
        assert!(!schema.is_valid(&document));
    }
}

#[test]
fn every_plan_that_is_kept_is_read_and_written_again_as_it_was() {
    for path in files("tests/plans", |path| path.file_name().is_some_and(|name| name == "plan.json")) {
        let text = fs::read_to_string(&path).unwrap();
        let plan: Document = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string_pretty(&plan).unwrap(), text.trim_end(), "{}", path.display());
    }
}

#[test]
fn a_plan_of_an_older_version_without_changes_is_drawn_as_a_new_one() {
    let mut dropped = 0;
    for path in files("tests/plans", |path| path.file_name().is_some_and(|name| name == "plan.json")) {
        let text = fs::read_to_string(&path).unwrap();
        let mut older: Value = serde_json::from_str(&text).unwrap();
        for step in older["steps"].as_array_mut().unwrap() {
            dropped += usize::from(step.as_object_mut().unwrap().remove("changes").is_some());
        }
        let (new, older): (Document, Document) =
            (serde_json::from_str(&text).unwrap(), serde_json::from_value(older).unwrap());
        let drawn = |plan: &Document| markdown(plan, &Heading::default());
        assert_eq!(drawn(&older), drawn(&new), "{}", path.display());
    }
    assert!(dropped > 20, "only {dropped} steps with changes");
}
