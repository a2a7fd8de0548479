//! What came up since a plan was saved and is in its way, by name.

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::plan::{linear, map};
use crate::saved::is_stale;

/// A lab with the saved plan of a new device on 4 sectors of a disk, and the paths of its map and of the plan.
fn saved() -> (Lab, String, String) {
    let lab = Lab::new();
    let rows =
        "[mappings.new]\ntargets = [{ type = \"linear\", device = \"8:0\", offset = 8, length = 4 }]\n";
    let (file, plan) = (lab.write("map.toml", &map(rows)), lab.path("plan.json"));
    lab.ok(["plan", &file, "--out", &plan]);
    (lab, file, plan)
}

/// Each conflict is named in the text of `apply` and `show`, and in JSON.
fn is_told(lab: &Lab, plan: &str, sentence: &str) {
    let stderr = is_stale(lab, plan);
    assert!(stderr.contains(sentence), "{sentence}: {stderr}");
    assert!(!stderr.contains("other conflicts"), "{stderr}");
    let shown = lab.ok(["show", plan]);
    assert!(shown.contains(sentence), "{sentence}: {shown}");
    let json = lab.json(["show", plan, "--json"]);
    let changes = json["changes"].as_array().unwrap();
    assert!(changes.iter().any(|change| change.as_str().unwrap().contains(sentence)), "{json:#}");
}

#[test]
fn a_conflict_that_came_up_is_named() {
    type Edit = fn(&mut Value);
    let cases: [(Edit, &str); 4] = [
        (
            |state| state["block_devices"][0]["mounts"] = json!(["/srv"]),
            "there is a conflict now: new: the lower device 8:0 is mounted on /srv, so the kernel gives it to no table",
        ),
        (
            |state| state["block_devices"][0]["swap"] = true.into(),
            "there is a conflict now: new: the lower device 8:0 is swap space",
        ),
        (
            |state| state["block_devices"][0]["logical_block_size"] = 4096.into(),
            "there is a conflict now: new: the lower device 8:0 has blocks of 4096 bytes",
        ),
        (
            |state| {
                let row = json!({ "start": 0, "length": 8, "type": "linear", "params": "8:0 8" });
                let device = json!({ "name": "vg-root", "uuid": "LVM-1", "number": "254:9", "live": [row] });
                state["mappings"] = json!([device]);
            },
            "there is a conflict now: new: it would write to sectors 8 to 11 of 8:0, where `vg-root` (254:9), a device of \
             LVM, writes too",
        ),
    ];
    for (edit, sentence) in cases {
        let (lab, _, plan) = saved();
        lab.edit(edit);
        is_told(&lab, &plan, sentence);
    }
}

#[test]
fn a_conflict_that_is_gone_is_named() {
    let (lab, file, plan) = saved();
    let mounts = |mounts: Value| lab.edit(|state| state["block_devices"][0]["mounts"] = mounts);
    mounts(json!(["/srv"]));
    assert_eq!(lab.run(["plan", &file, "--out", &plan]).code, 1);
    assert!(lab.fails(1, ["apply", "--plan", &plan]).contains("mounted on /srv"));
    mounts(json!([]));
    is_told(&lab, &plan, "a conflict of the plan has gone: new: the lower device 8:0 is mounted on /srv");
    mounts(json!(["/home"]));
    is_told(&lab, &plan, "there is a conflict now: new: the lower device 8:0 is mounted on /home");
}

/// A table that can be loaded only once another device let go of the disk is loaded as late from a saved plan.
#[test]
fn loads_that_wait_do_so_in_a_saved_plan() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plans/partition-let-go-for-a-live-device");
    let lab = Lab::new();
    std::fs::copy(format!("{folder}/kernel.json"), lab.state()).unwrap();
    let (map, plan) = (format!("{folder}/map.toml"), lab.path("plan.json"));
    lab.ok(["plan", &map, "--allow", "remap", "--out", &plan]);
    lab.ok(["apply", "--plan", &plan]);
    assert_eq!(lab.ok(["plan", &map]), "Nothing to do.\n");
}

/// What another stack of the same map took since is told as by a plan that is made now.
#[test]
fn another_stack_that_came_up_since_is_named_as_such() {
    let lab = Lab::new();
    let both = |b: u32| map(&format!("{}{}", linear("a", 0, 4), linear("b", b, 4)));
    let (file, plan) = (lab.write("map.toml", &both(20)), lab.path("plan.json"));
    lab.ok(["plan", &file, "--stack", "a", "--out", &plan]);
    let other = lab.write("other.toml", &map(&linear("b", 0, 4)));
    lab.ok(["apply", &other]);
    let live = lab.run(["plan", &file, "--stack", "a"]).stdout;
    let sentence =
        "the mapping `b` of another stack, writes too; apply the whole map, or `--stack a --stack b`";
    assert!(live.contains(sentence), "{live}");
    is_told(&lab, &plan, sentence);
}
