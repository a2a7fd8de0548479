//! Tags and uuids as people write them, and hints that a map can hold.

use serde_json::json;

use crate::lab::Lab;
use crate::plan::{linear, map};

#[test]
fn a_uuid_is_found_in_capitals_and_in_small_letters() {
    let lab = Lab::new();
    lab.edit(|state| {
        state["block_devices"][0]["paths"] = json!([
            "/dev/sda",
            "/dev/disk/by-partuuid/ab12cd34-01",
            "/dev/disk/by-uuid/12AB-34CD",
            "/dev/disk/by-uuid/0fc63daf-8483-4772-8e79-3d69d8477de4",
            "/dev/disk/by-label/Data",
            "/dev/disk/by-partlabel/data"
        ]);
    });
    let plan =
        |tag: &str| lab.run(["plan", &lab.write("map.toml", &map(&linear("x", 0, 1).replace("8:0", tag)))]);
    for tag in [
        "PARTUUID=AB12CD34-01",
        "PARTUUID=ab12cd34-01",
        "PARTUUID=Ab12Cd34-01",
        "UUID=12ab-34cd",
        "UUID=12AB-34CD",
        "UUID=0FC63DAF-8483-4772-8E79-3D69D8477DE4",
        "LABEL=Data",
        "PARTLABEL=data",
    ] {
        let ended = plan(tag);
        assert_eq!(ended.code, 0, "{tag}: {ended:?}");
    }
    // A label is text.
    for tag in ["LABEL=data", "LABEL=DATA", "PARTLABEL=Data", "PARTUUID=ab12cd34-02"] {
        let ended = plan(tag);
        assert!(ended.code == 1 && ended.stdout.contains("does not exist"), "{tag}: {ended:?}");
    }
}

/// Two file systems whose uuids differ in the case alone are not mixed up: a link exactly as written is the device, as for
/// udev, and of two others neither is.
#[test]
fn two_spellings_that_are_two_devices_are_told() {
    let lab = Lab::new();
    lab.edit(|state| {
        state["block_devices"][0]["paths"] = json!(["/dev/sda", "/dev/disk/by-uuid/12AB-34CD"]);
        state["block_devices"][1]["paths"] = json!(["/dev/sdb", "/dev/disk/by-uuid/12ab-34cd"]);
        state["block_devices"][1]["read_only"] = false.into();
    });
    let plan = |uuid: &str| {
        let tag = format!("UUID={uuid}");
        lab.run(["plan", &lab.write("map.toml", &map(&linear("x", 0, 1).replace("8:0", &tag)))])
    };
    for (uuid, number) in [("12AB-34CD", "(8:0)"), ("12ab-34cd", "(8:16)")] {
        let ended = plan(uuid);
        assert!(ended.code == 0 && ended.stdout.contains(&format!("UUID={uuid} {number}")), "{ended:?}");
    }
    let ended = plan("12Ab-34Cd");
    assert!(ended.code == 1 && ended.stdout.contains("can mean /dev/disk/by-uuid/12AB-34CD"), "{ended:?}");
}

/// What a hint shows can be written into the map, and works; a uuid that no map can hold is in none.
#[test]
fn a_hint_shows_a_uuid_as_a_map_has_it() {
    for (uuid, is_held) in [("plain-1", true), ("a\"b", true), ("bytes\\xff", true), ("bytes\\xff", false)] {
        let lab = Lab::new();
        lab.ok(["create", "x", "--uuid", uuid, "--table", "0 8 zero"]);
        lab.edit(|state| state["mappings"][0]["uuid_is_bytes"] = (!is_held).into());
        let wanted = "[mappings.x]\ntargets = [{ type = \"zero\", length = 8 }]\n";
        let told = lab.run(["plan", &lab.write("map.toml", &map(wanted))]).stdout;
        let (_, hint) = told.split_once("the name `x` is taken by 254:0").unwrap_or_else(|| panic!("{told}"));
        assert_eq!(hint.contains("or write uuid = "), is_held, "{told}");
        if let Some((_, field)) = hint.split_once("or write ") {
            let (field, _) = field.split_once(" to declare").unwrap();
            let declared = wanted.replace("targets", &format!("{field}\ntargets"));
            assert_eq!(
                lab.ok(["plan", &lab.write("map.toml", &map(&declared))]),
                "Nothing to do.\n",
                "{field}"
            );
        }
        let renamed = wanted.replace("mappings.x]", "mappings.y]\nrenamed_from = \"x\"");
        let told = lab.run(["plan", &lab.write("map.toml", &map(&renamed))]).stdout;
        assert_eq!(told.contains("write uuid = "), is_held, "{told}");
    }
}
