//! Saved plans: exactly that plan is applied, or nothing.

use std::os::unix::fs::PermissionsExt;

use dmctl::saved::{Saved, host};
use serde_json::{Value, json};

use crate::lab::{Lab, dmctl, ended};
use crate::plan::{applied, linear, map};

/// A lab with a plan in it that grows `data`, makes `new` and leaves `other` alone, and the plan's path.
pub fn saved() -> (Lab, String) {
    let lab = applied(&format!("{}{}", linear("data", 0, 8), linear("other", 32, 8)));
    let after = format!("{}{}{}", linear("data", 0, 16), linear("other", 32, 8), linear("new", 48, 4));
    let file = lab.write("after.toml", &map(&after));
    let plan = lab.path("plan.json");
    lab.ok(["plan", &file, "--out", &plan]);
    (lab, plan)
}

/// Ends with 4 and changes nothing; gives what was said.
pub fn is_stale(lab: &Lab, plan: &str) -> String {
    let before = std::fs::read_to_string(lab.state()).unwrap();
    let stderr = lab.fails(4, ["apply", "--plan", plan]);
    assert_eq!(std::fs::read_to_string(lab.state()).unwrap(), before);
    let shown = lab.run(["show", plan]);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.stdout.contains("Stale: "), "{shown:?}");
    assert!(shown.stdout.lines().last().unwrap().starts_with("Plan: "), "{shown:?}");
    assert_eq!(lab.run(["show", plan, "--detailed-exitcode"]).code, 4);
    assert_eq!(lab.json(["show", plan, "--json"])["stale"], true);
    stderr
}

#[test]
fn a_fresh_plan_is_shown_and_applied() {
    let (lab, plan) = saved();
    let file = lab.path("after.toml");
    let shown = lab.ok(["show", &plan]);
    assert!(shown.ends_with(&lab.ok(["plan", &file])), "it looks as it did: {shown}");
    assert!(!shown.contains("Stale"), "{shown}");
    assert_eq!(lab.run(["show", &plan, "--detailed-exitcode"]).code, 2);
    let document = lab.json(["show", &plan, "--format", "json"]);
    assert_eq!((&document["stale"], &document["changes"]), (&json!(false), &json!([])));
    assert_eq!(document["steps"], lab.json(["plan", &file, "--json"])["steps"]);
    assert_eq!(document["undo"][0]["action"], "reload", "{document:#}");
    lab.ok(["apply", "--plan", &plan, "--dry-run"]);
    assert_eq!(lab.ok(["list"]), "data\nother\n");
    lab.ok(["apply", "--plan", &plan]);
    assert_eq!(lab.ok(["plan", &file]), "Nothing to do.\n");
}

#[test]
fn the_file_is_for_its_owner_and_keeps_to_the_schema() {
    let (lab, plan) = saved();
    assert_eq!(std::fs::metadata(&plan).unwrap().permissions().mode() & 0o777, 0o600);
    let document: Value = serde_json::from_str(&std::fs::read_to_string(&plan).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&dmctl::render::json::plan_schema()).unwrap();
    assert!(validator.is_valid(&document), "{document:#}");
    assert!(validator.is_valid(&lab.json(["show", &plan, "--json"])));
    for field in ["format_version", "steps", "fingerprint", "undo", "map", "allow", "made", "digest"] {
        assert!(!document[field].is_null(), "{field}");
    }
    // Written over an older one, whole.
    let file = lab.path("before.toml");
    lab.ok(["plan", &file, "--out", &plan]);
    assert_eq!(lab.run(["show", &plan, "--detailed-exitcode"]).code, 0);
    lab.ok(["apply", "--plan", &plan]);
    assert!(lab.fails(1, ["plan", &file, "--out", "/dev/null"]).contains("/dev/null"));
    assert!(lab.fails(1, ["plan", &file, "--out", &lab.path("no/such/folder.json")]).contains("no/such"));
}

