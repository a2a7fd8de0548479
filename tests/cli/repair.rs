//! `repair`: what a crash left, set right from what the kernel shows alone.

use serde_json::{Value, json};

use crate::lab::Lab;

/// A stack of one owner that a crash left in every state there is, and a stranger in the same.
fn crashed() -> Lab {
    let lab = Lab::new();
    let device = |name: &str, uuid: &str, minor: u32, more: Value| {
        let mut device = json!({ "name": name, "uuid": uuid, "number": format!("254:{minor}") });
        device.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        device
    };
    let zero = || json!([{ "start": 0, "length": 8, "type": "zero", "params": "" }]);
    let on =
        |lower: &str| json!([{ "start": 0, "length": 8, "type": "linear", "params": format!("{lower} 0") }]);
    lab.edit(|state| {
        state["mappings"] = json!([
            // The upper one comes first by name.
            device("a-top", "DMCTL-lab-a-top", 1, json!({ "live": on("254:2"), "suspended": true })),
            device(
                "low",
                "DMCTL-lab-low",
                2,
                json!({
                "live": zero(), "inactive": zero(), "suspended": true, "open_count": 2 })
            ),
            device("left", "DMCTL-lab-left", 3, json!({ "live": on("254:2"), "inactive": zero() })),
            device("shell", "DMCTL-lab-shell", 4, json!({ "inactive": zero(), "suspended": true })),
            device("dmctl-moving-lab-data", "DMCTL-lab-data", 5, json!({ "live": zero() })),
            device("other", "DMCTL-other-x", 6, json!({ "live": zero(), "suspended": true })),
            device(
                "stranger",
                "LVM-abc",
                7,
                json!({ "live": zero(), "inactive": zero(), "suspended": true })
            ),
        ]);
    });
    lab
}

#[test]
fn everything_that_a_crash_leaves_is_set_right_once() {
    let lab = crashed();
    let shown = lab.ok(["repair", "--owner", "lab", "--dry-run"]);
    assert_eq!(lab.field("low", "suspended"), "true", "a dry run changes nothing");
    let ran = lab.run(["repair", "--owner", "lab"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, "Repaired: 5 steps.\n"));
    let done = ran.stdout;
    assert_eq!(done, shown);
    let place = |says: &str| done.find(says).unwrap_or_else(|| panic!("no {says} in\n{done}"));
    assert!(place("> resume  low") < place("> resume  a-top"), "{done}");
    assert!(place("- remove  shell") < place("> rename  dmctl-moving-lab-data -> data"), "{done}");
    assert_eq!(lab.ok(["list"]), "a-top\ndata\nleft\nlow\nother\nstranger\n");
    for name in ["a-top", "low", "left", "data"] {
        assert_eq!(lab.field(name, "suspended"), "false");
        assert_eq!(lab.field(name, "inactive_table"), "false");
    }
    for name in ["other", "stranger"] {
        assert_eq!(lab.field(name, "suspended"), "true", "{name} is somebody else's");
    }
    assert_eq!(lab.ok(["repair", "--owner", "lab"]), "Nothing to do.\n");
    // The owner of maps that name none has nothing here.
    assert_eq!(lab.ok(["repair"]), "Nothing to do.\n");
}

#[test]
fn what_cannot_be_repaired_is_told_with_the_way_out() {
    let lab = crashed();
    // The name is taken, and a program has the shell open.
    lab.edit(|state| {
        let mappings = state["mappings"].as_array_mut().unwrap();
        mappings[3]["open_count"] = 1.into();
        mappings[5]["name"] = "data".into();
    });
    let ended = lab.run(["repair", "--owner", "lab", "--json"]);
    assert_eq!(ended.code, 7, "{ended:?}");
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(document["format_version"], 1);
    assert_eq!(document["owner"], "lab");
    let actions: Vec<&str> =
        document["steps"].as_array().unwrap().iter().map(|step| step["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["resume", "resume", "clear"]);
    let left: Vec<&str> =
        document["left"].as_array().unwrap().iter().map(|left| left["name"].as_str().unwrap()).collect();
    assert_eq!(left, ["dmctl-moving-lab-data", "shell"]);
    assert!(ended.stderr.contains("shell (254:4): it has no table, and can't be removed: in use: open 1"));
    assert!(ended.stderr.contains("`dmctl apply` with that map renames it"), "{}", ended.stderr);
    assert_eq!(lab.field("low", "suspended"), "false", "the rest was done");
    assert_eq!(lab.run(["repair", "--owner", "lab", "--dry-run"]).code, 7);
}

#[test]
fn repair_waits_for_the_lock_and_knows_owners() {
    let lab = crashed();
    let held = dmctl::lock::Lock::acquire(&lab.lock(), std::time::Duration::ZERO, "this test").unwrap();
    assert!(lab.fails(5, ["repair", "--owner", "lab"]).contains("this test"));
    drop(held);
    let ended = lab.run(["repair", "--owner", "No Owner"]);
    assert_eq!(ended.code, 64, "{ended:?}");
    assert!(ended.stderr.contains("can't be an owner"), "{ended:?}");
}
