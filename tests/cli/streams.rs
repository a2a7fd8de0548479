//! Data on standard output, all else on standard error, and neither has to be there.

use std::fs::OpenOptions;
use std::process::Stdio;

use crate::lab::{Lab, ended, finish};

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let lab = Lab::with(&["data"]);
    for verb in [vec!["list"], vec!["info", "data"], vec!["table", "data", "--json"], vec!["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = lab.command(&verb).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let ended = finish(child);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{verb:?}");
    }
}

#[test]
fn nobody_listening_on_standard_error_is_no_error() {
    let lab = Lab::with(&["data"]);
    let run = |args: &[&str]| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        lab.command(args).stdout(Stdio::piped()).stderr(writer).status().unwrap().code()
    };
    assert_eq!(run(&["-vvv", "suspend", "data"]), Some(0));
    assert_eq!(run(&["table", "nothing"]), Some(1));
    assert_eq!(run(&["no-such-verb"]), Some(64));
}

#[test]
fn what_changes_prints_its_plan_and_says_beside_it_that_it_is_done() {
    let lab = Lab::new();
    let map =
        lab.write("map.toml", "format = 1\n[mappings.a]\ntargets = [{ type = \"zero\", length = 8 }]\n");
    let ran = lab.run(["apply", &map]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.stdout.lines().last(), Some("Plan: 1 create."), "{ran:?}");
    assert_eq!(ran.stderr, "Applied: 1 step.\n");
    assert_eq!(lab.ok(["apply", &map]), "Nothing to do.\n");
}

#[test]
fn what_a_kernel_calls_its_targets_moves_no_cursor() {
    let lab = Lab::with(&["data"]);
    lab.edit(|state| {
        state["mappings"][0]["uuid"] = "DMCTL-dmctl-data".into();
        state["mappings"][0]["live"][0]["type"] = "li\u{1b}near".into();
    });
    let map =
        lab.write("map.toml", "format = 1\n[mappings.data]\ntargets = [{ type = \"zero\", length = 8 }]\n");
    for verb in
        [vec!["graph"], vec!["graph", &map], vec!["apply", &map], vec!["plan", &map], vec!["status", &map]]
    {
        let ran = lab.run([&["--color", "always"], verb.as_slice()].concat());
        let said = ran.stdout + &ran.stderr;
        assert!(said.contains("li\\u{1b}near") && !said.contains("\u{1b}near"), "{verb:?}: {said}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let lab = Lab::with(&["data"]);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let child = lab.command(["list"]).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let ended = finish(child);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("standard output can't be written to"), "{ended:?}");
}

#[test]
fn a_table_that_is_no_text_is_an_error() {
    let lab = Lab::new();
    let ended = lab.run_with(["create", "data"], b"0 8 zero \xff");
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("not UTF-8"), "{ended:?}");
}

#[test]
fn colour_is_for_terminals_or_on_demand() {
    let lab = Lab::new();
    let stderr = |args: &[&str], no_color: Option<&str>| {
        let mut command = lab.command(args);
        command.envs(no_color.map(|value| ("NO_COLOR", value)));
        ended(&mut command).stderr
    };
    assert!(!stderr(&["table", "nothing"], None).contains('\u{1b}'));
    assert!(!stderr(&["table", "nothing", "--color", "auto"], Some("1")).contains('\u{1b}'));
    assert!(stderr(&["table", "nothing", "--color", "always"], None).contains('\u{1b}'));
    assert!(!stderr(&["table", "nothing", "--color", "never"], None).contains('\u{1b}'));
}

#[test]
fn the_log_is_as_loud_as_asked() {
    let lab = Lab::with(&["data"]);
    assert_eq!(lab.run(["suspend", "data"]).stderr, "");
    assert!(lab.run(["-v", "resume", "data"]).stderr.contains("resumed `data`"));
    assert!(lab.run(["suspend", "data", "--log-level", "info"]).stderr.contains("suspended `data`"));
    assert_eq!(lab.run(["resume", "data", "--log-level", "off"]).stderr, "");
}
