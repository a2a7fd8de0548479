//! The JSON of the reading verbs. Programs read it, so its shapes are part of the interface.

use serde_json::{Value, json};

use crate::lab::Lab;

#[test]
fn list() {
    let lab = Lab::with(&["data"]);
    lab.ok(["create", "my disk", "--uuid", "u", "--table", "0 2048 zero"]);
    let expected = json!({
        "format_version": 1,
        "mappings": [
            { "name": "data", "uuid": "uuid-of-data", "number": "254:0", "major": 254, "minor": 0 },
            { "name": "my disk", "uuid": "u", "number": "254:1", "major": 254, "minor": 1 },
        ],
    });
    assert_eq!(lab.json(["list", "--json"]), expected);
    assert_eq!(lab.json(["list", "--format", "json"]), expected);
    let long = lab.json(["list", "--long", "--json"]);
    assert_eq!(
        (&long["mappings"][1]["state"], &long["mappings"][1]["sectors"]),
        (&json!("active"), &json!(2048))
    );
    assert_eq!(Lab::new().json(["list", "--json"]), json!({ "format_version": 1, "mappings": [] }));
}

#[test]
fn info() {
    let lab = Lab::with(&["data"]);
    let expected = json!({
        "format_version": 1,
        "name": "data",
        "uuid": "uuid-of-data",
        "exists": true,
        "suspended": false,
        "live_table": true,
        "inactive_table": false,
        "open_count": 0,
        "event_nr": 0,
        "major": 254,
        "minor": 0,
        "read_only": false,
        "target_count": 1,
    });
    assert_eq!(lab.json(["info", "data", "--json"]), expected);
    let absent = lab.run(["info", "nothing", "--json"]);
    assert_eq!(absent.code, 1);
    let document: Value = serde_json::from_str(&absent.stdout).unwrap();
    assert_eq!(document, json!({ "format_version": 1, "name": "nothing", "exists": false }));
}

#[test]
fn table() {
    let lab = Lab::with(&["data"]);
    let expected = json!({
        "format_version": 1,
        "name": "data",
        "targets": [{ "start": 0, "length": 8, "type": "linear", "params": "8:0 0" }],
    });
    assert_eq!(lab.json(["table", "data", "--json"]), expected);
    let none = lab.json(["table", "data", "--inactive", "--json"]);
    assert_eq!(none, json!({ "format_version": 1, "name": "data", "targets": [] }));
}

#[test]
fn targets() {
    let document = Lab::new().json(["targets", "--json"]);
    assert_eq!(document["format_version"], 1);
    let targets = document["targets"].as_array().unwrap();
    assert!(targets.iter().any(|target| target["name"] == "linear" && target["version"].is_string()));
}
