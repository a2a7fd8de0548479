//! `plan` and `apply` of a map: every exit code, and the facts that a plan must tell.

use serde_json::Value;

use crate::lab::Lab;

/// A map of these mappings.
pub fn map(mappings: &str) -> String {
    format!("format = 1\nowner = \"lab\"\n{mappings}")
}

/// A linear mapping of `size` MiB, from the MiB `from` of `/dev/sda` on.
pub fn linear(key: &str, from: u32, size: u32) -> String {
    format!(
        "[mappings.{key}]\ntargets = [{{ type = \"linear\", device = \"8:0\", offset = \"{from}MiB\", length = \"{size}MiB\" }}]\n"
    )
}

/// A lab where this map was applied.
pub fn applied(mappings: &str) -> Lab {
    let lab = Lab::new();
    let file = lab.write("before.toml", &map(mappings));
    lab.ok(["apply", &file]);
    lab
}

/// A stack that is rebuilt in every way there is.
fn rebuilt() -> (Lab, String) {
    let stack = "[mappings.top]\ntargets = [{ type = \"linear\", device = \"@data\", length = \"4MiB\" }]\n";
    let lab =
        applied(&format!("{}{}{}{stack}", linear("data", 0, 8), linear("junk", 20, 1), linear("old", 24, 1)));
    let after = format!(
        "[policy]\nprune = true\n{}{}{}{stack}",
        linear("data", 0, 16),
        linear("scratch", 40, 2),
        linear("old", 24, 1).replace("targets", "name = \"new name\"\ntargets"),
    );
    let file = lab.write("after.toml", &map(&after));
    (lab, file)
}

#[test]
fn the_text_tells_every_fact() {
    let (lab, file) = rebuilt();
    lab.edit(|state| {
        for mapping in state["mappings"].as_array_mut().unwrap() {
            if mapping["name"] == "top" {
                mapping["suspended"] = true.into();
            }
        }
    });
    let text = lab.ok(["plan", &file]);
    for fact in [
        "+ create  scratch",
        "2.0 MiB",
        "DMCTL-lab-scratch",
        "+ 0 4096 linear 8:0 81920",
        "~ reload  data",
        "8.0 MiB -> 16.0 MiB",
        "254:0, under top, open 1; suspended for the swap",
        "keeps 0..8.0 MiB, adds 8.0..16.0 MiB",
        "> rename  old -> new name",
        "> resume  top",
        "- remove  junk",
    ] {
        assert!(text.contains(fact), "{fact}:\n{text}");
    }
    for class in ["[create]", "[reload]", "[settle]", "[remove]"] {
        assert!(text.lines().any(|line| line.ends_with(class)), "{class}:\n{text}");
    }
    assert_eq!(
        text.lines().last(),
        Some("Plan: 1 create, 1 reload, 1 rename, 1 remove, 1 resume."),
        "{text}"
    );
    assert!(!text.contains("target at sector"), "the table says it already:\n{text}");
}

#[test]
fn the_classes_stand_in_one_column() {
    let (lab, file) = rebuilt();
    let text = lab.ok(["plan", &file]);
    let ends: Vec<usize> =
        text.lines().filter(|line| line.ends_with(']')).map(|line| line.chars().count()).collect();
    assert!(ends.len() > 3 && ends.iter().all(|end| *end == ends[0]), "{text}");
}

#[test]
fn nothing_to_do_is_said_and_ends_0() {
    let lab = applied(&linear("data", 0, 8));
    let file = lab.path("before.toml");
    assert_eq!(lab.ok(["plan", &file, "--detailed-exitcode"]), "Nothing to do.\n");
    assert_eq!(lab.ok(["apply", &file]), "Nothing to do.\n");
}

#[test]
fn pending_changes_are_2_when_asked() {
    let (lab, file) = rebuilt();
    assert_eq!(lab.run(["plan", &file]).code, 0);
    assert_eq!(lab.run(["plan", &file, "--detailed-exitcode"]).code, 2);
    assert_eq!(lab.run(["plan", &file, "--detailed-exitcode", "--json"]).code, 2);
}

