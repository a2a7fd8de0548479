//! Messages to targets: which are sent, and which need a word of the user.

use crate::lab::Lab;

/// A kernel with a `dust`, a pool with a volume in use, a `linear`, a raid and a target of an unknown type.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.ok(["create", "worn", "--table", "0 8 linear 8:0 0\n8 2048 dust 8:0 8 512"]);
    lab.ok(["create", "meta", "--table", "0 8192 linear 8:0 4096"]);
    lab.ok(["create", "data", "--table", "0 8192 linear 8:0 16384"]);
    lab.ok(["create", "pool", "--table", "0 8192 thin-pool /dev/mapper/meta /dev/mapper/data 128 0"]);
    lab.ok(["message", "pool", "create_thin", "1"]);
    lab.ok(["create", "volume", "--table", "0 1024 thin /dev/mapper/pool 1"]);
    lab.ok(["create", "leg1", "--table", "0 8192 linear 8:0 32768"]);
    lab.ok(["create", "leg2", "--table", "0 8192 linear 8:0 49152"]);
    let legs = "0 8192 raid raid1 3 0 region_size 1024 2 - /dev/mapper/leg1 - /dev/mapper/leg2";
    lab.ok(["create", "array", "--table", legs]);
    lab
}

#[test]
fn a_message_goes_to_the_target_of_its_sector() {
    let lab = lab();
    let refused = lab.fails(1, ["message", "worn", "addbadblock", "60"]);
    assert!(refused.contains("a `linear` target takes no messages"), "{refused}");
    assert_eq!(lab.ok(["message", "worn", "--sector", "8", "addbadblock", "60"]), "");
    assert_eq!(
        lab.ok(["message", "worn", "addbadblock", "61", "--sector", "8"]),
        "",
        "options stand anywhere"
    );
    let outside = lab.fails(1, ["message", "worn", "--sector", "9999", "enable"]);
    assert!(outside.contains("sector 9999 is outside of `worn`, which has 2056"), "{outside}");
    let unknown = lab.fails(1, ["message", "worn", "--sector", "8", "addbadblocks"]);
    assert!(unknown.contains("takes: addbadblock, removebadblock"), "{unknown}");
    lab.fails(1, ["message", "wron", "enable"]);
    lab.fails(1, ["message", "worn", "--sector", "8", "two\nlines"]);
    let document = lab.json(["message", "worn", "--sector", "8", "enable", "--json"]);
    assert_eq!(
        (&document["name"], &document["sector"], &document["answer"]),
        (&"worn".into(), &8.into(), &serde_json::Value::Null)
    );
    assert_eq!(
        lab.run_with(["message", "worn", "--sector", "8", "-"], b"disable\n").code,
        1,
        "a line end is no part of a message"
    );
    assert_eq!(lab.run_with(["message", "worn", "--sector", "8", "-"], b"disable").code, 0);
}

#[test]
fn what_loses_data_needs_a_word_of_the_user() {
    let lab = lab();
    lab.ok(["message", "pool", "create_thin", "2"]);
    let refused = lab.fails(3, ["message", "pool", "delete", "2"]);
    assert!(
        refused.contains("`delete` deletes a volume: it is of class `loss`")
            && refused.contains("--allow loss"),
        "{refused}"
    );
    assert_eq!(
        lab.run(["message", "pool", "delete", "2", "--allow", "remap"]).code,
        3,
        "another class is not enough"
    );
    lab.ok(["message", "pool", "DELETE", "2", "--allow", "loss"]);
    lab.fails(3, ["message", "array", "repair"]);
    lab.ok(["message", "array", "check"]);
    for word in ["frozen", "idle", "IDLE"] {
        let refused = lab.fails(3, ["message", "array", word, "--allow", "loss"]);
        assert!(refused.contains("an array in sync that is not"), "{refused}");
    }
    lab.fails(6, ["message", "pool", "create_thin", "1"]);
}

#[test]
fn a_volume_that_is_written_is_not_copied() {
    let lab = lab();
    let refused = lab.fails(3, ["message", "pool", "create_snap", "7", "1"]);
    assert!(
        refused.contains("volume 1 is in use as `volume`") && refused.contains("dmctl suspend volume"),
        "{refused}"
    );
    lab.ok(["suspend", "volume"]);
    lab.ok(["message", "pool", "create_snap", "7", "1"]);
    lab.ok(["resume", "volume"]);
    lab.ok(["create", "copy", "--table", "0 1024 thin /dev/mapper/pool 7"]);
}

#[test]
fn a_device_of_another_subsystem_is_left_to_its_tools() {
    let lab = lab();
    lab.ok(["create", "vg-pool", "--uuid", "LVM-abc", "--foreign", "--table", "0 2048 dust 8:0 0 512"]);
    lab.fails(3, ["message", "vg-pool", "enable"]);
    lab.ok(["message", "vg-pool", "enable", "--foreign"]);
}

#[test]
fn a_map_is_refused_a_message_that_is_never_sent_and_asks_for_one_that_loses() {
    let lab = Lab::new();
    lab.edit(|state| state["block_devices"][1]["read_only"] = false.into());
    let map = |message: &str| {
        lab.write(
            "map.toml",
            &format!(
                "format = 1\n[mappings.array]\n[[mappings.array.targets]]\ntype = \"raid\"\nlevel = \"raid1\"\nlength = \"4 MiB\"\ndevices = [{{ data = \"/dev/sda\" }}, {{ data = \"/dev/sdb\" }}]\nmessages = [\"{message}\"]\n"
            ),
        )
    };
    let refused = lab.fails(1, ["validate", &map("frozen")]);
    assert!(refused.contains("`frozen` is not sent"), "{refused}");
    let planned = lab.run(["plan", &map("repair")]);
    assert!(planned.stdout.contains("it overwrites what differs"), "{planned:?}");
}

#[test]
fn the_last_working_path_is_not_failed_unasked() {
    let lab = Lab::new();
    let table = "0 8192 multipath 0 0 1 1 round-robin 0 2 0 8:0 8:16";
    lab.ok(["create", "paths", "--table", table]);
    let words = |first: &str, second: &str| {
        lab.edit(|state| {
            let devices = state["mappings"].as_array_mut().unwrap();
            let paths = devices.iter_mut().find(|device| device["name"] == "paths").unwrap();
            let text = format!("2 0 0 0 1 1 A 0 2 0 8:0 {first} 0 8:16 {second} 0 ");
            paths["live"][0]["status"] = text.into();
        });
    };
    words("A", "A");
    lab.ok(["message", "paths", "fail_path", "8:0"]);
    words("F", "A");
    // This one does not work any more already.
    lab.ok(["message", "paths", "fail_path", "/dev/sda"]);
    for path in ["8:16", "/dev/sdb"] {
        let refused = lab.fails(3, ["message", "paths", "fail_path", path]);
        assert!(refused.contains("leaves no path") && refused.contains("--allow loss"), "{refused}");
    }
    lab.ok(["message", "paths", "fail_path", "8:16", "--allow", "loss"]);
    // What can't be told is not taken for another path that works.
    words("?", "A");
    lab.fails(3, ["message", "paths", "fail_path", "8:0"]);
}
