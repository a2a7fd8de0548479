//! `apply --json`: the plan on one line, then a line for each event.

use serde_json::Value;

use crate::lab::{Ended, Lab};
use crate::plan::{linear, map};

/// The lines that were printed; each fits the schema, and the first is the plan.
fn events(ended: &Ended) -> Vec<Value> {
    let schema = jsonschema::validator_for(&dmctl::render::events::schema()).unwrap();
    let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        schema.validate(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        assert_eq!(line["format_version"], 1);
    }
    assert_eq!(lines[0]["event"], "plan");
    lines
}

/// The kinds of events, with the step of those that have one.
fn kinds(lines: &[Value]) -> Vec<String> {
    let kind = |line: &Value| {
        let step = line.get("step").map(|step| format!(" {step}")).unwrap_or_default();
        format!("{}{step}", line["event"].as_str().unwrap())
    };
    lines.iter().map(kind).collect()
}

#[test]
fn every_step_begins_and_ends() {
    let lab = Lab::new();
    let file = lab.write("map.toml", &map(&format!("{}{}", linear("a", 0, 8), linear("b", 8, 8))));
    let ended = lab.run(["apply", &file, "--json"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let lines = events(&ended);
    let expected = ["plan", "step-started 0", "step-done 0", "step-started 1", "step-done 1", "done"];
    assert_eq!(kinds(&lines), expected);
    assert_eq!(lines[0]["steps"][1]["name"], lines[3]["name"]);
    assert_eq!((&lines[4]["action"], &lines[5]["steps"]), (&"create".into(), &2.into()));
    // Nothing to do, and nothing done.
    assert_eq!(kinds(&events(&lab.run(["apply", &file, "--json"]))), ["plan"]);
}

#[test]
fn until_when_it_is_to_be_confirmed_is_the_last_line() {
    let lab = Lab::new();
    let file = lab.write("map.toml", &map(&linear("a", 0, 8)));
    let ended = lab.run(["apply", &file, "--json", "--confirm-within", "60s"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let lines = events(&ended);
    assert_eq!(kinds(&lines), ["plan", "step-started 0", "step-done 0", "done", "waiting"]);
    let time = |until: &Value| until.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let until = time(&lines[4]["until"]);
    // Each is reckoned from the time that is left, by a clock that is not set, and by one that may be.
    let told_later = time(&lab.json(["status", "--json"])["confirm"]["until"]);
    assert!((told_later - until).get_seconds().abs() < 1, "{until}, then {told_later}");
    let left = until - jiff::Timestamp::now();
    assert!((1..=60).contains(&left.get_seconds()), "{left}");
    lab.ok(["confirm"]);
    // With nothing to do there is nothing to confirm.
    assert_eq!(kinds(&events(&lab.run(["apply", &file, "--json", "--confirm-within", "60s"]))), ["plan"]);
}

#[test]
fn side_by_side_they_come_as_they_end() {
    let lab = Lab::new();
    let many: String = (0..20).map(|n| linear(&format!("d{n}"), n, 1)).collect();
    let file = lab.write("map.toml", &map(&many));
    let ended = lab.run(["apply", &file, "--json", "--jobs", "8"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let mut kinds = kinds(&events(&ended));
    for step in 0..20 {
        let place = |kind: &str| kinds.iter().position(|own| *own == format!("{kind} {step}"));
        assert!(place("step-started") < place("step-done"), "{step}: {kinds:?}");
    }
    assert_eq!((kinds.len(), kinds.pop().as_deref()), (42, Some("done")));
}

#[test]
fn what_was_put_back_is_told() {
    let lab = Lab::new();
    let small = linear("small", 0, 8);
    let wanted = format!("{small}{}", linear("zap", 8, 8));
    let file = lab.write("map.toml", &map(&wanted));
    // Nothing tells beforehand: the kernel refuses the first load.
    lab.edit(|state| {
        state["kernel"]["targets"].as_object_mut().unwrap().remove("linear");
        state["kernel"]["loadable"] = serde_json::json!([]);
    });
    let ended = lab.run(["apply", &file, "--json"]);
    assert_eq!(ended.code, 6, "{ended:?}");
    let lines = events(&ended);
    assert_eq!(kinds(&lines), ["plan", "step-started 0", "rolling-back", "rolled-back"]);
    assert!(lines[3]["error"].as_str().unwrap().contains("create small"), "{lines:?}");
    assert!(ended.stderr.contains("everything was put back"), "{ended:?}");
    assert_eq!(lab.ok(["list"]), "");
}

#[test]
fn what_is_refused_has_a_plan_and_no_events() {
    let lab = Lab::with(&["data"]);
    let file = lab.write("map.toml", &map(&linear("data", 0, 8)));
    let ended = lab.run(["apply", &file, "--json"]);
    assert_eq!((ended.code, kinds(&events(&ended))), (1, vec!["plan".to_string()]));
}

#[test]
fn jobs_are_a_number_with_an_end() {
    let lab = Lab::new();
    let file = lab.write("map.toml", &map(&linear("data", 0, 8)));
    for wrong in ["0", "257", "-1", "many", ""] {
        let ended = lab.run(["apply", &file, &format!("--jobs={wrong}")]);
        assert_eq!(ended.code, 64, "{wrong}: {ended:?}");
        assert!(ended.stderr.contains("from 1 to 256"), "{wrong}: {ended:?}");
    }
    assert_eq!(lab.run(["apply", &file, "--jobs", "256"]).code, 0);
}
