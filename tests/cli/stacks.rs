//! A part of a map: named, applied, taken down.

use crate::lab::Lab;
use crate::plan::{linear, map};

/// Two stacks: `top` on `data`, and `other`.
fn two() -> String {
    let top = "[mappings.top]\ntargets = [{ type = \"linear\", device = \"@data\", length = \"4MiB\" }]\n";
    format!("[policy]\nprune = true\n{}{}{top}", linear("data", 0, 8), linear("other", 20, 1))
}

fn lab() -> (Lab, String) {
    let lab = Lab::new();
    let file = lab.write("map.toml", &map(&two()));
    (lab, file)
}

fn mount(lab: &Lab, name: &str) {
    lab.edit(|state| {
        for mapping in state["mappings"].as_array_mut().unwrap() {
            if mapping["name"] == name {
                mapping["mounts"] = ["/srv"].as_slice().into();
                mapping["open_count"] = 1.into();
            }
        }
    });
}

#[test]
fn stacks_are_named_and_tell_what_they_take() {
    let (lab, file) = lab();
    let marked = lab.write(
        "boot.toml",
        &map(&two().replace("[mappings.other]", "[mappings.other]\nboot = [\"nofail\"]")),
    );
    assert_eq!(lab.ok(["stacks", &file]), "other\ntop\n");
    assert_eq!(lab.ok(["stacks", &file, "--stack", "data", "--show", "mappings"]), "data\ntop\n");
    assert_eq!(lab.ok(["stacks", &file, "--show", "types"]), "linear\n");
    assert_eq!(lab.ok(["stacks", &file, "--show", "devices"]), "8:0\n");
    assert_eq!(lab.ok(["stacks", &marked, "--boot", "nofail"]), "other\n");
    assert_eq!(lab.json(["stacks", &marked, "--json"])["stacks"][0]["boot"][0], "nofail");
}

#[test]
fn one_stack_is_applied_and_nothing_else() {
    let (lab, file) = lab();
    let junk = lab.write("junk.toml", &map(&linear("junk", 30, 1)));
    lab.ok(["apply", &junk]);
    let plan = lab.ok(["plan", &file, "--stack", "data"]);
    assert!(plan.ends_with("Plan: 2 create.\n"), "{plan}");
    lab.ok(["apply", &file, "--stack", "data"]);
    assert_eq!(lab.ok(["list"]), "data\njunk\ntop\n");
    // The whole map prunes, and makes the other one.
    lab.ok(["apply", &file]);
    assert_eq!(lab.ok(["list"]), "data\nother\ntop\n");
    let says = lab.fails(1, ["apply", &file, "--stack", "nothing"]);
    assert!(says.contains("the map has no mapping `nothing`") && says.contains("dmctl stacks"), "{says}");
}

#[test]
fn keys_of_other_stacks_are_not_read() {
    let lab = Lab::new();
    let secret = "[mappings.secret]\ntargets = [{ type = \"crypt\", cipher = \"aes-xts-plain64\", key = { credential = \"none\" }, device = \"8:0\" }]\n";
    let file =
        lab.write("map.toml", &map(&format!("{}{secret}", linear("data", 0, 8).replace("8:0", "8:16"))));
    let readonly = std::fs::read_to_string(&file)
        .unwrap()
        .replace("[mappings.data]", "[mappings.data]\nreadonly = true");
    let file = lab.write("map.toml", &readonly);
    lab.ok(["apply", &file, "--stack", "data"]);
    assert!(lab.run(["apply", &file, "--stack", "secret"]).stderr.contains("the credential `none`"));
}

#[test]
fn how_long_apply_waits_can_be_said_anew() {
    let lab = Lab::new();
    let late = linear("data", 0, 8).replace("8:0", "/dev/late").replace("targets", "wait = \"1h\"\ntargets");
    let file = lab.write("map.toml", &map(&late));
    let says = lab.run(["apply", &file, "--wait", "0s"]);
    assert_eq!(says.code, 1, "{says:?}");
    assert!(says.stderr.contains("the lower device /dev/late does not exist"), "{says:?}");
}

