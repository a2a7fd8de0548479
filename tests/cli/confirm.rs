//! `apply --confirm-within`: put back unless `dmctl confirm` comes in time.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::lab::{Ended, Lab, until};
use crate::processes;

const BEFORE: &str = r#"
    format = 1
    owner = "lab"
    [mappings.grows]
    targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
    [mappings.above]
    targets = [{ type = "linear", length = 512, device = "@grows" }]
    [mappings.renamed]
    targets = [{ type = "zero", length = 8 }]
    [mappings.other]
    name = "freed"
    targets = [{ type = "error", length = 8 }]
    [mappings.goes]
    targets = [{ type = "linear", length = 64, device = "/dev/sda", offset = 8192 }]
    [mappings.anew]
    targets = [{ type = "verity", length = 64, data = { device = "/dev/sda", block_size = 4096 }, hash = { device = "/dev/sdb", block_size = 4096, start = 1 }, algorithm = "sha256", root_hash = "4392712ba01368efdf14b05c76f9e4df0d53664630b5d48632ed17a137f39076", salt = "1234" }]
"#;

const AFTER: &str = r#"
    format = 1
    owner = "lab"
    [policy]
    prune = true
    allow = ["remap"]
    [mappings.grows]
    targets = [{ type = "linear", length = 2048, device = "/dev/sda" }]
    [mappings.above]
    targets = [{ type = "linear", length = 1024, device = "@grows", offset = 512 }]
    [mappings.renamed]
    name = "freed"
    targets = [{ type = "zero", length = 8 }]
    [mappings.other]
    name = "renamed"
    targets = [{ type = "error", length = 8 }]
    [mappings.new]
    targets = [{ type = "linear", length = 64, device = "@grows", offset = 1792 }]
    [mappings.anew]
    targets = [{ type = "linear", length = 8, device = "/dev/sda", offset = 16384 }]
"#;

/// A lab in the state of the first map, and the path of the second.
fn lab() -> (Lab, String) {
    let lab = Lab::new();
    let before = lab.write("before.toml", BEFORE);
    lab.ok(["apply", &before, "--allow", "remap,format,loss"]);
    let after = lab.write("after.toml", AFTER);
    (lab, after)
}

/// What the kernel has, but for what it counts and for the numbers it gives.
pub fn picture(lab: &Lab) -> Vec<Value> {
    let text = std::fs::read_to_string(lab.state()).unwrap();
    let state: Value = serde_json::from_str(&text).unwrap();
    let mappings = state["mappings"].as_array().unwrap();
    let name =
        |number: &str| mappings.iter().find(|other| other["number"] == number).map(|other| &other["name"]);
    let mut devices: Vec<Value> = mappings.clone();
    for device in &mut devices {
        let live = device["live"].to_string();
        let words = live.split_inclusive([' ', '"']).map(|word| {
            name(word.trim_end_matches([' ', '"'])).map_or(word.to_string(), |name| format!("<{name}> "))
        });
        device["live"] = words.collect::<String>().into();
        for field in ["number", "event_nr"] {
            device.as_object_mut().unwrap().remove(field);
        }
    }
    devices.sort_by_key(|device| device["name"].to_string());
    devices
}

/// The guard's view of things, as `status` tells it.
pub fn waiting(lab: &Lab) -> Option<Value> {
    let ended = lab.run(["status", "--json"]);
    let mut document: Value = serde_json::from_str(&ended.stdout).unwrap();
    document.as_object_mut().unwrap().remove("confirm")
}

/// Waits until the guard has ended, and gives what `status` has of it then.
pub fn ends(lab: &Lab) -> Option<Value> {
    until("the end of the guard", || waiting(lab).is_none_or(|found| found["alive"] != true));
    waiting(lab)
}

pub fn pid(lab: &Lab) -> Pid {
    let found = waiting(lab).expect("a guard");
    Pid::from_raw(i32::try_from(found["pid"].as_i64().unwrap()).unwrap())
}