#[test]
fn a_second_time_is_4_and_says_that_it_was_applied() {
    let (lab, plan) = saved();
    lab.ok(["apply", "--plan", &plan]);
    assert!(is_stale(&lab, &plan).contains("it was applied"));
}

#[test]
fn what_it_touches_may_not_change() {
    for (change, says) in [
        (vec!["suspend", "data"], "`data` is suspended now"),
        (vec!["rename", "data", "moved"], "`data` is called `moved` now"),
        (vec!["remove", "data"], "`data` (254:0) is gone"),
        (
            vec!["reload", "data", "--table", "0 8 zero"],
            "the table of `data` has changed: `0 16384 linear 8:0 0` is `0 8 zero` now",
        ),
        (vec!["create", "new", "--table", "0 8 zero"], "`new` (254:2) exists now"),
    ] {
        let (lab, plan) = saved();
        lab.ok(&change);
        let stderr = is_stale(&lab, &plan);
        assert!(stderr.contains(says) && stderr.contains("stale"), "{change:?}: {stderr}");
    }
}

#[test]
fn what_it_stands_on_may_not_change() {
    type Edit = fn(&mut Value);
    let edits: [(Edit, &str); 3] = [
        (
            |state| state["block_devices"][0]["sectors"] = 262_144.into(),
            "`8:0` has 262144 sectors, it had 131072",
        ),
        (|state| state["block_devices"][0]["read_only"] = true.into(), "`8:0` is read-only now"),
        (|state| state["mappings"][0]["read_only"] = true.into(), "`data` is read-only now"),
    ];
    for (edit, says) in edits {
        let (lab, plan) = saved();
        lab.edit(edit);
        let stderr = is_stale(&lab, &plan);
        assert!(stderr.contains(says), "{says}: {stderr}");
    }
}

#[test]
fn what_it_does_not_touch_may_come_and_go() {
    let (lab, plan) = saved();
    lab.ok(["create", "stranger", "--table", "0 8 zero"]);
    lab.ok(["apply", "--plan", &plan]);
    assert_eq!(lab.ok(["list"]), "data\nnew\nother\nstranger\n");
}

#[test]
fn another_mapping_that_drifts_is_told_and_left_alone() {
    for (change, step) in [
        (vec!["remove", "other"], "create other"),
        (vec!["suspend", "other"], "resume other"),
        (vec!["rename", "other", "moved"], "rename moved"),
    ] {
        let (lab, plan) = saved();
        lab.ok(&change);
        assert!(!lab.ok(["show", &plan]).contains("Stale"), "{change:?}");
        let ended = lab.run(["apply", "--plan", &plan]);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(
            ended.stderr.contains(&format!(
                "more has drifted since this plan was made, and is not changed by it: `{step}`"
            )),
            "{ended:?}"
        );
        assert!(lab.ok(["table", "data"]).starts_with("0 32768 linear"));
        let left = lab.ok(["plan", &lab.path("after.toml")]);
        assert!(left.contains(step.split(' ').next().unwrap()) && left.contains("Plan: 1 "), "{left}");
        assert!(lab.fails(4, ["apply", "--plan", &plan]).contains("it was applied"));
    }
}

#[test]
fn approvals_are_saved_and_added_to() {
    let lab = applied(&linear("data", 0, 8));
    let file = lab.write("after.toml", &map(&linear("data", 16, 8)));
    let (plain, approved) = (lab.path("plain.json"), lab.path("approved.json"));
    lab.ok(["plan", &file, "--out", &plain]);
    lab.ok(["plan", &file, "--out", &approved, "--allow", "remap"]);
    assert!(lab.fails(3, ["apply", "--plan", &plain]).contains("--allow remap"));
    lab.ok(["apply", "--plan", &plain, "--allow", "remap", "--dry-run"]);
    lab.ok(["apply", "--plan", &approved]);
    assert_eq!(lab.ok(["table", "data"]), "0 16384 linear 8:0 32768\n");
}