#[test]
fn what_nobody_uses_goes_and_the_rest_stays() {
    let (lab, file) = lab();
    lab.ok(["apply", &file]);
    mount(&lab, "top");
    let ended = lab.run(["deactivate", &file]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stderr.contains("`top` stays: in use: mounted on /srv"), "{ended:?}");
    assert!(ended.stderr.contains("`data` stays: in use: under top"), "{ended:?}");
    assert_eq!(lab.ok(["list"]), "data\ntop\n");
}

#[test]
fn a_stack_goes_from_the_top_down() {
    let (lab, file) = lab();
    lab.ok(["apply", &file]);
    let says = lab.ok(["deactivate", &file, "--stack", "data"]);
    let at = |word| says.find(word).unwrap_or_else(|| panic!("no {word} in {says}"));
    assert!(at("- remove  top") < at("- remove  data"), "{says}");
    assert_eq!(lab.ok(["list"]), "other\n");
    // A second time there is nothing to do.
    assert_eq!(lab.ok(["deactivate", &file, "--stack", "data"]), "Nothing to do.\n");
}

#[test]
fn what_is_protected_stays_with_all_below_it() {
    let lab = Lab::new();
    let file =
        lab.write("map.toml", &map(&two().replace("[mappings.top]", "[mappings.top]\nprotect = true")));
    lab.ok(["apply", &file]);
    let ended = lab.run(["deactivate", &file]);
    assert!(ended.stderr.contains("`top` stays: the mapping is protected"), "{ended:?}");
    assert_eq!(lab.ok(["list"]), "data\ntop\n");
}

/// Another stack is as a crash or an operator left it: suspended, with a staged table, without a table.
#[test]
fn the_devices_of_another_stack_stay_as_they_are_in_every_state() {
    let (lab, file) = lab();
    lab.ok(["apply", &file]);
    for edit in [
        ("suspended", serde_json::json!(true)),
        ("inactive", serde_json::json!([{ "start": 0, "length": 8, "type": "zero", "params": "" }])),
        ("live", serde_json::Value::Null),
    ] {
        lab.edit(|state| {
            let mappings = state["mappings"].as_array_mut().unwrap();
            let other = mappings.iter_mut().find(|mapping| mapping["name"] == "other").unwrap();
            other[edit.0] = edit.1.clone();
        });
        let before = lab.ok(["info", "other"]);
        lab.ok(["apply", &file, "--stack", "top"]);
        assert_eq!(lab.ok(["info", "other"]), before, "{edit:?}");
        lab.ok(["deactivate", &file, "--stack", "top"]);
        assert_eq!(lab.ok(["info", "other"]), before, "{edit:?}");
        let saved = lab.path("plan.json");
        lab.ok(["plan", &file, "--stack", "top", "--out", &saved]);
        lab.ok(["apply", "--plan", &saved]);
        assert_eq!(lab.ok(["info", "other"]), before, "{edit:?}");
    }
}

/// Two maps of one owner: one leaves alone what the other one suspends, and says so.
#[test]
fn a_suspended_device_of_another_map_stays_suspended() {
    let lab = Lab::new();
    let frozen =
        linear("frozen", 0, 1).replace("[mappings.frozen]", "[mappings.frozen]\nstate = \"suspended\"");
    lab.ok(["apply", &lab.write("frozen.toml", &map(&frozen))]);
    let beside = lab.write("beside.toml", &map(&linear("beside", 20, 1)));
    let plan = lab.ok(["plan", &beside]);
    assert!(
        plan.contains("? warning   frozen  it is suspended, and no mapping of this map declares it"),
        "{plan}"
    );
    lab.ok(["apply", &beside]);
    assert!(lab.ok(["info", "frozen"]).contains("suspended: true"));
    let pruning =
        lab.write("pruning.toml", &map(&format!("[policy]\nprune = true\n{}", linear("beside", 20, 1))));
    lab.ok(["apply", &pruning]);
    assert_eq!(lab.ok(["list"]), "beside\n");
}

