//! Circles of devices, told by every verb.

use serde_json::json;

use crate::lab::Lab;

const MAP: &str = "format = 1\nowner = 'lab'\n[mappings.a]\ntargets = [{ type = 'linear', length = 8, device = '/dev/mapper/over' }]\n";

/// `a` of a map, and `over` of another owner. `lower` is the device below `a`.
fn lab(lower: &str, in_flight: u64) -> Lab {
    let lab = Lab::new();
    let on =
        |lower: &str| json!([{ "start": 0, "length": 8, "type": "linear", "params": format!("{lower} 0") }]);
    lab.edit(|state| {
        state["mappings"] = json!([
            { "name": "a", "uuid": "DMCTL-lab-a", "number": "254:0", "open_count": 1, "live": on(lower), "in_flight": in_flight },
            { "name": "over", "uuid": "LVM-x", "number": "254:1", "open_count": 1, "live": on("254:0") },
        ]);
    });
    lab
}

#[test]
fn a_circle_that_a_map_would_close_is_a_conflict_that_no_flag_allows() {
    let lab = lab("8:0", 0);
    let map = lab.write("map.toml", MAP);
    let before = std::fs::read(lab.state()).unwrap();
    let says = "it depends on itself, through over (254:1)";
    for arguments in [&["plan"][..], &["apply"], &["apply", "--allow", "remap,format,loss"]] {
        let ended = lab.run([arguments, &[map.as_str()]].concat());
        assert_eq!(ended.code, 1, "{arguments:?} {ended:?}");
        assert!(format!("{}{}", ended.stdout, ended.stderr).contains(says), "{arguments:?} {ended:?}");
    }
    assert_eq!(std::fs::read(lab.state()).unwrap(), before);
    let reload = lab.run(["reload", "a", "--table", "0 8 linear /dev/mapper/over 0"]);
    assert_eq!(reload.code, 1, "{reload:?}");
    assert!(reload.stderr.contains("`a` would depend on itself, through over (254:1)"), "{reload:?}");
}

#[test]
fn a_circle_in_the_kernel_is_told_with_its_way_out() {
    let lab = lab("254:1", 0);
    let map = lab.write("map.toml", MAP);
    let map = map.as_str();
    let says = "it depends on itself, through over (254:1), in the kernel already: the first read or write would never end";
    for (arguments, code) in [
        (&["plan", map][..], 1),
        (&["status", map], 2),
        (&["status"], 2),
        (&["repair", "--owner", "lab", "--dry-run"], 7),
    ] {
        let ended = lab.run(arguments);
        assert_eq!(ended.code, code, "{arguments:?} {ended:?}");
        let text = format!("{}{}", ended.stdout, ended.stderr).replace('\n', " ");
        assert!(text.contains(says) && text.contains("`dmctl reload`"), "{arguments:?} {text}");
    }
    let graph = lab.ok(["graph"]);
    assert_eq!(graph.matches("in a circle").count(), 3, "{graph}");
    lab.ok(["reload", "a", "--table", "0 8 linear /dev/sda 0"]);
    assert!(!lab.ok(["graph"]).contains("in a circle"));
}

#[test]
fn with_requests_in_flight_only_a_reboot_ends_a_circle() {
    let lab = lab("254:1", 3);
    let map = lab.write("map.toml", &MAP.replace("/dev/mapper/over", "/dev/sda"));
    let map = map.as_str();
    for (arguments, code) in [
        (&["apply", map, "--allow", "remap"][..], 1),
        (&["status", map], 2),
        (&["repair", "--owner", "lab"], 7),
        (&["reload", "a", "--table", "0 8 linear /dev/sda 0"], 1),
        (&["suspend", "a"], 1),
    ] {
        let ended = lab.run(arguments);
        assert_eq!(ended.code, code, "{arguments:?} {ended:?}");
        let text = format!("{}{}", ended.stdout, ended.stderr);
        assert!(text.contains("only a reboot ends them"), "{arguments:?} {text}");
    }
}

#[test]
fn a_graph_shows_a_circle_through_a_loop_device_and_ends() {
    let lab = Lab::new();
    lab.edit(|state| {
        let disks = state["block_devices"].as_array_mut().unwrap();
        disks.push(json!({ "number": "7:20", "paths": ["/dev/loop20"], "sectors": 8 }));
        let live = json!([{ "start": 0, "length": 8, "type": "linear", "params": "7:20 0" }]);
        state["mappings"] = json!([
            { "name": "a", "uuid": "DMCTL-lab-a", "number": "254:0", "open_count": 1, "live": live, "holders": ["7:20"] },
        ]);
    });
    let graph = lab.ok(["graph"]);
    assert_eq!(graph.matches("in a circle").count(), 3, "{graph}");
    let status = lab.run(["status"]);
    assert!(status.code == 2 && status.stdout.contains("through loop20 (7:20)"), "{status:?}");
}
