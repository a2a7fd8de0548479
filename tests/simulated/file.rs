//! The file of a simulated kernel.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use dmctl::access::Access;
use dmctl::identity::DevNum;
use dmctl::kernel::simulated::{MAX_FILE, Simulated, State};
use dmctl::kernel::{ChangeKernel, ReadKernel, Removal, Slot};

use super::{disks, id, info, live, make, name};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn changes_are_written_back_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let kernel = Simulated::create(&path, &disks()).unwrap();
    kernel.save().unwrap();
    let first = fs::read_to_string(&path).unwrap();

    let kernel = Simulated::open(&path).unwrap();
    kernel.list().unwrap();
    assert!(kernel.remove(&id("absent"), Removal::Now).is_err());
    assert!(!kernel.changed(), "a read and a refusal change nothing");
    make(&kernel, "a", "0 8 linear /dev/ram0 0").unwrap();
    assert!(kernel.changed());
    assert_eq!(fs::read_to_string(&path).unwrap(), first, "written only when it is saved");
    kernel.save().unwrap();
    assert!(!kernel.changed());

    let again = Simulated::open(&path).unwrap();
    assert_eq!(live(&again, "a"), "0 8 linear 1:0 0");
    again.remove(&id("a"), Removal::Now).unwrap();
    again.save().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), first);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "no temporary file is left: {left:?}");
}

#[test]
fn the_mode_stays_and_keys_are_for_the_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let mut state = disks();
    Simulated::create(&path, &state).unwrap().save().unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let kernel = Simulated::open(&path).unwrap();
    make(&kernel, "a", "0 8 linear /dev/ram0 0").unwrap();
    kernel.save().unwrap();
    assert_eq!(mode(&path), 0o640);

    // What the words of an unknown type hold is unknown.
    state.kernel.targets.insert("future".to_string(), state.kernel.ioctl_version);
    let kernel = Simulated::create(&path, &state).unwrap();
    make(&kernel, "k", "0 8 future 00112233").unwrap();
    kernel.save().unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn a_link_to_the_file_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("state.json"), folder.path().join("link.json"));
    Simulated::create(&path, &disks()).unwrap().save().unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let kernel = Simulated::open(&link).unwrap();
    kernel.create(&name("a"), None).unwrap();
    kernel.save().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(Simulated::open(&path).unwrap().device(&id("a"), Slot::Live).unwrap().is_some());
}

#[test]
fn what_cannot_be_written_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gone").join("state.json");
    let kernel = Simulated::create(&path, &disks()).unwrap();
    let error = kernel.save().unwrap_err().to_string();
    assert!(error.contains("cannot write ") && error.contains("No such file"), "{error}");
    assert!(kernel.changed(), "it is still to be saved");
}

#[test]
fn what_is_no_state_file_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let refused = |path: &Path| Simulated::open(path).unwrap_err().to_string();
    assert!(refused(&path).contains("state.json"));
    assert!(refused(folder.path()).contains("not a regular file"));
    assert!(refused(Path::new("/dev/zero")).contains("not a regular file"));
    fs::write(&path, b"{\xff}").unwrap();
    assert!(refused(&path).contains("byte 1 is not UTF-8"));
    fs::write(&path, "{\n  \"format_version\": 1,\n  \"mapping\": []\n}").unwrap();
    assert!(refused(&path).contains("state.json:3:"), "{}", refused(&path));
    fs::File::create(&path).unwrap().set_len(MAX_FILE + 1).unwrap();
    assert!(refused(&path).contains("256 MiB"));
}

/// A state as a person or another tool would write it.
const BY_HAND: &str = r#"{
    "format_version": 1,
    "kernel": { "ioctl_version": "4.48.0", "targets": { "linear": "1.4.0", "zero": "1.2.0" } },
    "block_devices": [
        { "number": "8:0", "paths": ["/dev/sda", "/dev/disk/by-partlabel/root"], "sectors": 2048,
          "read_only": true, "holders": ["254:3", "9:0"], "mounts": [] }
    ],
    "mappings": [
        { "name": "top", "uuid": "LVM-x", "number": "254:5", "open_count": 2,
          "live_table": [ { "start": 0, "length": 8, "type": "linear", "params": "/dev/mapper/low 0" } ] },
        { "name": "low", "uuid": "", "number": "254:3", "open_count": 1, "event_nr": 7, "suspended": true,
          "live": [ { "start": 0, "length": 64, "type": "linear", "params": "/dev/disk/by-partlabel/root 0" } ],
          "inactive_table": [ { "start": 0, "length": 32, "type": "zero" } ], "inactive_read_only": true }
    ]
}"#;

