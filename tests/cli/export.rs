//! `export`, `import-concise` and `graph` from the command line.

use serde_json::{Value, json};

use crate::lab::Lab;

#[test]
fn what_is_exported_can_be_planned_at_once() {
    let lab = Lab::with(&["data", "my disk"]);
    let map = lab.write("map.toml", &lab.ok(["export"]));
    assert_eq!(lab.ok(["plan", &map]), "Nothing to do.\n");
    let one = lab.ok(["export", "/dev/mapper/data"]);
    assert!(one.contains("[mappings.data]") && !one.contains("my disk"), "{one}");
    let file = lab.write("host.json", &lab.ok(["export", "--format", "json"]));
    assert_eq!(lab.ok(["plan", &map, "--kernel", &file]), "Nothing to do.\n");
}

#[test]
fn what_can_not_be_exported_is_told() {
    let lab = Lab::with(&["data"]);
    assert!(lab.fails(1, ["export", "dta"]).contains("data"));
    assert!(lab.fails(64, ["export", "data", "--format", "json"]).contains("the whole kernel"));
    let usage = lab.run(["export", "data", "--owner", "lab"]);
    assert_eq!(usage.code, 64, "{usage:?}");
    lab.ok(["create", "nothing", "--table", "0 8 zero"]);
    let says = lab.fails(1, ["export", "--format", "dm-init"]);
    assert!(says.contains("\n  nothing: the kernel makes no zero this early"), "{says}");
    assert!(lab.ok(["export", "data", "--format", "dm-init"]).starts_with("dm-mod.create=\"data,"));
}

#[test]
fn the_concise_form_is_read_from_either_side() {
    let lab = Lab::with(&["data"]);
    let concise = lab.ok(["export", "--format", "concise"]);
    let by_argument = lab.ok(["import-concise", concise.trim_end()]);
    let by_pipe = lab.run_with(["import-concise"], concise.as_bytes());
    assert_eq!((by_pipe.code, &by_pipe.stdout), (0, &by_argument));
    let map = lab.write("map.toml", &by_argument);
    assert_eq!(lab.ok(["plan", &map]), "Nothing to do.\n");
    let wrong = lab.run(["import-concise", "a,,,,0 x linear 8:0 0"]);
    assert_eq!((wrong.code, wrong.stdout.as_str()), (1, ""));
    assert!(wrong.stderr.contains("SPEC:1:6") && wrong.stderr.contains("^^^^"), "{wrong:?}");
    assert_eq!(lab.run_with(["import-concise"], b"\xff").code, 1);
}

#[test]
fn a_command_line_is_read_back_as_the_same_tables() {
    let lab = Lab::with(&["my disk"]);
    lab.edit(|state| {
        let table = serde_json::json!([{ "start": 0, "length": 8, "type": "linear", "params": "254:0 0" }]);
        let top =
            serde_json::json!({ "name": "top", "number": "254:7", "uuid": "DMCTL-lab-top", "live": table });
        state["mappings"].as_array_mut().unwrap().push(top);
    });
    let parameter = lab.ok(["export", "--format", "dm-init"]);
    assert!(
        parameter.starts_with("dm-mod.create=\"") && parameter.contains("linear /dev/dm-0 0"),
        "{parameter}"
    );
    let command_line = format!("root=/dev/dm-1 {} quiet", parameter.trim_end());
    for text in [parameter.as_str(), &parameter.replace('"', "'"), &command_line, &parameter.replace('"', "")]
    {
        let map = lab.run_with(["import-concise"], text.as_bytes());
        assert_eq!(map.code, 0, "{map:?}");
        assert!(map.stdout.contains("@my_disk") && !map.stdout.contains("/dev/dm-"), "{map:?}");
        assert_eq!(lab.ok(["plan", &lab.write("map.toml", &map.stdout)]), "Nothing to do.\n");
    }
    let open = lab.run(["import-concise", parameter.trim_end().strip_suffix('"').unwrap()]);
    assert_eq!((open.code, open.stdout.as_str()), (1, ""));
    assert!(open.stderr.contains("this quote has no other") && open.stderr.contains("SPEC:1:15"), "{open:?}");
    let other = lab.ok(["import-concise", "a,,1,rw,0 8 linear /dev/dm-5 0;b,,2,rw,0 8 linear /dev/dm-1 0"]);
    assert!(
        other.contains("No device of the text has the minor number of /dev/dm-5") && other.contains("\"@a\""),
        "{other}"
    );
    assert!(lab.run(["import-concise", "a,,1,,0 8 zero;b,,1,,0 8 zero"]).stderr.contains("minor number"));
}

#[test]
fn a_graph_comes_in_every_form() {
    let lab = Lab::with(&["data"]);
    assert!(lab.ok(["graph"]).contains("└─data"));
    for (format, begins) in [("dot", "digraph"), ("mermaid", "flowchart"), ("svg", "<svg ")] {
        assert!(lab.ok(["graph", "--format", format]).starts_with(begins));
    }
    let document = lab.json(["graph", "--json"]);
    assert_eq!((&document["format_version"], &document["nodes"][1]["name"]), (&1.into(), &"data".into()));
    let map =
        lab.write("map.toml", "format = 1\n[mappings.new]\ntargets = [{ type = 'zero', length = 8 }]\n");
    assert!(
        lab.ok(["graph", &map]).contains("zero    missing  -> create  [dmctl: new]"),
        "{}",
        lab.ok(["graph", &map])
    );
}

#[test]
fn what_may_be_another_disk_at_the_next_boot_is_told() {
    let lab = Lab::new();
    lab.ok(["create", "data", "--table", "0 8 linear 8:0 0"]);
    lab.ok(["create", "top", "--table", "0 8 linear 254:0 0"]);
    let export = |paths: Value| {
        lab.edit(|state| state["block_devices"][0]["paths"] = paths);
        lab.run(["export", "--format", "dm-init"])
    };
    for (paths, told) in [
        (json!(["/dev/sda"]), "warning: /dev/sda may be another disk at the next boot"),
        (json!(["/dev/disk/by-id/x"]), "warning: 8:0 may be another disk at the next boot"),
    ] {
        let ended = export(paths);
        assert!(ended.code == 0 && ended.stderr.contains(told), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
    let ended = export(json!(["/dev/sda1", "/dev/disk/by-partuuid/12-34"]));
    assert!(ended.code == 0 && ended.stderr.is_empty(), "{ended:?}");
}
