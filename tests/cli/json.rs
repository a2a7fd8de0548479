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
        "sectors": 8,
        "table": [{ "start": 0, "length": 8, "type": "linear", "params": "8:0 0" }],
        "health": "ok",
        "targets": [{
            "start": 0,
            "length": 8,
            "type": "linear",
            "health": "ok",
            "text": null,
            "says": [],
            "progress": null,
            "left": null,
            "state": {},
        }],
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

#[test]
fn validate() {
    let lab = Lab::new();
    let good = lab.write(
        "good.toml",
        "format = 1\nowner = \"lab\"\n[mappings.a]\ntargets = [{ type = \"zero\", length = 8 }]\n",
    );
    let expected = json!({
        "format_version": 1, "valid": true, "owner": "lab", "mappings": ["a"], "errors": [], "warnings": [],
    });
    assert_eq!(lab.json(["validate", &good, "--json"]), expected);
    let key = "00112233445566778899aabbccddeeff";
    let bad = lab.write(
        "bad.toml",
        &format!(
            "format = 1\n[mappings.a]\ntargets = [{{ type = \"crypt\", key = \"{key}\", \"{key}\" = 1 }}]\n"
        ),
    );
    let ran = lab.run(["validate", &bad, "--format", "json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(!ran.stdout.contains(&key[8..16]), "{ran:?}");
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["valid"], false);
    let error = &document["errors"][0];
    assert_eq!((&error["file"], &error["line"]), (&json!(bad), &json!(3)), "{ran:?}");
    assert!(error["column"].is_number() && error["message"].is_string(), "{ran:?}");
}

#[test]
fn export() {
    let lab = Lab::with(&["data"]);
    assert_eq!(lab.json(["export", "--json"]), lab.json(["export", "--format", "json"]));
    assert_eq!(lab.run(["export", "--json", "--format", "toml"]).code, 64);
}

/// A status says how things are, not what a plan would make of them.
#[test]
fn status_of_read_only_drift() {
    let lab = Lab::new();
    let text = "format = 1\n[mappings.a]\nreadonly = true\ntargets = [{ type = \"zero\", length = 8 }]\n";
    let map = lab.write("map.toml", text);
    lab.ok(["apply", &map]);
    let says = |map: &str| {
        let ran = lab.run(["status", map, "--json"]);
        assert_eq!(ran.code, 2, "{ran:?}");
        serde_json::from_str::<Value>(&ran.stdout).unwrap()["mappings"][0]["says"].clone()
    };
    assert_eq!(
        says(&lab.write("w.toml", &text.replace("true", "false"))),
        json!(["it is read-only, the map says writable"])
    );
    lab.ok(["apply", &lab.path("w.toml")]);
    assert_eq!(says(&map), json!(["it is writable, the map says read-only"]));
}