fn no_files_but(lab: &Lab, allowed: &[&str]) {
    let folder = lab.state().parent().unwrap().to_path_buf();
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let known = ["state.json", "state.json.lock", "before.toml", "after.toml", "plan.json"];
        assert!(known.contains(&name.as_str()) || allowed.contains(&name.as_str()), "{name} is left");
    }
}

#[test]
fn without_a_confirmation_everything_is_put_back() {
    let (lab, after) = lab();
    let before = picture(&lab);
    let done = lab.ok(["apply", &after, "--confirm-within", "2s"]);
    let last: Vec<&str> = done.lines().rev().take(2).collect();
    assert!(last[1].starts_with("Applied: ") && last[1].ends_with(" steps."), "{done}");
    assert!(last[0].starts_with("Waiting for `dmctl confirm` until "), "{done}");
    assert_ne!(picture(&lab), before);

    let status = lab.run(["status"]).stdout;
    assert!(status.starts_with("waiting for `dmctl confirm` until "), "{status}");
    let found = waiting(&lab).unwrap();
    assert_eq!((&found["phase"], &found["alive"]), (&"waiting".into(), &true.into()));
    // Nothing is built on what may be taken back.
    let refused = lab.fails(5, ["create", "more", "--table", "0 8 zero"]);
    assert!(refused.contains(&format!("process {} (`dmctl apply`)", found["pid"])), "{refused}");

    let last = ends(&lab).unwrap();
    assert_eq!(last["phase"], "put-back", "{last}");
    assert_eq!(picture(&lab), before);
    assert!(lab.run(["status"]).stdout.starts_with("not confirmed in time: "));
    let late = lab.fails(1, ["confirm"]);
    assert!(late.contains("too late: not confirmed in time: "), "{late}");
    assert_eq!(waiting(&lab), None, "it was told, and is cleared");
    no_files_but(&lab, &[]);
}

#[test]
fn what_is_confirmed_stays() {
    let (lab, after) = lab();
    lab.ok(["apply", &after, "--confirm-within", "1h"]);
    let applied = picture(&lab);
    let guard = pid(&lab).as_raw().unsigned_abs();
    assert_eq!(lab.ok(["confirm"]), "Kept.\n");
    // The lock is free at once.
    assert_eq!(lab.ok(["apply", &after]), "Nothing to do.\n");
    // What would put it back is gone.
    until("the end of the guard", || processes::has_ended(guard));
    assert_eq!(picture(&lab), applied);
    assert_eq!(waiting(&lab), None);
    assert!(lab.fails(1, ["confirm"]).contains("nothing waits"));
    no_files_but(&lab, &[]);
}

#[test]
fn a_saved_plan_can_be_put_back_too() {
    let (lab, after) = lab();
    let before = picture(&lab);
    lab.ok(["plan", &after, "--out", &lab.path("plan.json")]);
    lab.ok(["apply", "--plan", &lab.path("plan.json"), "--confirm-within", "1s"]);
    assert_eq!(ends(&lab).unwrap()["phase"], "put-back");
    assert_eq!(picture(&lab), before);
}

#[test]
fn a_guard_that_is_told_to_end_puts_back_at_once() {
    let (lab, after) = lab();
    let before = picture(&lab);
    lab.ok(["apply", &after, "--confirm-within", "1h"]);
    kill(pid(&lab), Signal::SIGTERM).unwrap();
    assert_eq!(ends(&lab).unwrap()["phase"], "put-back");
    assert_eq!(picture(&lab), before);
}

#[test]
fn the_end_of_the_terminal_is_not_the_end_of_the_guard() {
    let (lab, after) = lab();
    let before = picture(&lab);
    lab.ok(["apply", &after, "--confirm-within", "1s"]);
    kill(pid(&lab), Signal::SIGHUP).unwrap();
    assert_eq!(ends(&lab).unwrap()["phase"], "put-back");
    assert_eq!(picture(&lab), before);
}