#[test]
fn a_conflict_and_a_lock_end_as_they_do_without_a_plan() {
    let lab = Lab::with(&["data"]);
    let file = lab.write("map.toml", &map(&linear("data", 0, 8)));
    let plan = lab.path("plan.json");
    assert_eq!(lab.run(["plan", &file, "--out", &plan]).code, 1);
    assert!(lab.fails(1, ["apply", "--plan", &plan]).contains("conflict"));
    let (lab, plan) = saved();
    let _held = dmctl::lock::Lock::acquire(&lab.lock(), std::time::Duration::ZERO, "a test").unwrap();
    lab.fails(5, ["apply", "--plan", &plan]);
    lab.ok(["show", &plan]);
}

#[test]
fn an_altered_file_is_1() {
    let (lab, plan) = saved();
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, text.replace("\"class\": \"reload\"", "\"class\": \"settle\"")).unwrap();
    for args in [["apply", "--plan", &plan].as_slice(), &["show", &plan]] {
        assert!(lab.fails(1, args).contains("changed after"));
    }
    // Blanks and order do not matter.
    let value: Value = serde_json::from_str(&text).unwrap();
    std::fs::write(&plan, value.to_string()).unwrap();
    lab.ok(["apply", "--plan", &plan]);
}

#[test]
fn what_is_no_saved_plan_is_1() {
    let (lab, plan) = saved();
    let plan_as_json = lab.ok(["plan", &lab.path("after.toml"), "--json"]);
    let newer =
        std::fs::read_to_string(&plan).unwrap().replace("\"format_version\": 1", "\"format_version\": 9");
    for (text, says) in [
        ("", "EOF"),
        ("{", "EOF"),
        ("[]", "no format_version"),
        ("{\"format_version\": 1}", "no digest"),
        (plan_as_json.as_str(), "no digest"),
        (newer.as_str(), "format 9"),
        ("format = 1", "not a saved plan"),
        (&"[".repeat(100_000), "recursion limit"),
    ] {
        std::fs::write(&plan, text).unwrap();
        for args in [["apply", "--plan", &plan].as_slice(), &["show", &plan]] {
            let stderr = lab.fails(1, args);
            assert!(stderr.contains(says), "{says}: {stderr}");
        }
    }
    std::fs::write(&plan, [0xff, 0xfe]).unwrap();
    assert!(lab.fails(1, ["show", &plan]).contains("UTF-8"));
    std::fs::File::create(&plan).unwrap().set_len(64 << 20 | 1).unwrap();
    assert!(lab.fails(1, ["show", &plan]).contains("64 MiB"));
    for path in ["/dev/zero", "/", "/no/such/plan.json"] {
        assert!(lab.fails(1, ["show", path]).contains(path));
    }
}

#[test]
fn another_host_is_1() {
    let Ok(id) = std::fs::read_to_string("/etc/machine-id") else {
        eprintln!("skipped: this host has no machine id");
        return;
    };
    if id.trim().is_empty() {
        eprintln!("skipped: this host has no machine id");
        return;
    }
    let (lab, plan) = saved();
    let mut saved = Saved::parse(&plan, &std::fs::read_to_string(&plan).unwrap()).unwrap();
    assert_eq!(saved.made.host, None, "a simulated kernel is of no host");
    saved.made.host = Some(host("another"));
    std::fs::write(&plan, saved.to_json()).unwrap();
    // Told before the kernel is opened, so it needs none.
    let refused = ended(dmctl().args(["apply", "--plan", &plan]));
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("another host") && refused.stderr.contains("--any-host"), "{refused:?}");
    let any = ended(dmctl().args(["apply", "--any-host", "--dry-run", "--plan", &plan]));
    assert!(!any.stderr.contains("another host"), "{any:?}");
    lab.ok(["apply", "--plan", &plan]);
}

