//! Verbs that only read, on a host of which a part can't be seen: they show the rest, and tell what is missing.

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::plan::{applied, linear, map};

/// A lab of which these parts can't be seen.
fn hidden(parts: &Value) -> Lab {
    let lab = applied(&format!("{}{}", linear("data", 0, 8), linear("other", 20, 1)));
    lab.edit(|state| state["kernel"]["unseen"] = parts.clone());
    lab
}

/// Runs what must work and tell this on standard error; gives what it printed.
fn tells(lab: &Lab, args: &[&str], told: &str) -> String {
    let ended = lab.run(args);
    assert_eq!(ended.code, 0, "{args:?}: {ended:?}");
    assert!(ended.stderr.contains(told) && !ended.stderr.contains("root"), "{args:?}: {ended:?}");
    ended.stdout
}

#[test]
fn what_can_be_seen_without_sysfs_is_shown() {
    let lab = hidden(&json!(["/sys"]));
    let told = "note: can't read /sys/dev/block: permission denied";
    let graph = tells(&lab, &["graph"], told);
    assert!(graph.contains("8:0") && graph.contains("unseen") && graph.contains("─data"), "{graph}");
    assert!(!graph.contains("missing"), "{graph}");
    for format in ["dot", "mermaid", "svg"] {
        tells(&lab, &["graph", "--format", format], told);
    }
    let json: Value = serde_json::from_str(&tells(&lab, &["graph", "--json"], told)).unwrap();
    assert_eq!(json["unseen"][0]["attempt"], "read /sys/dev/block", "{json:#}");
    assert_eq!((&json["nodes"][0]["state"], &json["nodes"][0]["sectors"]), (&json!("unseen"), &Value::Null));
    let with_map = map(&format!("{}{}", linear("data", 0, 8), linear("new", 40, 1)));
    let file = lab.write("map.toml", &with_map);
    assert!(tells(&lab, &["graph", &file], told).contains("in sync"));

    assert!(tells(&lab, &["status"], told).contains("data   up"));
    let json: Value = serde_json::from_str(&tells(&lab, &["status", "--json"], told)).unwrap();
    assert_eq!(json["unseen"][0]["why"], "permission denied");
    for format in ["toml", "concise", "dm-init"] {
        assert!(tells(&lab, &["export", "--format", format], "").contains("data"), "{format}");
    }
    for args in [&["list", "--long"][..], &["info", "data"], &["table", "data"], &["repair"]] {
        tells(&lab, args, "");
    }
}

/// A rehearsal on a file without disks would answer for another host.
#[test]
fn a_whole_kernel_is_not_written_without_its_disks() {
    let lab = hidden(&json!(["/sys"]));
    let told = lab.fails(1, ["export", "--format", "json"]);
    assert!(told.contains("can't read /sys/dev/block") && told.contains("`--format toml`"), "{told}");
    assert!(!told.contains("root"), "{told}");
}

/// The file tells what the host did not show, so that a rehearsal refuses what the host refuses.
#[test]
fn a_whole_kernel_tells_what_it_does_not_hold() {
    let parts = json!(["/proc/self/mountinfo", "/proc/swaps"]);
    let lab = hidden(&parts);
    let state = lab.ok(["export", "--format", "json"]);
    let state: Value = serde_json::from_str(&state).unwrap();
    assert_eq!(state["kernel"]["unseen"], parts);
    let graph = tells(&lab, &["graph"], "note: can't read /proc/swaps: permission denied");
    assert!(graph.contains("64.0 MiB"), "{graph}");
    let shown: Value = serde_json::from_str(&lab.ok(["graph", "--json"])).unwrap();
    assert_eq!(shown["unseen"].as_array().unwrap().len(), 2);
    assert!(tells(&lab, &["status"], "").contains("up"));
}

#[test]
fn a_host_that_shows_all_of_itself_has_nothing_to_add() {
    let lab = hidden(&json!([]));
    assert!(lab.json(["graph", "--json"])["unseen"].is_null());
    assert!(lab.json(["status", "--json"])["unseen"].is_null());
    assert_eq!((lab.run(["status"]).stderr, lab.run(["graph"]).stderr), (String::new(), String::new()));
}

/// A saved plan is held against disks that must be seen.
#[test]
fn a_saved_plan_whose_disks_are_hidden_is_refused_with_the_way_out() {
    let lab = hidden(&json!([]));
    let file = lab.write("map.toml", &map(&format!("{}{}", linear("data", 0, 8), linear("new", 40, 1))));
    let plan = lab.path("plan.json");
    lab.ok(["plan", &file, "--out", &plan]);
    lab.edit(|state| state["kernel"]["unseen"] = json!(["/sys"]));
    for args in [&["apply", "--plan", &plan][..], &["show", &plan]] {
        let ended = lab.run(args);
        let told = "could not be seen: can't read /sys/dev/block: permission denied; run dmctl where /sys, /proc and /dev";
        assert!(ended.stderr.contains(told) && !ended.stderr.contains("root"), "{args:?}: {ended:?}");
    }
    assert_eq!(lab.run(["apply", "--plan", &plan]).code, 1);
}
