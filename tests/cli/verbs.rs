//! Every verb does what it says.

use crate::lab::{Lab, dmctl, ended};

#[test]
fn a_device_from_its_creation_to_its_end() {
    let lab = Lab::new();
    assert_eq!(lab.ok(["list"]), "");
    assert_eq!(lab.ok(["create", "data", "--table", "0 2048 linear /dev/sda 0"]), "");
    assert_eq!(lab.ok(["list"]), "data\n");
    assert_eq!(lab.ok(["table", "data"]), "0 2048 linear 8:0 0\n");
    lab.ok(["reload", "data", "--table", "0 2048 linear 8:0 0\n2048 8 error"]);
    assert_eq!(lab.ok(["table", "data"]), "0 2048 linear 8:0 0\n2048 8 error\n");
    lab.ok(["suspend", "data", "--no-flush", "--no-freeze"]);
    assert_eq!(lab.field("data", "suspended"), "true");
    lab.ok(["resume", "data"]);
    assert_eq!(lab.field("data", "suspended"), "false");
    lab.ok(["rename", "data", "old data"]);
    assert_eq!(lab.ok(["list"]), "old data\n");
    lab.ok(["remove", "old data"]);
    assert_eq!(lab.ok(["list"]), "");
}

#[test]
fn a_uuid_is_given_or_random() {
    let lab = Lab::new();
    lab.ok(["create", "given", "--uuid", "my-uuid", "--table", "0 8 zero"]);
    assert_eq!(lab.field("given", "uuid"), "my-uuid");
    lab.ok(["create", "random", "--table", "0 8 zero"]);
    let uuid = lab.field("random", "uuid");
    let groups: Vec<usize> = uuid.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12], "{uuid}");
    assert!(uuid.chars().all(|c| c == '-' || c.is_ascii_hexdigit()), "{uuid}");
    assert_eq!(&uuid[14..15], "4", "the version in {uuid}");
    assert!("89ab".contains(&uuid[19..20]), "the variant in {uuid}");
}

#[test]
fn a_read_only_device_stays_so() {
    let lab = Lab::new();
    lab.ok(["create", "data", "--readonly", "--table", "0 8 linear /dev/sdb 0"]);
    assert_eq!(lab.field("data", "read_only"), "true");
    lab.ok(["reload", "data", "--table", "0 16 linear /dev/sdb 0"]);
    assert_eq!(lab.field("data", "read_only"), "true");
}

#[test]
fn a_table_comes_from_standard_input_too() {
    let lab = Lab::new();
    let rows = b"# two rows\n0 8 linear /dev/sda 0\n\n8 8 zero\n";
    assert_eq!(lab.run_with(["create", "data"], rows).code, 0);
    assert_eq!(lab.ok(["table", "data"]), "0 8 linear 8:0 0\n8 8 zero\n");
    assert_eq!(lab.run_with(["reload", "data"], b"0 8 error").code, 0);
    assert_eq!(lab.ok(["table", "data"]), "0 8 error\n");
}

#[test]
fn a_reload_serves_at_once_and_leaves_nothing_behind() {
    let lab = Lab::with(&["data"]);
    lab.ok(["suspend", "data"]);
    lab.ok(["reload", "data", "--table", "0 16 zero"]);
    assert_eq!(lab.field("data", "suspended"), "false");
    assert_eq!(lab.field("data", "inactive_table"), "false");
    assert_eq!(lab.ok(["table", "data", "--inactive"]), "");
}

#[test]
fn info_prints_every_field_in_order() {
    let lab = Lab::with(&["data", "top"]);
    lab.ok(["reload", "top", "--table", "0 8 linear /dev/mapper/data 0"]);
    assert_eq!(
        lab.ok(["info", "data"]),
        "name: data\nuuid: uuid-of-data\nexists: true\nsuspended: false\nlive_table: true\n\
         inactive_table: false\nopen_count: 1\nevent_nr: 0\nmajor: 254\nminor: 0\nread_only: false\n\
         target_count: 1\nsectors: 8\nhealth: ok\ntable: 0 8 linear 8:0 0\n"
    );
}

