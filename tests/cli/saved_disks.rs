//! What a saved plan knows a disk by: another disk in its place, and one of which that can't be told.

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::plan::{linear, map};
use crate::saved::{is_stale, saved};

#[test]
fn another_disk_of_the_same_size_and_path_is_told() {
    type Edit = fn(&mut Value);
    let cases: [(Edit, Edit, &str); 6] = [
        (
            |disk| disk["wwid"] = "naa.1".into(),
            |disk| disk["wwid"] = "naa.2".into(),
            "`8:0` is another device now: it is known by wwid naa.2, the one of the plan by wwid naa.1",
        ),
        (
            |disk| disk["serial"] = "one".into(),
            |disk| disk["serial"] = Value::Null,
            "whether `8:0` is the device of the plan can't be told: that one was known by serial number one, this one by none; \
             let `/sys` and the links of udev show it, or make the plan again",
        ),
        (
            |_| {},
            |disk| disk["md_uuid"] = "0:1".into(),
            "can't be told: that one was known by none, this one by array uuid 0:1",
        ),
        (
            |disk| disk["backing_file"] = "/srv/a".into(),
            |disk| disk["backing_file"] = "/srv/b".into(),
            "it is known by file /srv/b, the one of the plan by file /srv/a",
        ),
        (
            |disk| disk["paths"] = json!(["/dev/sda", "/dev/disk/by-id/X"]),
            |disk| disk["paths"] = json!(["/dev/sda", "/dev/disk/by-id/Y"]),
            "it is known by /dev/disk/by-id/Y, the one of the plan by /dev/disk/by-id/X",
        ),
        (
            |disk| disk["paths"] = json!(["/dev/sda", "/dev/disk/by-id/X"]),
            |disk| disk["paths"] = json!(["/dev/sda"]),
            "can't be told: that one was known by /dev/disk/by-id/X, this one by none",
        ),
    ];
    for (before, after, says) in cases {
        let (lab, plan) = saved();
        lab.edit(|state| before(&mut state["block_devices"][0]));
        lab.ok(["plan", &lab.path("after.toml"), "--out", &plan]);
        assert!(!lab.ok(["show", &plan]).contains("Stale"));
        lab.edit(|state| after(&mut state["block_devices"][0]));
        let stderr = is_stale(&lab, &plan);
        assert!(stderr.contains(says), "{says}: {stderr}");
        // The number of the host is not the name of the disk.
        lab.fails(4, ["apply", "--plan", &plan, "--any-host"]);
        assert!(!says.contains("can't be told") || !stderr.contains("another device"), "{stderr}");
        // What is told to do works: to make the plan again.
        lab.ok(["plan", &lab.path("after.toml"), "--out", &plan]);
        lab.ok(["apply", "--plan", &plan]);
    }
}

#[test]
fn more_links_and_another_name_of_the_file_system_do_not_matter() {
    let (lab, plan) = saved();
    let paths = |lab: &Lab, paths: Value| lab.edit(|state| state["block_devices"][0]["paths"] = paths);
    paths(&lab, json!(["/dev/sda", "/dev/disk/by-id/wwn-1", "/dev/disk/by-uuid/1"]));
    lab.ok(["plan", &lab.path("after.toml"), "--out", &plan]);
    paths(
        &lab,
        json!(["/dev/sda", "/dev/disk/by-id/scsi-1", "/dev/disk/by-id/wwn-1", "/dev/disk/by-uuid/2"]),
    );
    assert!(!lab.ok(["show", &plan]).contains("Stale"));
    lab.ok(["apply", "--plan", &plan]);
}

#[test]
fn a_partition_is_known_by_its_disk_its_uuid_and_its_place() {
    type Edit = fn(&mut Value);
    let edits: [(&str, Edit); 3] = [
        ("wwid naa.9,", |state| state["block_devices"][0]["wwid"] = "naa.9".into()),
        ("partition uuid bb-01,", |state| state["block_devices"][1]["partuuid"] = "bb-01".into()),
        ("partition from sector 4096 on", |state| {
            state["block_devices"][1]["partition"]["start"] = 4096.into();
        }),
    ];
    for (says, edit) in edits {
        let lab = Lab::new();
        lab.edit(|state| {
            state["block_devices"][0]["wwid"] = "naa.1".into();
            let part = json!({ "number": "8:1", "sectors": 65536, "paths": ["/dev/sda1"], "partuuid": "aa-01",
                "partition": { "disk": "8:0", "start": 2048 } });
            state["block_devices"].as_array_mut().unwrap().insert(1, part);
        });
        let file = lab.write("part.toml", &map(&linear("data", 0, 8).replace("8:0", "/dev/sda1")));
        let plan = lab.path("plan.json");
        lab.ok(["plan", &file, "--out", &plan]);
        lab.edit(edit);
        let stderr = is_stale(&lab, &plan);
        assert!(stderr.contains("`/dev/sda1` is another device now") && stderr.contains(says), "{stderr}");
    }
}

/// A name that is not seen for a while, as in a container without `/sys`, makes the plan wait and not stale for good.
#[test]
fn a_disk_that_shows_its_name_again_is_the_one_of_the_plan() {
    let (lab, plan) = saved();
    let wwid = |wwid: Value| lab.edit(|state| state["block_devices"][0]["wwid"] = wwid);
    wwid("naa.1".into());
    lab.ok(["plan", &lab.path("after.toml"), "--out", &plan]);
    wwid(Value::Null);
    assert!(is_stale(&lab, &plan).contains("can't be told"));
    wwid("naa.1".into());
    lab.ok(["apply", "--plan", &plan]);
}