#[test]
fn what_cannot_be_judged_is_no_pending_change_and_is_drift() {
    let lab = applied(&linear("data", 0, 8));
    lab.edit(|state| {
        let row = &mut state["mappings"][0]["live"];
        *row = serde_json::from_str(&row.to_string().replace("8:0 0", "what ever")).unwrap();
    });
    let file = lab.path("before.toml");
    let ended = lab.run(["plan", &file, "--detailed-exitcode"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("? unknown   data  left alone: "), "{ended:?}");
    assert_eq!(ended.stdout.lines().last(), Some("Nothing to do."));
    let status = lab.run(["status", &file]);
    assert_eq!(status.code, 2, "{status:?}");
    assert!(status.stdout.contains("unknown"), "{status:?}");
}

#[test]
fn a_refused_step_is_3_and_its_flag_is_named() {
    let lab = applied(&linear("data", 0, 8));
    let file = lab.write("after.toml", &map(&linear("data", 16, 8)));
    let plan = lab.ok(["plan", &file]);
    assert!(plan.contains("[remap]") && plan.contains("refused: needs --allow remap"), "{plan}");
    assert!(plan.contains("offset 0 -> 32768") && plan.contains("moves 0..8.0 MiB"), "{plan}");
    let before = lab.ok(["table", "data"]);
    for args in [vec!["apply", &file], vec!["apply", &file, "--dry-run"]] {
        let stderr = lab.fails(3, args);
        for fact in ["reload data", "[remap]", "offset 0 -> 32768", "--allow remap"] {
            assert!(stderr.contains(fact), "{fact}: {stderr}");
        }
    }
    assert_eq!(lab.ok(["table", "data"]), before);
    lab.ok(["apply", &file, "--allow", "remap", "--dry-run"]);
    assert_eq!(lab.ok(["table", "data"]), before, "a rehearsal changes nothing");
    lab.ok(["apply", &file, "--allow", "settle,remap"]);
    assert_eq!(lab.ok(["table", "data"]), "0 16384 linear 8:0 32768\n");
}

#[test]
fn what_is_protected_or_in_use_is_3_whatever_is_allowed() {
    let protected = linear("data", 0, 8).replace("targets", "protect = true\ntargets");
    let lab = applied(&protected);
    let file = lab.write("after.toml", &map(&protected.replace("\"0MiB\"", "\"16MiB\"")));
    assert!(lab.fails(3, ["apply", &file, "--allow", "remap"]).contains("protect"));

    let lab = applied(&linear("data", 0, 8));
    lab.edit(|state| state["mappings"][0]["open_count"] = 1.into());
    let file = lab.write("after.toml", &map("[policy]\nprune = true\n"));
    let stderr = lab.fails(3, ["apply", &file, "--dry-run"]);
    assert!(stderr.contains("remove data") && stderr.contains("open 1"), "{stderr}");
}

#[test]
fn a_conflict_is_1_and_the_plan_is_shown_whole() {
    let lab = Lab::with(&["data"]);
    let file = lab.write("map.toml", &map(&format!("{}{}", linear("data", 0, 8), linear("other", 8, 8))));
    let ended = lab.run(["plan", &file]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended.stdout.contains("! conflict  data") && ended.stdout.contains("+ create  other"),
        "{ended:?}"
    );
    assert!(ended.stdout.lines().last().unwrap().ends_with("2 conflicts."), "{ended:?}");
    for args in [vec!["apply", &file], vec!["apply", &file, "--dry-run"]] {
        assert!(lab.fails(1, args).contains("conflict"));
    }
    assert_eq!(lab.ok(["list"]), "data\n", "nothing at all is applied");
}

#[test]
fn wrong_usage_is_64_and_a_wrong_file_1() {
    let lab = Lab::new();
    let file = lab.write("map.toml", &map(&linear("data", 0, 8)));
    let usages: [&[&str]; 9] = [
        &["plan"],
        &["apply"],
        &["show"],
        &["plan", &file, "--format", "yaml"],
        &["plan", &file, "--json", "--format", "html"],
        &["plan", &file, "--allow", "everything"],
        &["apply", &file, "--allow", "Remap"],
        &["apply", &file, "--plan", "plan.json"],
        &["apply", &file, "--any-host"],
    ];
    for args in usages {
        let ended = lab.run(args);
        assert_eq!((ended.code, ended.stdout.as_str()), (64, ""), "{args:?}: {ended:?}");
    }
    let unknown = lab.write("class.toml", &map("[policy]\nallow = [\"everything\"]\n"));
    assert!(lab.run(["plan", &unknown]).stderr.contains("everything"));
    for verb in ["plan", "apply", "status"] {
        assert_eq!(lab.run([verb, &unknown]).code, 1);
        assert_eq!(lab.run([verb, "no-such.toml"]).code, 1);
    }
}

#[test]
fn apply_waits_for_nobody_and_is_5() {
    use std::time::Duration;
    let lab = applied(&linear("data", 0, 8));
    let file = lab.path("before.toml");
    let held = dmctl::lock::Lock::acquire(&lab.lock(), Duration::ZERO, "a test").unwrap();
    assert!(lab.fails(5, ["apply", &file]).contains("a test"));
    assert!(lab.fails(5, ["apply", &file, "--dry-run"]).contains("a test"));
    assert_eq!(lab.run(["plan", &file]).code, 0, "reading needs no lock");
    drop(held);
    lab.ok(["apply", &file]);
}

#[test]
fn a_type_that_the_kernel_lacks_changes_nothing() {
    let lab = applied(&linear("data", 0, 8));
    lab.edit(|state| {
        let targets = state["kernel"]["targets"].as_object_mut().unwrap();
        targets.remove("delay");
    });
    let delayed = "[mappings.slow]\ntargets = [{ type = \"delay\", read = { device = \"8:0\", offset = \"32MiB\", delay_ms = 5 }, length = \"1MiB\" }]\n";
    let file = lab.write("after.toml", &map(&format!("{}{delayed}", linear("data", 0, 16))));
    let ended = lab.run(["apply", &file]);
    assert!(
        matches!(ended.code, 1 | 6),
        "a type the kernel lacks is found before, or by the kernel: {ended:?}"
    );
    assert_eq!(lab.ok(["list"]), "data\n");
    assert_eq!(lab.ok(["table", "data"]), "0 16384 linear 8:0 0\n");
}

#[test]
fn status_says_what_drifted_and_ends_2() {
    let three = format!("{}{}{}", linear("data", 0, 8), linear("held", 8, 8), linear("named", 16, 8));
    let lab = applied(&three);
    let file = lab.path("before.toml");
    let ended = lab.run(["status", &file]);
    assert_eq!(ended.code, 0, "{ended:?}");
    lab.ok(["reload", "data", "--table", "0 16384 linear 8:0 65536"]);
    lab.ok(["suspend", "held"]);
    lab.ok(["rename", "named", "other"]);
    let ended = lab.run(["status", &file]);
    assert_eq!(ended.code, 2, "{ended:?}");
    let line = |name: &str| ended.stdout.lines().find(|line| line.starts_with(name)).unwrap().to_string();
    assert!(line("data").contains("drifted") && line("data").contains("offset"), "{ended:?}");
    assert!(line("held").contains("suspended"), "{ended:?}");
    assert!(line("named").contains("it is called other"), "{ended:?}");
    let document: Value = serde_json::from_str(&lab.run(["status", &file, "--json"]).stdout).unwrap();
    assert_eq!(document["format_version"], 1);
    let words: Vec<&Value> =
        document["mappings"].as_array().unwrap().iter().map(|entry| &entry["status"]).collect();
    assert_eq!(words, ["drifted", "suspended", "drifted"]);
    assert_eq!(lab.run(["status", &file, "--json"]).code, 2);
    assert_eq!(lab.run(["status"]).code, 2, "a suspended device is seen without a map");
}

#[test]
fn every_plan_as_json_keeps_to_the_schema() {
    let schema = dmctl::render::json::plan_schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let check = |document: &Value| {
        let errors: Vec<String> = validator.iter_errors(document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}\n{document:#}");
    };
    let (lab, file) = rebuilt();
    let plan = lab.json(["plan", &file, "--json"]);
    check(&plan);
    assert_eq!(plan, lab.json(["plan", &file, "--format", "json"]));
    assert_eq!((&plan["summary"]["create"], &plan["summary"]["message"]), (&1.into(), &0.into()));
    let applied = lab.ok(["apply", &file, "--json"]);
    check(&serde_json::from_str(applied.lines().next().unwrap()).unwrap());
    check(&lab.json(["plan", &file, "--json"]));
    let moved = lab.write("moved.toml", &map(&linear("data", 32, 8)));
    let refused = lab.json(["plan", &moved, "--json"]);
    check(&refused);
    let step = &refused["steps"][0];
    assert_eq!((&step["refused"], &step["class"]), (&true.into(), &"remap".into()));
    assert!(step["reason"].as_str().unwrap().contains("--allow remap"), "{step}");
    let taken = Lab::with(&["data"]);
    let file = taken.write("map.toml", &map(&linear("data", 0, 8)));
    check(&serde_json::from_str(&taken.run(["plan", &file, "--json"]).stdout).unwrap());
    assert!(validator.iter_errors(&serde_json::json!({ "format_version": 1 })).next().is_some());
}

#[test]
fn markdown_is_for_a_pull_request() {
    let (lab, file) = rebuilt();
    let text = lab.ok(["plan", &file, "--format", "markdown"]);
    for fact in ["## Plan: 1 create", "| create | `scratch` |", "```diff\n", "+ 0 32768 linear 8:0 0"] {
        assert!(text.contains(fact), "{fact}:\n{text}");
    }
}

#[test]
fn messages_that_a_table_does_not_show_are_told_and_are_not_drift() {
    let lab = Lab::new();
    let map = |bad: u32| {
        let text = format!(
            "format = 1\nowner = \"lab\"\n[mappings.worn]\ntargets = [{{ type = \"dust\", length = 64, device = \
             \"/dev/sda\", block_size = 512, messages = [\"addbadblock {bad}\", \"enable\"] }}]\n"
        );
        lab.write("map.toml", &text)
    };
    lab.ok(["apply", &map(60)]);
    let map = map(61);
    let told = "2 messages of `worn` can't be compared";
    for format in ["text", "markdown", "html", "json"] {
        let plan = lab.ok(["plan", &map, "--format", format, "--detailed-exitcode"]);
        assert!(
            plan.contains("can't be compared") || plan.contains("can&#39;t be compared"),
            "{format}: {plan}"
        );
    }
    assert!(lab.ok(["plan", &map]).ends_with("only when a table is loaded\n\nNothing to do.\n"));
    let applied = lab.run(["apply", &map]);
    assert_eq!(applied.code, 0);
    assert!(applied.stdout.contains(told), "{applied:?}");
    assert_eq!(lab.run(["status", &map]).code, 0);
    assert!(lab.ok(["status", &map]).contains("in sync"));
}

#[test]
fn a_length_that_follows_from_a_first_load_has_a_way_out() {
    let lab = Lab::new();
    lab.edit(|state| state["block_devices"][0]["blank"] = true.into());
    let below = "[policy]\nallow = [\"format\"]\n[mappings.i]\ntargets = [{ type = \"integrity\", device = \"8:0\", tag_size = 4, \
                 mode = \"journal\", internal_hash = \"crc32c\" }]\n";
    let both = format!("{below}[mappings.l]\ntargets = [{{ type = \"linear\", device = \"@i\" }}]\n");
    let (first, whole) = (lab.write("first.toml", &map(below)), lab.write("whole.toml", &map(&both)));
    let refused = lab.run(["apply", &whole]);
    assert!(
        refused.code == 1 && refused.stderr.contains("apply the map without this mapping first"),
        "{refused:?}"
    );
    lab.ok(["apply", &first]);
    lab.ok(["apply", &whole]);
    assert_eq!(lab.ok(["plan", &whole]), "Nothing to do.\n");
}

#[test]
fn a_number_is_quoted_as_it_is_written() {
    let lab = Lab::new();
    let text = "[mappings.z]\ntargets = [{ type = \"zero\", length = 18446744073709551615 }]\n";
    let refused = lab.fails(1, ["validate", &lab.write("large.toml", &map(text))]);
    assert!(refused.contains("`18446744073709551615` is more than"), "{refused}");
}
