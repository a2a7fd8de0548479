//! Stacks, none of which holds another up.

use super::watch;
use crate::lab::{Lab, save};
use crate::watching::PATIENCE;

/// Stacks on `/dev/sda`, one that comes up when it is asked for, and one on a disk that is not there.
const STACKS: &str = r#"
    format = 1
    owner = "lab"
    [policy]
    prune = true
    [mappings.data]
    targets = [{ type = "linear", length = 2048, device = "/dev/sda" }]
    [mappings.pool]
    targets = [{ type = "linear", length = 2048, device = "/dev/sda", offset = 2048 }]
    [mappings.later]
    boot = ["noauto"]
    targets = [{ type = "linear", length = 1024, device = "@pool-later" }]
    [mappings.pool-later]
    targets = [{ type = "linear", length = 2048, device = "/dev/sda", offset = 4096 }]
"#;
const MISSING: &str = r#"
    [mappings.spare]
    boot = ["nofail"]
    targets = [{ type = "linear", length = 64, device = "/dev/disk/by-id/spare" }]
"#;

#[test]
fn a_stack_that_nobody_asked_for_is_not_missed_until_it_is_up() {
    let lab = Lab::new();
    let path = lab.write("map.toml", STACKS);
    let watching = watch(&lab, &[&path, "--apply", "--each-stack"]);
    let plan = watching.next("plan");
    assert_eq!(plan["summary"]["create"], 2, "{plan}");
    watching.next("step-done");
    watching.applied();
    assert_eq!(lab.ok(["list"]), "data\npool\n");
    // Asked for, it is followed from now on.
    lab.ok(["apply", &path, "--stack", "later"]);
    assert_eq!(watching.next("in-sync")["mappings"], 4);
    lab.ok(["remove", "later"]);
    watching.put_right();
    assert_eq!(lab.ok(["list"]), "data\nlater\npool\npool-later\n");
    // It goes down as its unit takes it down, and stays down.
    lab.ok(["deactivate", &path, "--stack", "later"]);
    assert_eq!(watching.next("in-sync")["mappings"], 2);
    watching.silent();
    watching.end();

    // Without --each-stack the map is one whole.
    let watching = watch(&lab, &[&path, "--apply"]);
    assert_eq!(watching.next("plan")["summary"]["create"], 2);
    watching.next("step-done");
    watching.applied();
    assert_eq!(lab.ok(["list"]), "data\nlater\npool\npool-later\n");
}

#[test]
fn a_stack_that_cannot_be_had_holds_no_other_up() {
    let lab = Lab::new();
    lab.ok(["create", "old", "--uuid", "DMCTL-lab-old", "--table", "0 8 linear 8:0 9000"]);
    let path = lab.write("map.toml", &format!("{STACKS}{MISSING}"));
    let watching = watch(&lab, &[&path, "--apply", "--each-stack"]);
    assert_eq!(watching.next("plan")["conflicts"][0]["mapping"], "spare");
    let refused = watching.next("refused")["error"].to_string();
    assert!(refused.contains("left out") && refused.contains("/dev/disk/by-id/spare"), "{refused}");
    let part = watching.next("plan");
    assert_eq!((&part["summary"]["create"], &part["conflicts"]), (&2.into(), &serde_json::json!([])));
    watching.next("step-done");
    watching.next("step-done");
    watching.next("applied");
    // What is left: the stack that can't be had, and what only a plan of all stacks may prune.
    assert_eq!(watching.next("plan")["summary"]["remove"], 1);
    watching.next("refused");
    watching.silent();
    assert_eq!(lab.ok(["list"]), "data\nold\npool\n");
    lab.ok(["remove", "data"]);
    watching.next("plan");
    watching.next("refused");
    watching.next("plan");
    watching.next("step-done");
    watching.next("applied");
    watching.next("plan");
    watching.next("refused");
    assert_eq!(lab.ok(["list"]), "data\nold\npool\n");
    // With nothing in the way it is one plan again.
    save(&path, STACKS);
    watching.put_right();
    assert_eq!(lab.ok(["list"]), "data\npool\n");
    watching.end();

    // Without --each-stack nothing is done.
    lab.ok(["remove", "data"]);
    save(&path, format!("{STACKS}{MISSING}"));
    let watching = watch(&lab, &[&path, "--apply"]);
    watching.next("plan");
    assert!(watching.next("refused")["error"].as_str().unwrap().contains("so nothing was changed"));
    watching.silent();
    assert_eq!(lab.ok(["list"]), "pool\n");
}

#[test]
fn a_stack_that_fails_is_found_and_left_alone() {
    let lab = Lab::new();
    // More than may be put right within a minute, and the one that fails in their midst.
    let zeros = (10..30).map(|n| {
        let kind = if n == 27 { "nonsense" } else { "zero" };
        let params = if n == 27 { ", params = \"\"" } else { "" };
        format!("[mappings.m{n}]\ntargets = [{{ type = \"{kind}\", length = 8{params} }}]\n")
    });
    let text = format!("format = 1\nowner = \"lab\"\n{}", zeros.collect::<String>());
    let path = lab.write("map.toml", &text);
    let watching = watch(&lab, &[&path, "--apply", "--each-stack"]);
    let mut held = Vec::new();
    while lab.ok(["list"]).lines().count() < 19 || held.is_empty() {
        let event = watching.events.recv_timeout(PATIENCE).expect("all but one come up");
        if event["event"] == "held" {
            held.push(event["part"].clone());
        }
    }
    assert_eq!(held, ["the stack `m27`"]);
    assert!(!lab.ok(["list"]).contains("m27"));
    watching.until_rest();
    // The others are still followed, and that one is not tried again.
    lab.ok(["remove", "m29"]);
    assert_eq!(watching.next("plan")["summary"]["create"], 2);
    assert_eq!(watching.next("plan")["summary"]["create"], 1);
    watching.next("step-done");
    watching.next("applied");
    assert_eq!(watching.next("plan")["summary"]["create"], 1);
    watching.silent();
    // Asked, it is tried again.
    watching.signal("-HUP");
    watching.next("plan");
    watching.next("failed");
    assert_eq!(watching.next("held")["part"], "the stack `m27`");
    save(&path, text.replace("nonsense", "zero").replace(", params = \"\"", ""));
    watching.put_right();
    assert_eq!(lab.ok(["list"]).lines().count(), 20);
}
