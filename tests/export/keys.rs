//! A key leaves the kernel in no form.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use dmctl::config;
use dmctl::export::{self, Selection};
use dmctl::kernel::simulated::{Simulated, State, StateRow};
use dmctl::keys::Places;
use dmctl::plan;
use dmctl::secret::Secret;

use super::{disk, kernel, mapping};

const KEY: &str = "c0ffee11c0ffee11c0ffee11c0ffee11";

fn secret() -> Simulated {
    let crypt = format!("aes-cbc-essiv:sha256 {KEY} 0 8:0 0");
    let integrity = format!(
        "8:1 0 32 J 7 journal_sectors:880 interleave_sectors:32768 buffer_sectors:128 journal_watermark:50 commit_time:10000 internal_hash:hmac(sha256):{KEY} journal_mac:hmac(sha256):{KEY}"
    );
    let mut waits = mapping(2, "waits", Some("DMCTL-lab-waits"), 8, "zero", "");
    waits.inactive = mapping(9, "x", None, 8, "crypt", &crypt).live;
    let mappings = vec![
        mapping(0, "crypt", Some("DMCTL-lab-crypt"), 1024, "crypt", &crypt),
        mapping(1, "tags", Some("DMCTL-lab-tags"), 1024, "integrity", &integrity),
        waits,
    ];
    kernel(vec![disk(8, 0, "/dev/vda"), disk(8, 1, "/dev/vdb")], mappings)
}

#[test]
fn no_format_holds_one() {
    let kernel = secret();
    let selection = Selection::default();
    let map = export::map(&kernel, &selection).unwrap();
    assert!(map.starts_with("# Written by `dmctl export`: "), "{map}");
    let first = map.lines().next().unwrap();
    assert!(first.contains("clears the inactive table of `waits`"), "{map}");
    let state = export::state(&kernel).unwrap().to_json();
    let concise = export::concise::write(&kernel, &selection).unwrap_err().to_string();
    let dm_init = export::dm_init::write(&kernel, &selection).unwrap_err().to_string();
    for text in [&map, &state, &concise, &dm_init] {
        assert!(!text.contains("c0ffee11"), "{text}");
    }
    assert!(map.contains("put the key of this device (16 bytes) into /etc/dmctl/keys/crypt"), "{map}");
    assert!(map.contains("/etc/dmctl/keys/tags-internal_hash-key"), "{map}");
    assert!(
        concise.contains("crypt: its crypt row holds a key (`key`), which is never written"),
        "{concise}"
    );
    assert!(state.contains("aes-cbc-essiv:sha256 <secret> 0 8:0 0"), "{state}");
}

/// Two rows with two keys, as a re-encryption leaves them that was interrupted, and more with the first one.
#[test]
fn each_key_of_a_device_has_a_file_and_is_told_once() {
    let other = KEY.replace("c0ffee11", "decade22");
    let row = |start: u64, key: &str| StateRow {
        start,
        length: 8,
        kind: "crypt".to_string(),
        params: Secret::new(format!("aes-cbc-essiv:sha256 {key} {start} 8:0 {start}")),
        status: None,
    };
    let mut device = mapping(0, "c", Some("DMCTL-lab-c"), 8, "zero", "");
    device.live = Some(vec![row(0, KEY), row(8, &other), row(16, KEY), row(24, KEY)]);
    let second = mapping(1, "c-2", None, 8, "crypt", &format!("aes-cbc-essiv:sha256 {other} 0 8:0 64"));
    let kernel = kernel(vec![disk(8, 0, "/dev/vda")], vec![device, second]);
    let map = export::map(&kernel, &Selection::default()).unwrap();
    let told = |file: &str| map.matches(&format!("into /etc/dmctl/keys/{file}, or")).count();
    let used = |file: &str| map.matches(&format!("key = {{ file = \"/etc/dmctl/keys/{file}\" }}")).count();
    assert_eq!([told("c"), told("c-3"), told("c-2")], [1, 1, 1], "{map}");
    assert_eq!([used("c"), used("c-3"), used("c-2")], [3, 1, 1], "{map}");
    assert!(!map.contains("c0ffee11") && !map.contains("decade22"), "{map}");
    let concise = export::concise::write(&kernel, &Selection::default()).unwrap_err().to_string();
    assert_eq!(concise.matches("holds a key").count(), 2, "{concise}");
    let import = format!(
        "c,,,,0 8 crypt aes-cbc-plain {KEY} 0 8:0 0,8 8 crypt aes-cbc-plain {other} 0 8:0 8,16 8 crypt aes-cbc-plain {KEY} 0 8:0 16"
    );
    let imported = export::import::map("SPEC", &import, None).unwrap();
    assert_eq!(imported.matches("into /etc/dmctl/keys/c, or").count(), 1, "{imported}");
    assert_eq!(imported.matches("into /etc/dmctl/keys/c-2, or").count(), 1, "{imported}");
}

/// The map that was exported, with its keys where it says, as far as this folder can be `/etc/dmctl/keys`.
fn with_keys(kernel: &Simulated, key: &[u8]) -> (tempfile::TempDir, config::Map) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["crypt", "tags-internal_hash-key", "tags-journal_mac-key"] {
        let path = folder.path().join(name);
        fs::write(&path, key).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    let text = export::map(kernel, &Selection::default()).unwrap();
    let text = text.replace("/etc/dmctl/keys", folder.path().to_str().unwrap());
    let mut loaded = config::parse_str("map.toml", &text);
    loaded.read_keys(&Places { credentials: None, user: nix::unistd::geteuid().as_raw() });
    let says = loaded.render();
    (folder, loaded.map.unwrap_or_else(|| panic!("{says}\n{text}")))
}

#[test]
fn with_its_key_the_map_changes_nothing_and_with_another_it_does() {
    let kernel = secret();
    let right: Vec<u8> = [0xc0, 0xff, 0xee, 0x11].repeat(4);
    let actions = |kernel: &Simulated, key: &[u8]| -> Vec<String> {
        let (_folder, map) = with_keys(kernel, key);
        let plan = plan::plan(kernel, &map, &BTreeSet::new()).unwrap();
        assert!(plan.unjudged.is_empty() && plan.conflicts.is_empty());
        plan.steps.iter().map(|step| format!("{} {}", step.action().name(), step.name)).collect()
    };
    assert_eq!(actions(&kernel, &right), ["clear waits"]);
    let other = actions(&kernel, &[7; 16]);
    assert!(other.contains(&"reload crypt".to_string()), "{other:?}");
    // The file of the whole kernel leaves keys out: there any key passes for the right one.
    let file = State::parse(&export::state(&kernel).unwrap().to_json(), "state.json").unwrap();
    let rehearsed = Simulated::new(&file).unwrap();
    assert_eq!(actions(&rehearsed, &[7; 16]), ["clear waits"]);
}
