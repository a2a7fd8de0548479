//! dmsetup's concise form, there and back.

use dmctl::config::{Length, Map};
use dmctl::device::Form;
use dmctl::export::concise::{self, Spec};
use dmctl::export::{self, Selection, import};
use dmctl::kernel::simulated::Simulated;
use dmctl::targets::Style;
use dmctl::{apply, plan, policy};
use proptest::prelude::*;

use super::{disk, kernel, mapping, read};

/// Names with all that the form has a use for.
fn name() -> impl Strategy<Value = String> {
    "[a-c,;\\\\# é.]{1,12}".prop_filter("legal names only", |name| {
        dmctl::identity::Name::new(name).is_ok_and(|made| made.plain() == name.as_str())
    })
}

/// A device: name, uuid, whether it is read-only, and its count of rows, each of which uses the device before it.
fn device() -> impl Strategy<Value = (String, Option<String>, bool, Vec<bool>)> {
    let uuid = prop::option::of("[A-Z,;\\\\# é]{1,20}");
    (name(), uuid, any::<bool>(), prop::collection::vec(any::<bool>(), 1..4))
}

fn specs(devices: &[(String, Option<String>, bool, Vec<bool>)]) -> Vec<Spec> {
    let mut specs: Vec<Spec> = Vec::new();
    for (place, (name, uuid, read_only, rows)) in devices.iter().enumerate() {
        let name = dmctl::identity::Name::new(name).unwrap().kernel().to_string();
        let uuid = uuid.clone().unwrap_or_default();
        if specs.iter().any(|other| other.name == name || (!uuid.is_empty() && other.uuid == uuid)) {
            continue;
        }
        let lower = specs.last().map(|lower| lower.name.clone()).filter(|name| !name.contains('#'));
        let rows = rows.iter().enumerate().map(|(row, below)| match &lower {
            Some(lower) if *below => format!("{} 8 linear /dev/mapper/{lower} 0", row * 8),
            _ => format!("{} 8 linear /dev/disk/by-id/a,b;{place} {}", row * 8, row * 8),
        });
        let rows = rows.collect();
        specs.push(Spec { name, uuid, minor: None, read_only: *read_only, rows });
    }
    specs
}

/// The devices of a map. A mapping that is adopted had no uuid.
fn of_map(map: &Map) -> Vec<Spec> {
    let named = |mut target: Box<dyn dmctl::targets::Target>| {
        for device in target.devices_mut() {
            if let Form::Mapping(key) = &device.form {
                device.form = Form::Path(format!("/dev/mapper/{}", map.mappings[key].name.kernel()).into());
            }
        }
        target.params(Style::Redacted)
    };
    let spec = |mapping: &dmctl::config::Mapping| Spec {
        name: mapping.name.kernel().to_string(),
        uuid: if mapping.adopt { String::new() } else { mapping.uuid.text().to_string() },
        minor: None,
        read_only: mapping.readonly,
        rows: mapping
            .rows
            .iter()
            .map(|row| {
                let Length::Sectors(length) = row.length else { panic!("no length") };
                format!("{} {length} {} {}", row.start.unwrap(), row.target.kind(), named(row.target.clone()))
            })
            .collect(),
    };
    map.mappings.values().map(spec).collect()
}

fn by_name(mut specs: Vec<Spec>) -> Vec<Spec> {
    specs.sort_by(|one, two| one.name.cmp(&two.name));
    specs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_map_says_the_same(devices in prop::collection::vec(device(), 1..6)) {
        let specs = specs(&devices);
        let text = concise::print(&specs);
        let again: Vec<Spec> = concise::read(&text).unwrap().into_iter().map(|placed| placed.spec).collect();
        prop_assert_eq!(&again, &specs);
        let map = import::map("SPEC", &text, None).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(by_name(of_map(&read(&map))), by_name(specs), "{}\n{}", text, map);
    }

    #[test]
    fn any_text_has_an_answer(text in "[-a,;\\\\#\n 0-9éx]{0,40}|(.|[,;\\\\]){0,60}") {
        if let Err(error) = import::map("SPEC", &text, Some(254)) {
            let says = error.to_string();
            prop_assert!(says.starts_with("error: "), "{}", says);
        }
    }
}

