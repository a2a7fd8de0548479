//! How devices fare, beside what the map says of them: status, plan, list, info, graph.

use serde_json::Value;

use crate::lab::Lab;

/// A mirror of two legs, and a plain mapping.
const MAP: &str = r#"format = 1
[mappings.legs]
[[mappings.legs.targets]]
type = "mirror"
length = "16 MiB"
log = { type = "core", region_size = "1 MiB", sync = "sync" }
legs = [{ device = "/dev/sda" }, { device = "/dev/sda", offset = "16 MiB" }]

[mappings.plain]
[[mappings.plain.targets]]
type = "linear"
device = "/dev/sda"
offset = "32 MiB"
length = "4 MiB"
"#;

/// Applies the map, and gives the mirror these words as its state.
fn with_mirror(words: &str) -> (Lab, String) {
    let lab = Lab::new();
    let file = lab.write("map.toml", MAP);
    lab.ok(["apply", &file, "--allow", "format"]);
    set(&lab, words);
    (lab, file)
}

/// Gives the row of the mirror these words as its state.
fn set(lab: &Lab, words: &str) {
    lab.edit(|state| {
        let devices = state["mappings"].as_array_mut().unwrap();
        let mirror = devices.iter_mut().find(|device| device["name"] == "legs").unwrap();
        mirror["live"][0]["status"] = words.into();
    });
}

/// Returns the line of a device.
fn line(text: &str, name: &str) -> String {
    text.lines()
        .find(|line| line.trim_start_matches(['└', '├', '─', '│', ' ']).starts_with(name))
        .unwrap()
        .to_string()
}

const WELL: &str = "2 8:0 8:0 16/16 1 AA 1 core";
const BUSY: &str = "2 8:0 8:0 3/16 1 AA 1 core";
const DEGRADED: &str = "2 8:0 8:0 16/16 1 AD 1 core";

#[test]
fn status_tells_who_is_not_well_and_drift_counts_more() {
    let (lab, file) = with_mirror(WELL);
    assert_eq!(lab.run(["status", &file]).code, 0);
    assert!(
        line(&lab.ok(["status", &file]), "legs").trim_end().ends_with(char::is_numeric),
        "nothing is said of a device that is well"
    );

    set(&lab, BUSY);
    let busy = lab.run(["status", &file]);
    assert_eq!(busy.code, 0, "a process that runs is no fault: {busy:?}");
    assert!(line(&busy.stdout, "legs").ends_with("busy: 3/16 regions"), "{busy:?}");

    set(&lab, DEGRADED);
    let degraded = lab.run(["status", &file]);
    assert_eq!(degraded.code, 8, "{degraded:?}");
    assert!(line(&degraded.stdout, "legs").contains("in sync"), "{degraded:?}");
    assert!(line(&degraded.stdout, "legs").contains("degraded: leg"), "{degraded:?}");
    assert_eq!(lab.run(["status"]).code, 8, "without a map as well");

    let document: Value = serde_json::from_str(&lab.run(["status", &file, "--json"]).stdout).unwrap();
    let legs = &document["mappings"][0];
    assert_eq!((legs["health"].as_str(), legs["status"].as_str()), (Some("degraded"), Some("in sync")));
    assert_eq!(
        (legs["targets"][0]["type"].as_str(), legs["targets"][0]["text"].as_str()),
        (Some("mirror"), Some(DEGRADED))
    );
    assert_eq!(document["mappings"][1]["health"], "ok");

    lab.ok(["suspend", "plain"]);
    assert_eq!(lab.run(["status", &file]).code, 2, "drift and a device that is not well");
    lab.ok(["remove", "plain"]);
    let document: Value = serde_json::from_str(&lab.run(["status", &file, "--json"]).stdout).unwrap();
    assert_eq!(
        (&document["mappings"][1]["health"], &document["mappings"][1]["targets"]),
        (&Value::Null, &Value::Array(Vec::new()))
    );
}

#[test]
fn a_plan_without_steps_tells_who_is_not_well() {
    let (lab, file) = with_mirror(WELL);
    assert_eq!(lab.ok(["plan", &file]), "Nothing to do.\n");
    set(&lab, DEGRADED);
    let text = lab.ok(["plan", &file]);
    let (first, rest) = text.split_once('\n').unwrap();
    assert_eq!(first, "Nothing to do.");
    assert!(rest.contains("legs") && rest.contains("degraded: leg"), "{text}");
    let unwell = &lab.json(["plan", &file, "--json"])["unwell"];
    assert_eq!(unwell.as_array().unwrap().len(), 1, "{unwell}");
    assert!(lab.ok(["plan", &file, "--format", "markdown"]).contains("`legs` is degraded"));
    assert!(lab.ok(["plan", &file, "--format", "html"]).contains("not well"));
    lab.ok(["apply", &file]);
    set(&lab, "nonsense");
    assert!(lab.ok(["plan", &file]).contains("unknown: "), "what is not understood is not well");
}