#[test]
fn a_missing_device_does_not_exist() {
    let lab = Lab::with(&["data"]);
    let ended = lab.run(["info", "dtaa"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (1, "name: dtaa\nexists: false\n"));
    assert_eq!(ended.stderr, "error: there is no device `dtaa`\nhint: did you mean `data`?\n");
}

#[test]
fn the_long_list_has_number_uuid_state_size_and_health() {
    let lab = Lab::with(&["data", "database"]);
    lab.ok(["suspend", "database"]);
    assert_eq!(
        lab.ok(["list", "--long"]),
        "data      254:0  uuid-of-data      active     4.0 KiB  ok\n\
         database  254:1  uuid-of-database  suspended  4.0 KiB  ok\n"
    );
}

#[test]
fn names_are_understood_plain_mangled_and_as_paths() {
    let lab = Lab::new();
    lab.ok(["create", "/dev/mapper/my disk", "--table", "0 8 zero"]);
    assert_eq!(lab.ok(["list"]), "my disk\n");
    for name in ["my disk", "my\\x20disk", "/dev/mapper/my\\x20disk", "/dev/mapper/my disk", "/dev/dm-0"] {
        assert_eq!(lab.ok(["table", name]), "0 8 zero\n", "{name}");
    }
    assert!(lab.fails(1, ["table", "/dev/sda"]).contains("`/dev/sda` is not a mapped device"));
}

#[test]
fn names_that_would_move_the_cursor_are_escaped() {
    let lab = Lab::new();
    lab.edit(|state| {
        state["mappings"] = serde_json::json!([{ "name": "a\u{202e}b", "number": "254:0" }]);
    });
    assert_eq!(lab.ok(["list"]), "a\\u{202e}b\n");
    assert!(lab.ok(["info", "a\\u{202e}b"]).starts_with("name: a\\u{202e}b\n"));
}

#[test]
fn a_rename_sets_the_uuid_that_was_lacking() {
    let lab = Lab::with(&["data"]);
    assert!(lab.fails(1, ["rename", "data", "new", "--uuid", "other"]).contains("uuid-of-data"));
    lab.edit(|state| state["mappings"][0]["uuid"] = serde_json::Value::Null);
    assert_eq!(lab.field("data", "uuid"), "");
    lab.ok(["rename", "data", "new", "--uuid", "set-now"]);
    assert_eq!(lab.field("new", "uuid"), "set-now");
}

#[test]
fn an_open_device_goes_when_it_is_closed() {
    let lab = Lab::with(&["data", "top"]);
    lab.ok(["reload", "top", "--table", "0 8 linear /dev/mapper/data 0"]);
    let ended = lab.run(["remove", "data", "--deferred"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""));
    assert_eq!(ended.stderr, "`data` is open: it goes away when it is closed\n");
    assert_eq!(lab.ok(["list"]), "data\ntop\n");
    let long = lab.ok(["list", "--long"]);
    assert!(long.lines().next().unwrap().contains("  pending  "), "{long}");
    assert_eq!(lab.field("data", "deferred_remove"), "true");
    assert_eq!(lab.json(["info", "data", "--json"])["deferred_remove"], true);
    assert_eq!(lab.json(["list", "--long", "--json"])["mappings"][0]["state"], "pending");
    lab.ok(["remove", "top"]);
    assert_eq!(lab.ok(["list"]), "");
}

#[test]
fn targets_are_listed_with_their_versions() {
    let lab = Lab::new();
    let targets = lab.ok(["targets"]);
    let linear = targets.lines().find_map(|line| line.strip_prefix("linear ")).unwrap();
    assert_eq!(linear.split('.').filter(|part| part.parse::<u32>().is_ok()).count(), 3, "{targets}");
}

#[test]
fn keys_are_printed_when_they_are_asked_for_and_never_else() {
    let lab = Lab::new();
    let key = "00112233445566778899aabbccddeeff";
    let row = format!("0 8 crypt aes-cbc-essiv:sha256 {key} 0 8:0 0");
    lab.ok(["-vvv", "create", "data", "--table", &row]);
    let shown = lab.ok(["table", "data", "--show-keys"]);
    assert!(shown.contains(key), "{shown}");
    for args in [
        vec!["-vvv", "table", "data"],
        vec!["-vvv", "table", "data", "--json"],
        vec!["-vvv", "create", "data", "--table", &row],
        vec!["-vvv", "reload", "data", "--table", &row.replace("8:0", "/dev/nope")],
        vec!["-vvv", "reload", "data", "--table", &row.replace("8:0", "9:9")],
        vec!["-vvv", "create", "other", "--table", &format!("{row} too many words")],
    ] {
        let ended = lab.run(args.iter());
        assert!(!ended.stdout.contains(key) && !ended.stderr.contains(key), "{args:?}: {ended:?}");
    }
}

#[test]
fn a_new_kernel_has_the_disks_it_was_given() {
    let lab = Lab::new();
    let text = std::fs::read_to_string(lab.state()).unwrap();
    let state: serde_json::Value = serde_json::from_str(&text).unwrap();
    let disks: Vec<_> = state["block_devices"].as_array().unwrap().iter().collect();
    assert_eq!(disks.len(), 2);
    assert_eq!((&disks[0]["number"], &disks[0]["sectors"]), (&"8:0".into(), &131_072.into()));
    assert_eq!(disks[1]["read_only"], true);
}

#[test]
fn a_kernel_that_is_there_is_not_replaced_unasked() {
    let lab = Lab::with(&["data"]);
    let simulate = |args: &[&str]| ended(dmctl().arg("simulate").arg(lab.state()).args(args));
    assert_eq!(simulate(&[]).code, 1);
    assert_eq!(lab.ok(["list"]), "data\n");
    assert_eq!(simulate(&["--force"]).code, 0);
    assert_eq!(lab.ok(["list"]), "");
}

#[test]
fn a_table_that_is_always_read_only_is_loaded_so() {
    let lab = Lab::new();
    let hash = "4392712ba01368efdf14b05c76f9e4df0d53664630b5d48632ed17a137f39076";
    let table = format!("0 8 verity 1 8:0 8:0 4096 4096 1 1 sha256 {hash} 1234");
    lab.ok(["create", "root", "--table", &table]);
    assert_eq!(lab.field("root", "read_only"), "true");
    let message =
        lab.fails(6, ["create", "part", "--table", "0 8 linear PARTUUID=0a1b2c3d-02/PARTNROFF=1 0"]);
    assert!(message.contains("only the kernel's command line has") || message.contains("lsblk"), "{message}");
}

#[test]
fn a_type_whose_module_can_be_loaded_is_there_and_no_other() {
    let lab = Lab::new();
    let with = |loadable: Option<&[&str]>| {
        lab.edit(|state| {
            state["kernel"] = serde_json::json!({ "targets": { "linear": "1.4.0" } });
            if let Some(types) = loadable {
                state["kernel"]["loadable"] = types.into();
            }
        });
    };
    let zero = |name: &str| lab.run(["create", name, "--table", "0 8 zero"]);
    with(Some(&["zero"]));
    assert_eq!(zero("a").code, 0);
    // Without the list nothing that Linux has is refused.
    with(None);
    assert_eq!(zero("b").code, 0);
    assert_eq!(lab.run(["create", "c", "--table", "0 8 future"]).code, 6);
    with(Some(&["raid"]));
    let refused = zero("d");
    assert_eq!(refused.code, 6, "{refused:?}");
    assert!(refused.stderr.contains("its module `dm-zero` is missing or can't be loaded"), "{refused:?}");
    let map =
        lab.write("map.toml", "format = 1\n[mappings.e]\ntargets = [{ type = \"zero\", length = 8 }]\n");
    let refused = lab.run(["apply", &map]);
    assert!(
        refused.code == 1 && refused.stderr.contains("its module index has no module `dm-zero`"),
        "{refused:?}"
    );
    // What is exported is the same kernel.
    let again: serde_json::Value = serde_json::from_str(&lab.ok(["export", "--format", "json"])).unwrap();
    assert_eq!(again["kernel"]["loadable"], serde_json::json!(["raid"]));
}