/// A key that changes in the map: the plan shows the line to write, and with it the device is kept and renamed.
#[test]
fn a_mapping_keeps_its_device_when_its_key_changes() {
    let lab = Lab::new();
    lab.ok(["apply", &lab.write("old.toml", &map(&linear("data", 0, 8)))]);
    let before = lab.ok(["info", "data"]);
    let renamed = linear("files", 0, 8);
    let plan = lab.run(["plan", &lab.write("new.toml", &map(&renamed))]).stdout;
    assert!(plan.contains("write formerly = [\"data\"]"), "{plan}");
    let kept = renamed.replace("[mappings.files]", "[mappings.files]\nformerly = [\"older\", \"data\"]");
    let file = lab.write("kept.toml", &map(&format!("[policy]\nprune = true\n{kept}")));
    let plan = lab.ok(["plan", &file]);
    assert!(plan.contains("> rename  data -> files") && plan.ends_with("Plan: 1 rename.\n"), "{plan}");
    let saved = lab.path("plan.json");
    lab.ok(["plan", &file, "--out", &saved]);
    lab.ok(["apply", "--plan", &saved]);
    assert_eq!(lab.ok(["plan", &file]), "Nothing to do.\n");
    assert!(lab.ok(["status", &file]).contains("in sync"));
    let after = lab.ok(["info", "files"]);
    let uuid = |info: &str| info.lines().find(|line| line.starts_with("uuid")).map(str::to_string);
    assert_eq!((uuid(&after), uuid(&after).unwrap().ends_with("DMCTL-lab-data")), (uuid(&before), true));
    // It is reloaded and removed by that uuid as well.
    let larger =
        linear("files", 0, 12).replace("[mappings.files]", "[mappings.files]\nformerly = [\"data\"]");
    lab.ok(["apply", &lab.write("larger.toml", &map(&larger))]);
    assert!(lab.ok(["table", "files"]).starts_with("0 24576 linear"));
    let gone = "[mappings.files]\nformerly = [\"data\"]\nstate = \"absent\"\n";
    lab.ok(["apply", &lab.write("gone.toml", &map(gone))]);
    assert_eq!(lab.ok(["list"]), "");
}

#[test]
fn an_earlier_key_belongs_to_one_mapping() {
    let lab = Lab::new();
    let former = |key: &str, start: u32| {
        linear(key, start, 1)
            .replace(&format!("[mappings.{key}]"), &format!("[mappings.{key}]\nformerly = [\"x\"]"))
    };
    let twice = lab.write("twice.toml", &map(&format!("{}{}", former("a", 0), former("b", 4))));
    assert!(lab.fails(1, ["validate", &twice]).contains("`a` and `b` were both formerly `x`"));
    let own = lab.write("own.toml", &map(&format!("{}{}", former("a", 0), linear("x", 4, 1))));
    assert!(lab.fails(1, ["validate", &own]).contains("`x` can't be an earlier key of `a`"));
}

#[test]
fn status_without_a_map_says_up_and_names_a_lower_device_that_is_gone() {
    let lab = Lab::new();
    lab.ok(["apply", &lab.write("map.toml", &map(&linear("data", 0, 8)))]);
    let status = lab.ok(["status"]);
    assert!(status.contains("up") && !status.contains("in sync"), "{status}");
    lab.edit(|state| state["mappings"][0]["live"][0]["params"] = "9:9 0".into());
    let status = lab.run(["status"]);
    assert_eq!(status.code, 2, "{status:?}");
    assert!(status.stdout.contains("its lower device 9:9 does not exist any more"), "{status:?}");
}