#[test]
fn list_info_and_graph_show_health() {
    let (lab, file) = with_mirror(DEGRADED);
    assert!(line(&lab.ok(["list", "--long"]), "legs").ends_with("degraded"));
    assert!(line(&lab.ok(["list", "--long"]), "plain").ends_with("ok"));
    assert_eq!(lab.json(["list", "--long", "--json"])["mappings"][0]["health"], "degraded");

    assert_eq!(lab.field("legs", "health"), "degraded");
    assert_eq!(lab.field("legs", "sectors"), "32768");
    assert!(lab.field("legs", "table").starts_with("0 32768 mirror core "));
    assert!(lab.field("legs", "state").contains("16/16"));
    let info = lab.json(["info", "legs", "--json"]);
    assert_eq!((&info["health"], &info["targets"][0]["health"]), (&"degraded".into(), &"degraded".into()));
    let number = format!("{}:{}", info["major"], info["minor"]);
    assert_eq!(lab.json(["info", &number, "--json"]), info, "by number");

    for graph in [lab.ok(["graph"]), lab.ok(["graph", &file])] {
        assert!(line(&graph, "legs").contains("degraded: leg"), "{graph}");
        assert!(!line(&graph, "plain").contains("degraded"), "{graph}");
    }
    let graph = lab.json(["graph", "--json"]);
    let node = graph["nodes"].as_array().unwrap().iter().find(|node| node["name"] == "legs").unwrap();
    assert_eq!(node["health"], "degraded");
}

/// An array of two legs, of which the second is to be filled.
const ARRAY: &str = r#"format = 1
[mappings.array]
[[mappings.array.targets]]
type = "raid"
level = "raid1"
length = "8 MiB"
region_size = "512KiB"
rebuild = [1]
devices = [{ metadata = "@m0", data = "@d0" }, { metadata = "@m1", data = "@d1" }]
"#;

#[test]
fn a_lost_leg_is_filled_as_the_map_orders_and_once() {
    let lab = Lab::new();
    let legs = ["m0", "d0", "m1", "d1"].iter().enumerate().map(|(at, name)| {
        let row = format!("type = 'linear', length = '8MiB', device = '/dev/sda', offset = '{}MiB'", at * 8);
        format!("[mappings.{name}]\ntargets = [{{ {row} }}]\n")
    });
    let text = ARRAY.to_string() + &legs.collect::<String>();
    let file = lab.write("map.toml", &text);
    lab.ok(["apply", &file, "--allow", "format"]);
    assert!(lab.ok(["plan", &file]).contains("Nothing to do."));
    lab.edit(|state| {
        let devices = state["mappings"].as_array_mut().unwrap();
        let array = devices.iter_mut().find(|device| device["name"] == "array").unwrap();
        array["live"][0]["status"] = "raid1 2 AD 16384/16384 idle 0 0 -".into();
    });
    let status = lab.run(["status", &file]);
    assert_eq!(status.code, 2, "{status:?}");
    let told = line(&status.stdout, "array");
    assert!(told.contains("drifted") && told.contains("degraded"), "{status:?}");
    assert!(status.stdout.contains("rebuild [1] is not carried out: leg 1 is lost"), "{status:?}");

    // Without the order the leg is told, and left alone.
    let without = lab.write("without.toml", &text.replace("rebuild = [1]\n", ""));
    assert!(lab.ok(["plan", &without]).contains("Nothing to do."));

    let plan = lab.ok(["plan", &file]);
    assert!(plan.contains("~ reload") && plan.contains("[reload]"), "{plan}");
    assert!(plan.contains("rebuild 1 ") && plan.contains("leg 1 is lost"), "{plan}");
    lab.ok(["apply", &file]);
    assert!(lab.ok(["plan", &file]).contains("Nothing to do."));
    let status = lab.run(["status", &file]);
    assert_eq!(status.code, 0, "{status:?}");
}

/// A cache whose newest blocks are on the fast device alone.
const CACHE: &str = r#"format = 1
[mappings.fast]
[[mappings.fast.targets]]
type = "cache"
length = "8 MiB"
metadata = "@md"
cache = "@ssd"
origin = "@hdd"
block_size = "32KiB"
mode = "writeback"
"#;

#[test]
fn a_deactivation_tells_what_a_dirty_cache_keeps() {
    let lab = Lab::new();
    let below = ["md", "ssd", "hdd"].iter().enumerate().map(|(at, name)| {
        let row = format!("type = 'linear', length = '8MiB', device = '/dev/sda', offset = '{}MiB'", at * 8);
        format!("[mappings.{name}]\ntargets = [{{ {row} }}]\n")
    });
    let file = lab.write("map.toml", &(CACHE.to_string() + &below.collect::<String>()));
    lab.ok(["apply", &file, "--allow", "format"]);
    let dirty = |blocks: u64| {
        lab.edit(|state| {
            let devices = state["mappings"].as_array_mut().unwrap();
            let cache = devices.iter_mut().find(|device| device["name"] == "fast").unwrap();
            let words = format!(
                "8 7/2048 64 20/256 0 0 0 0 0 20 {blocks} 1 writeback 2 migration_threshold 2048 smq 0 rw - "
            );
            cache["live"][0]["status"] = words.into();
        });
    };
    dirty(1);
    let ran = lab.run(["deactivate", &file]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("1 dirty block (32.0 KiB) is on the cache alone, kept by 25"), "{ran:?}");
    assert!(ran.stdout.contains("bring it up again"), "{ran:?}");
    assert!(!ran.stdout.contains("[loss]"), "{ran:?}");
    // A clean one tells nothing.
    lab.ok(["apply", &file, "--allow", "format"]);
    dirty(0);
    let ran = lab.run(["deactivate", &file]);
    assert!(ran.code == 0 && !ran.stdout.contains("dirty"), "{ran:?}");
}