#[test]
fn a_kernel_comes_up_again_from_it() {
    let disks = || vec![disk(8, 0, "/dev/disk/by-id/one")];
    let there = kernel(
        disks(),
        vec![
            mapping(0, "upper", Some("DMCTL-lab-upper"), 8, "linear", "254:2 0"),
            mapping(1, "a\\x20b", Some("DMCTL-lab-ab"), 16, "striped", "2 8 8:0 0 8:0 8"),
            mapping(2, "lower\\x2c", Some("DMCTL-lab-lower"), 8, "linear", "254:1 8"),
            mapping(3, "future", Some("DMCTL-lab-future"), 8, "error", ""),
        ],
    );
    let text = concise_of(&there);
    assert_eq!(
        text,
        "a\\\\x20b,DMCTL-lab-ab,,,0 16 striped 2 8 /dev/disk/by-id/one 0 /dev/disk/by-id/one 8;\
         future,DMCTL-lab-future,,,0 8 error;\
         lower\\\\x2c,DMCTL-lab-lower,,,0 8 linear /dev/mapper/a\\\\x20b 8;\
         upper,DMCTL-lab-upper,,,0 8 linear /dev/mapper/lower\\\\x2c 0\n"
    );
    let map = read(&import::map("SPEC", &text, None).unwrap());
    let fresh = kernel(disks(), Vec::new());
    let plan = plan::plan(&fresh, &map, &policy::Class::ALL.into_iter().collect()).unwrap();
    apply::apply(&fresh, &plan, apply::Options::default(), &mut apply::Silent).unwrap();
    assert_eq!(concise_of(&fresh), text);
}

fn concise_of(kernel: &Simulated) -> String {
    concise::write(kernel, &Selection::default()).unwrap()
}

#[test]
fn a_name_that_dmsetup_would_cut_is_stood_on_by_number() {
    let there = kernel(
        Vec::new(),
        vec![
            mapping(4, "a#b", Some("DMCTL-lab-ab"), 8, "zero", ""),
            mapping(5, "over", Some("DMCTL-lab-over"), 8, "linear", "254:4 0"),
        ],
    );
    let text = concise_of(&there);
    assert_eq!(text, "a#b,DMCTL-lab-ab,4,,0 8 zero;over,DMCTL-lab-over,,,0 8 linear 254:4 0\n");
    let map = import::map("SPEC", &text, Some(254)).unwrap();
    assert!(map.contains("device = \"@ab\"") && map.contains("name = \"a#b\""), "{map}");
    assert!(super::planned(&there, &map).is_empty());
}

#[test]
fn what_is_wrong_is_marked() {
    for (text, says) in [
        ("a,,,,0 8 linear /dev/sda", "--> SPEC:1:6"),
        ("a,,,,0 8 zero;a,,,,0 8 zero", "the same name"),
        ("a,,,,0 8 zero;a,,,,0 8 zero", "SPEC:1:15"),
        ("a,u,,,0 8 zero;b,u,,,0 8 zero", "the same name, uuid or minor number"),
        ("a,,,,0 8 linear /dev/mapper/a 0", "itself"),
        ("a,,,,8 8 zero", "starts at 8"),
        ("a/b,,,,0 8 zero", "can't be the name"),
        ("", "no device in it"),
    ] {
        let error = import::map("SPEC", text, None).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
    let key = "c0ffee11c0ffee11c0ffee11c0ffee11";
    let wrong = format!("a,,,,0 8 crypt aes-cbc-essiv:sha256 {key} x 8:0 0");
    let error = import::map("SPEC", &wrong, None).unwrap_err().to_string();
    assert!(!error.contains("c0ffee11"), "{error}");
    let right = format!("a,,,,0 8 crypt aes-cbc-essiv:sha256 {key} 0 8:0 0");
    let map = import::map("SPEC", &right, None).unwrap();
    assert!(!map.contains("c0ffee11") && map.contains("key = { file = \"/etc/dmctl/keys/a\" }"), "{map}");
}

#[test]
fn the_kernels_command_line_names_devices_as_it_finds_them() {
    let mut disks = vec![disk(8, 1, "/dev/sda1"), disk(8, 2, "/dev/sda2"), disk(8, 3, "/dev/disk/by-id/x")];
    disks[0].paths.push("/dev/disk/by-partuuid/12-34".to_string());
    let there = kernel(
        disks,
        vec![
            mapping(7, "upper", None, 8, "linear", "254:9 0"),
            mapping(9, "lower", Some("DMCTL-lab-lower"), 24, "striped", "3 8 8:1 0 8:2 0 8:3 0"),
        ],
    );
    let text = export::dm_init::write(&there, &Selection::default()).unwrap();
    assert_eq!(
        text,
        "dm-mod.create=\"lower,DMCTL-lab-lower,0,rw,0 24 striped 3 8 PARTUUID=12-34 0 /dev/sda2 0 8:3 0;\
         upper,,1,rw,0 8 linear /dev/dm-0 0\"\n"
    );
}