#[test]
fn a_file_written_by_hand_is_understood() {
    let kernel = Simulated::new(&State::parse(BY_HAND, "x").unwrap()).unwrap();
    assert_eq!(live(&kernel, "top"), "0 8 linear 254:3 0", "paths become numbers");
    assert_eq!(live(&kernel, "low"), "0 64 linear 8:0 0");
    let low = info(&kernel, "low");
    assert_eq!((low.open_count, low.event_nr, low.suspended, low.uuid), (1, 7, true, None));
    assert_eq!(info(&kernel, "top").open_count, 2);
    let holders = kernel.users(DevNum::new(8, 0)).unwrap().holders;
    assert_eq!(holders, [DevNum::new(9, 0), DevNum::new(254, 3)]);
    assert_eq!(kernel.create(&name("new"), None).unwrap(), DevNum::new(254, 0), "the lowest free number");
    kernel.load(&id("top"), &dmctl::table::parse_table("0 8 zero").unwrap(), Access::Writable).unwrap();
    kernel.resume(&id("top")).unwrap();
    assert_eq!(info(&kernel, "low").open_count, 0, "it was open for the table of `top` alone");
    assert_eq!(info(&kernel, "top").open_count, 2, "others still have it open");
}

#[test]
fn reading_what_was_written_changes_nothing() {
    let kernel = Simulated::new(&State::parse(BY_HAND, "x").unwrap()).unwrap();
    kernel.create(&name("shell"), None).unwrap();
    kernel.load(&id("shell"), &dmctl::table::parse_table("0 8 zero").unwrap(), Access::Writable).unwrap();
    kernel.clear(&id("shell")).unwrap();
    let text = kernel.state().to_json();
    let again = Simulated::new(&State::parse(&text, "x").unwrap()).unwrap();
    assert_eq!(again.state().to_json(), text);
    assert!(text.contains("\"queue\": \"bio\""), "a cleared first table is remembered");
}

#[test]
fn a_state_that_cannot_be_is_refused_where_it_is_wrong() {
    type Change = fn(&mut State);
    let refused = |change: Change| {
        let mut state = State::parse(BY_HAND, "x").unwrap();
        change(&mut state);
        Simulated::new(&state).unwrap_err().to_string()
    };
    let cases: [(Change, &str); 14] = [
        (|s| s.mappings[1].name = "top".into(), "mappings[1] (top): another mapping has this name"),
        (|s| s.mappings[1].name = "a/b".into(), "mappings[1] (a/b): a name can't hold"),
        (|s| s.mappings[1].name = String::new(), "1 to 127 bytes"),
        (|s| s.mappings[1].name = "n".repeat(128), "this one 128"),
        (|s| s.mappings[1].uuid = Some("LVM-x".into()), "another mapping has its uuid"),
        (|s| s.mappings[1].uuid = Some("u".repeat(129)), "at most 128 bytes"),
        (|s| s.mappings[1].number = DevNum::new(254, 5), "number 254:5, too"),
        (|s| s.mappings[1].number = DevNum::new(8, 0), "number 8:0, too"),
        (|s| s.mappings[1].number = DevNum::new(253, 0), "one major number"),
        (|s| s.mappings[0].live.as_mut().unwrap()[0].start = 8, "(top).live[0]: it starts at 8"),
        (|s| s.mappings[0].live.as_mut().unwrap()[0].length = u64::MAX, "largest device"),
        (|s| s.mappings[0].live.as_mut().unwrap()[0].length = 0, "0 sectors"),
        (|s| s.block_devices[0].sectors = u64::MAX, "block_devices[0] (8:0)"),
        (|s| s.block_devices[0].paths[0] = "sda".into(), "`sda` is not an absolute path"),
    ];
    for (change, says) in cases {
        let message = refused(change);
        assert!(message.contains(says), "{says}: {message}");
    }
}