#[test]
fn a_plan_is_shown_where_there_is_no_kernel() {
    let (lab, plan) = saved();
    std::fs::remove_file(lab.state()).unwrap();
    let shown = lab.run(["show", &plan]);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.stdout.contains("~ reload  data"), "{shown:?}");
    assert!(shown.stderr.contains("can't be checked"), "{shown:?}");
    assert_eq!(lab.json(["show", &plan, "--json"])["stale"], Value::Null);
    assert_eq!(lab.run(["show", &plan, "--detailed-exitcode"]).code, 2);
}

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn encrypted(key: &str) -> String {
    map(&format!(
        "[mappings.safe]\ntargets = [{{ type = \"crypt\", cipher = \"aes-xts-plain64\", key = {{ hex = \"{key}\" }}, device = \"8:0\", length = \"8MiB\" }}]\n"
    ))
}

#[test]
fn no_key_is_saved_and_another_one_is_stale() {
    let lab = Lab::new();
    let file = lab.write("map.toml", &encrypted(KEY));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let plan = lab.path("plan.json");
    lab.ok(["plan", &file, "--out", &plan]);
    assert!(!std::fs::read_to_string(&plan).unwrap().contains(&KEY[..16]));
    for format in ["text", "json", "markdown", "html"] {
        assert!(!lab.ok(["show", &plan, "--format", format]).contains(&KEY[..16]), "{format}");
    }
    std::fs::write(&file, encrypted(&KEY.replace("ff", "fe"))).unwrap();
    assert!(is_stale(&lab, &plan).contains("a key in the files of the map is another one now"));
    std::fs::write(&file, encrypted(KEY).replace("8MiB", "4MiB")).unwrap();
    assert!(is_stale(&lab, &plan).contains("say something else now"));
    std::fs::write(&file, encrypted(KEY)).unwrap();
    lab.ok(["apply", "--plan", &plan]);
    assert!(lab.ok(["table", "safe", "--show-keys"]).contains(KEY));
    let piped = lab.run_with(["plan", "-", "--out", &plan], encrypted(KEY).as_bytes());
    assert_eq!(piped.code, 1, "{piped:?}");
    assert!(piped.stderr.contains("standard input"), "{piped:?}");
}

/// `validate` draws the lines of a file, and a plan may name any.
#[test]
fn to_validate_is_told_of_files_with_the_name_of_a_map_alone() {
    for (name, told) in [("map.toml", "see `dmctl validate"), ("shadow", "does not end in `.toml`")] {
        let lab = Lab::new();
        let file = lab.write(name, &encrypted(KEY));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let plan = lab.path("plan.json");
        lab.ok(["plan", &file, "--out", &plan]);
        std::fs::write(&file, "root:hash-of-root:1\n").unwrap();
        let shown = lab.run(["show", &plan]);
        assert!(shown.code == 0 && shown.stderr.contains(told), "{shown:?}");
        assert_eq!(shown.stderr.contains("dmctl validate"), name == "map.toml", "{shown:?}");
    }
}

#[test]
fn a_plan_that_says_nonsense_is_drawn_all_the_same() {
    let (lab, path) = saved();
    let mut saved = Saved::parse(&path, &std::fs::read_to_string(&path).unwrap()).unwrap();
    let long = "\u{1b}[2J\u{202e}<b>|`".repeat(20_000);
    for step in &mut saved.document.steps {
        step.name = long.as_str().into();
        step.number = Some("@".into());
        for row in step.table.iter_mut().chain(&mut step.old_table).flatten() {
            (row.start, row.length) = (u64::MAX, u64::MAX);
            row.kind = long.as_str().into();
            // A circle of devices.
            for lower in &mut row.lowers {
                lower.number = Some("@".into());
            }
        }
        if let Some(sectors) = &mut step.sectors {
            sectors.moves = vec![(u64::MAX, 0); 3];
            sectors.keeps = vec![(0, u64::MAX); 3];
        }
    }
    std::fs::write(&path, saved.to_json()).unwrap();
    for format in ["text", "json", "markdown", "html"] {
        let shown = lab.run(["show", &path, "--format", format]);
        assert_eq!(shown.code, 0, "{format}: {}", shown.stderr);
        assert!(!shown.stdout.contains('\u{202e}') || format == "json", "{format}");
    }
    assert_eq!(lab.run(["apply", "--plan", &path]).code, 4, "what it says is not what would be done");
}