#[test]
fn a_guard_that_is_killed_leaves_what_was_applied_and_that_is_told() {
    let (lab, after) = lab();
    lab.ok(["apply", &after, "--confirm-within", "1h"]);
    let applied = picture(&lab);
    kill(pid(&lab), Signal::SIGKILL).unwrap();
    let last = ends(&lab).unwrap();
    assert_eq!((&last["phase"], &last["alive"]), (&"waiting".into(), &false.into()));
    let status = lab.run(["status"]).stdout;
    assert!(status.contains("was killed: ") && status.contains("stay applied"), "{status}");
    assert_eq!(picture(&lab), applied);
    assert!(lab.ok(["confirm"]).starts_with("Kept: process "));
    assert_eq!(waiting(&lab), None);
    no_files_but(&lab, &[]);
}

#[test]
fn what_somebody_else_changed_meanwhile_is_left_to_them() {
    let (lab, after) = lab();
    lab.ok(["apply", &after, "--confirm-within", "1s"]);
    // Past the lock, as another program would.
    lab.edit(|state| {
        let mappings = state["mappings"].as_array_mut().unwrap();
        let new = mappings.iter_mut().find(|mapping| mapping["name"] == "anew").unwrap();
        new["live"] = serde_json::json!([{ "start": 0, "length": 16, "type": "zero", "params": "" }]);
    });
    let last = ends(&lab).unwrap();
    assert_eq!(last["phase"], "failed", "{last}");
    let left = last["left"].to_string();
    assert!(left.contains("anew was changed by another program meanwhile"), "{left}");
    assert_eq!(lab.ok(["table", "anew"]), "0 16 zero\n");
    assert_eq!(lab.ok(["table", "grows"]), "0 1024 linear 8:0 0\n");
    assert_eq!(lab.ok(["list"]), "above\nanew\nfreed\ngoes\ngrows\nrenamed\n");
    let status = lab.run(["status"]).stdout;
    assert!(status.contains("could be rolled back at") && status.contains("`dmctl info anew`"), "{status}");
    // A later apply makes that a thing of the past.
    lab.ok(["apply", &after, "--allow", "remap"]);
    assert_eq!(waiting(&lab), None);
}

