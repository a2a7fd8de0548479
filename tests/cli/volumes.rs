//! What `dmctl volumes` tells of a pool.

use serde_json::{Value, json};

use crate::lab::Lab;

/// A pool on two pieces of a disk, a volume, a snapshot of it, and one of another program.
const MAP: &str = r#"
format = 1
owner = "lab"

[mappings.meta]
targets = [{ type = "linear", length = "4MiB", device = "/dev/sda" }]
[mappings.blocks]
targets = [{ type = "linear", length = "32MiB", device = "/dev/sda", offset = "4MiB" }]
[mappings.pool]
targets = [{ type = "thin-pool", length = "32MiB", metadata = "@meta", data = "@blocks", block_size = "64KiB" }]
[mappings.home]
targets = [{ type = "thin", length = "1GiB", pool = "@pool", id = 1, create = true }]
[mappings.backup]
targets = [{ type = "thin", length = "1GiB", pool = "@pool", id = 7, snapshot_of = 1 }]
"#;

fn lab() -> Lab {
    let lab = Lab::new();
    lab.edit(|state| state["block_devices"][0]["blank"] = json!(true));
    let map = lab.write("map.toml", MAP);
    lab.ok(["apply", &map, "--allow", "format"]);
    let pool = document(&lab, "pool")["pool"]["number"].as_str().unwrap().to_string();
    lab.ok(["create", "other", "--table", &format!("0 8 thin {pool} 7")]);
    lab.edit(|state| {
        let pool = &mut state["pools"][0];
        pool["ids"].as_array_mut().unwrap().push(json!(9));
        pool["transaction_id"] = json!(4);
        pool["volumes"]["1"]["mapped_blocks"] = json!(12);
        pool["volumes"]["9"] =
            json!({ "mapped_blocks": 1, "transaction_id": 3, "creation_time": 1, "snapshotted_time": 1 });
    });
    lab
}

fn document(lab: &Lab, pool: &str) -> Value {
    serde_json::from_str(&lab.ok(["volumes", pool, "--json"])).unwrap()
}