#[test]
fn what_cannot_be_put_back_is_refused_or_named() {
    let lab = Lab::new();
    let map = lab.write(
        "map.toml",
        r#"
        format = 1
        [mappings.pool]
        targets = [{ type = "thin-pool", length = 1024, metadata = "@meta", data = "@data", block_size = 128 }]
        [mappings.meta]
        targets = [{ type = "linear", length = 16384, device = "/dev/sda" }]
        [mappings.data]
        targets = [{ type = "linear", length = 1024, device = "/dev/sda", offset = 65536 }]
        "#,
    );
    let before = picture(&lab);
    let apply = ["apply", &map, "--allow", "format", "--confirm-within", "1s"];
    let Ended { code, stderr, .. } = lab.run(apply);
    assert_eq!(code, 3, "{stderr}");
    assert!(
        stderr.contains("create pool [format]") && stderr.contains("without --confirm-within"),
        "{stderr}"
    );
    assert_eq!(lab.run(apply.into_iter().chain(["--dry-run"])).code, 3);
    assert_eq!(picture(&lab), before);
    no_files_but(&lab, &["map.toml"]);

    let map = lab.write(
        "map.toml",
        r#"
        format = 1
        [mappings.data]
        targets = [{ type = "dust", length = 1024, device = "/dev/sda", block_size = 512, messages = ["addbadblock 60"] }]
        "#,
    );
    let ended = lab.run(["apply", &map, "--confirm-within", "1s"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stderr.contains("warning: message data stays"), "{ended:?}");
    ends(&lab);
    assert_eq!(picture(&lab), before);
}

#[test]
fn what_ends_before_anything_is_applied_leaves_no_guard() {
    let (lab, after) = lab();
    let before = lab.path("before.toml");
    assert_eq!(lab.ok(["apply", &before, "--confirm-within", "60s"]), "Nothing to do.\n");
    for (code, args) in [
        (1, vec!["apply", "/no/such/map.toml", "--confirm-within", "60s"]),
        (64, vec!["apply", &after, "--confirm-within", "0s"]),
        (64, vec!["apply", &after, "--confirm-within", "90000s"]),
        (64, vec!["apply", &after, "--confirm-within", "soon"]),
    ] {
        let Ended { code: ended, stderr, .. } = lab.run(&args);
        assert_eq!(ended, code, "{args:?}: {stderr}");
    }
    assert_eq!(waiting(&lab), None);
    no_files_but(&lab, &[]);
}

#[test]
fn a_map_from_standard_input_is_guarded_and_its_keys_are_nowhere() {
    let lab = Lab::new();
    let key = "5a".repeat(64);
    let map = format!(
        "format = 1\n[mappings.secret]\ntargets = [{{ type = 'crypt', length = 1024, cipher = 'aes-xts-plain64', key = {{ hex = '{key}' }}, device = '/dev/sda' }}]\n"
    );
    let ended = lab.run_with(["apply", "-", "--confirm-within", "1s"], map.as_bytes());
    assert_eq!(ended.code, 0, "{ended:?}");
    let record = std::fs::read_to_string(lab.path("state.json.confirm")).unwrap();
    assert!(!record.contains("5a5a"), "{record}");
    assert_eq!(ends(&lab).unwrap()["phase"], "put-back");
    assert_eq!(lab.ok(["list"]), "");
}

#[test]
fn an_adoption_is_not_counted_as_put_back() {
    let lab = Lab::new();
    lab.ok(["create", "ad", "--table", "0 8 zero"]);
    lab.edit(|state| drop(state["mappings"][0].as_object_mut().unwrap().remove("uuid")));
    let map = lab.write(
        "adopt.toml",
        "format = 1\nowner = \"lab\"\n[mappings.ad]\nadopt = true\ntargets = [{ type = \"zero\", length = 8 }]\n[mappings.new]\ntargets = [{ type = \"zero\", length = 8 }]\n",
    );
    lab.ok(["apply", &map, "--confirm-within", "2s"]);
    let status = lab.run(["status"]).stdout;
    let sentence = status.lines().next().unwrap();
    assert!(sentence.ends_with("s from now), then rolls back 1 step; `ad` stays adopted"), "{status}");
    assert!(waiting(&lab).unwrap()["seconds_left"].as_u64().unwrap() < 2);
    let last = ends(&lab).unwrap();
    assert_eq!((&last["phase"], &last["steps"]), (&"put-back".into(), &2.into()), "{last}");
    assert_eq!(last["staying"], serde_json::json!(["`ad` stays adopted"]));
    let status = lab.run(["status"]).stdout;
    assert!(status.starts_with("not confirmed in time: rolled back 1 step at "), "{status}");
    assert!(status.lines().next().unwrap().ends_with("; `ad` stays adopted"), "{status}");
    assert_eq!(lab.ok(["list"]), "ad\n");
}

#[test]
fn what_is_in_the_place_of_the_record_hides_no_device() {
    let lab = Lab::new();
    lab.ok(["apply", &lab.write("before.toml", BEFORE), "--allow", "remap,format,loss"]);
    std::fs::create_dir(lab.path("state.json.confirm")).unwrap();
    let command = format!("`mv -T {0} {0}.old`", lab.path("state.json.confirm"));
    let status = lab.run(["status"]);
    assert_eq!(status.code, 1, "{}", status.stderr);
    assert!(
        status.stderr.contains(&command) && status.stdout.contains("grows"),
        "{} {}",
        status.stdout,
        status.stderr
    );
    let confirm = lab.run(["confirm"]);
    assert!(confirm.code == 1 && confirm.stderr.contains(&command), "{}", confirm.stderr);
}