/// How the text begins and goes on, without the numbers of devices.
fn text(lab: &Lab, pool: &str) -> Vec<String> {
    let text = lab.ok(["volumes", pool]);
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_line_a_volume() {
    let lab = lab();
    let numbers = document(&lab, "pool");
    let number = |volume: usize, device: usize| {
        numbers["volumes"][volume]["devices"][device]["number"].as_str().unwrap().to_string()
    };
    assert_eq!(
        text(&lab, "pool"),
        [
            format!(
                "pool ({}) holds 3 volumes; data 13/512 blocks of 64.0 KiB, metadata 15/1024; transaction 4, time 1",
                numbers["pool"]["number"].as_str().unwrap()
            ),
            format!(
                "1 12 blocks (768.0 KiB) made at transaction 0, time 0 snapshotted at 1 home ({}, mapping home of lab)",
                number(0, 0)
            ),
            format!(
                "7 0 blocks (0 B) made at transaction 0, time 1 snapshotted at 1 backup ({}, mapping backup of lab), other ({})",
                number(1, 0),
                number(1, 1)
            ),
            "9 1 block (64.0 KiB) made at transaction 3, time 1 snapshotted at 1 no device".to_string(),
        ]
    );
}

#[test]
fn the_document_has_every_field() {
    let lab = lab();
    let found = document(&lab, "/dev/mapper/pool");
    assert_eq!(found["format_version"], 1);
    let pool = &found["pool"];
    assert_eq!(
        [&pool["name"], &pool["transaction_id"], &pool["time"], &pool["block_sectors"]],
        [&json!("pool"), &json!(4), &json!(1), &json!(128)]
    );
    assert_eq!(pool["data_blocks"], json!({ "used": 13, "total": 512 }));
    assert_eq!(pool["held_root_block"], Value::Null);
    let volume = &found["volumes"][0];
    assert_eq!(volume["mapped_sectors"], 12 * 128);
    let device = &volume["devices"][0];
    assert_eq!(
        [&device["owner"], &device["mapping"], &device["inactive"]],
        [&json!("lab"), &json!("home"), &json!(false)]
    );
    let other = &found["volumes"][1]["devices"][1];
    assert_eq!(
        [&other["name"], &other["owner"], &other["mapping"]],
        [&json!("other"), &Value::Null, &Value::Null]
    );
    assert_eq!(found["volumes"][2]["devices"], json!([]));
    let schema = lab.ok(["schema", "volumes"]);
    let schema = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    assert!(schema.is_valid(&found), "{:?}", schema.iter_errors(&found).collect::<Vec<_>>());
}

#[test]
fn a_volume_in_an_inactive_table_is_in_use() {
    let lab = lab();
    lab.ok(["remove", "other"]);
    let number = document(&lab, "pool")["pool"]["number"].as_str().unwrap().to_string();
    lab.ok(["create", "waits", "--table", "0 8 zero"]);
    lab.edit(|state| {
        let waits =
            state["mappings"].as_array_mut().unwrap().iter_mut().find(|it| it["name"] == "waits").unwrap();
        waits["inactive"] =
            json!([{ "start": 0, "length": 8, "type": "thin", "params": format!("{number} 9") }]);
    });
    let found = document(&lab, "pool");
    let device = &found["volumes"][2]["devices"][0];
    assert_eq!([&device["name"], &device["inactive"]], [&json!("waits"), &json!(true)]);
}

#[test]
fn a_pool_is_found_by_its_number() {
    let lab = lab();
    let number = document(&lab, "pool")["pool"]["number"].as_str().unwrap().to_string();
    assert_eq!(document(&lab, &number), document(&lab, "pool"));
    let missing = lab.run(["volumes", "254:99"]);
    assert_eq!(missing.code, 1);
    assert!(missing.stderr.contains("254:99"), "{missing:?}");
}

#[test]
fn what_is_not_a_pool_is_told() {
    let lab = lab();
    let ran = lab.run(["volumes", "home"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("`home` is not a thin pool"), "{ran:?}");
    assert!(ran.stderr.contains("`dmctl volumes pool`"), "{ran:?}");
    let ran = lab.run(["volumes", "meta"]);
    assert!(ran.code == 1 && ran.stderr.contains("`meta` is not a thin pool"), "{ran:?}");
}

#[test]
fn metadata_that_is_not_whole_is_told_with_the_way_out() {
    let lab = lab();
    for (fault, words, repair) in [
        ("needs_check", "the metadata needs a check", true),
        ("damaged", "block 1 of the metadata is damaged: its checksum is wrong", true),
        ("changing", "changes too fast", false),
    ] {
        lab.edit(|state| state["pools"][0]["fault"] = json!(fault));
        let ran = lab.run(["volumes", "pool", "--json"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
        assert!(ran.stderr.contains(words) && ran.stderr.contains("meta ("), "{ran:?}");
        assert_eq!(ran.stderr.contains("thin_repair"), repair, "{ran:?}");
    }
    lab.edit(|state| {
        let pool =
            state["mappings"].as_array_mut().unwrap().iter_mut().find(|it| it["name"] == "pool").unwrap();
        pool["live"][0]["params"] = json!("Fail");
    });
    let ran = lab.run(["volumes", "pool"]);
    assert!(
        ran.code == 1 && ran.stderr.contains("has failed") && ran.stderr.contains("thin_repair"),
        "{ran:?}"
    );
}

/// A volume that the pool has is not made, and a snapshot that is there is told not to be one of now: before and after the apply.
#[test]
fn an_apply_tells_which_volumes_were_there() {
    let lab = lab();
    lab.ok(["remove", "backup"]);
    lab.ok(["remove", "other"]);
    let kept = "volume 7 is in the pool already (made at transaction 0): it is used as it is, and is not a snapshot of volume 1 as that is now";
    let map = lab.path("map.toml");
    let plan = lab.run(["plan", &map]);
    assert!(plan.code == 0 && plan.stdout.contains(kept) && !plan.stdout.contains("create_snap"), "{plan:?}");
    let plan: Value = serde_json::from_str(&lab.run(["plan", &map, "--json"]).stdout).unwrap();
    let volume = json!([{ "id": 7, "fate": "kept", "transaction_id": 0, "snapshot_of": 1 }]);
    assert_eq!(plan["steps"][0]["volumes"], volume);
    let applied = lab.run(["apply", &map]);
    assert_eq!(applied.code, 0);
    assert!(applied.stderr.contains("Applied: 1 step."), "{applied:?}");
    assert!(applied.stderr.contains(&format!("backup: {kept}")), "{applied:?}");
}

/// Where the metadata can't be read the volume is made as before, and the plan tells why it is not known.
#[test]
fn a_pool_that_cannot_be_read_is_told_and_used() {
    let lab = lab();
    lab.ok(["remove", "backup"]);
    lab.ok(["remove", "other"]);
    lab.edit(|state| state["pools"][0]["fault"] = json!("damaged"));
    let map = lab.path("map.toml");
    let plan = lab.run(["plan", &map]);
    let words = "it makes volume 7 of backup, unless the pool has it, which is not known: block 1 of the metadata is damaged";
    assert!(plan.code == 0 && plan.stdout.contains(words), "{plan:?}");
    lab.ok(["apply", &map]);
}
