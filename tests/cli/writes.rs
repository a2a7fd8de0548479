//! Every write to standard output and to standard error fails once, in each verb that changes a kernel and in each format:
//! the kernel is then as it was, or all that was asked for is done, and the exit code tells which.
//!
//! The output is a file of which the limit (`RLIMIT_FSIZE`, setrlimit(2)) lets a given count of bytes through. The write
//! that would go beyond it is cut, and the next one fails with `EFBIG`. The file begins with a hole that no other file
//! that dmctl writes is as long as, so that the limit concerns this one alone.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::confirm::{ends, picture, pid, waiting};
use crate::lab::{Lab, save, until};

/// The length of the hole.
const HOLE: u64 = 1 << 20;
/// Room for all that a verb prints.
const ROOM: usize = 1 << 20;

const BEFORE: &str = r#"
    format = 1
    owner = "lab"
    [mappings.grows]
    targets = [{ type = "linear", length = 1024, device = "/dev/sda" }]
    [mappings.renamed]
    targets = [{ type = "zero", length = 8 }]
    [mappings.goes]
    targets = [{ type = "zero", length = 8 }]
"#;

const AFTER: &str = r#"
    format = 1
    owner = "lab"
    policy.prune = true
    [mappings.grows]
    targets = [{ type = "linear", length = 2048, device = "/dev/sda" }]
    [mappings.renamed]
    name = "new-name"
    targets = [{ type = "zero", length = 8 }]
    [mappings.comes]
    targets = [{ type = "linear", length = 64, device = "@grows" }]
"#;

/// The stream that can't be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Stdout,
    Stderr,
}

/// What a run must show before it changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Nothing,
    /// The plan, which is the first line.
    Line,
    /// The plan, which ends with the line of its counts.
    Text,
}

impl Shown {
    /// The length of that in what a run prints.
    fn length(self, printed: &str) -> usize {
        let end = match self {
            Self::Nothing => return 0,
            Self::Line => 0,
            Self::Text => printed.find("\nPlan: ").unwrap() + 1,
        };
        end + printed[end..].find('\n').unwrap() + 1
    }
}

/// A kernel, and the verb that changes it.
struct Case {
    lab: Lab,
    before: String,
    args: Vec<String>,
    shown: Shown,
}

/// How a run ended.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    /// What was written of the stream that was cut.
    written: String,
}

impl Case {
    fn new(lab: Lab, args: &[&str], shown: Shown) -> Self {
        let before = std::fs::read_to_string(lab.state()).unwrap();
        Self { lab, before, args: args.iter().map(ToString::to_string).collect(), shown }
    }

    /// Begins with a lab in the state of the first map. `MAP` is the second, `PLAN` a plan of it.
    fn mapped(args: &[&str], shown: Shown) -> Self {
        let lab = Lab::new();
        let before = lab.write("before.toml", BEFORE);
        lab.ok(["apply", &before]);
        let (map, plan) = (lab.write("map.toml", AFTER), lab.path("plan.json"));
        lab.ok(["plan", &map, "--out", &plan]);
        let named = |arg: &&str| arg.replace("MAP", &map).replace("PLAN", &plan);
        let args: Vec<String> = args.iter().map(named).collect();
        Self { args, ..Self::new(lab, &[], shown) }
    }

    /// Puts the kernel back to where it was.
    fn reset(&self) {
        save(self.lab.state(), &self.before);
    }

    /// Starts the verb with `limit` bytes of room for a stream.
    fn start(&self, stream: Stream, limit: usize) -> (Child, File) {
        let path = self.lab.path("output");
        let file = OpenOptions::new().read(true).append(true).create(true).open(path).unwrap();
        file.set_len(0).unwrap();
        file.set_len(HOLE).unwrap();
        let dmctl = self.lab.command(&self.args);
        let mut command = Command::new("prlimit");
        command
            .arg(format!("--fsize={}", HOLE + limit as u64))
            .arg(dmctl.get_program())
            .args(dmctl.get_args());
        command
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR")
            .env_remove("CLICOLOR_FORCE")
            .stdin(Stdio::null());
        match stream {
            Stream::Stdout => command.stdout(file.try_clone().unwrap()).stderr(Stdio::null()),
            Stream::Stderr => command.stderr(file.try_clone().unwrap()).stdout(Stdio::null()),
        };
        (command.spawn().unwrap(), file)
    }

    fn run(&self, stream: Stream, limit: usize) -> Ran {
        let (mut child, file) = self.start(stream, limit);
        let code = child.wait().unwrap().code();
        Ran { code, written: written(&file) }
    }

    /// Checks what a run left of which so much could be written of `whole`, and what it tells of that.
    fn check(&self, ran: &Ran, (stream, limit): (Stream, usize), whole: &str, after: &[Value]) {
        let what = format!("{:?}, {limit} bytes of {stream:?}: {ran:?}", self.args);
        let shown = stream == Stream::Stderr || limit >= self.shown.length(whole);
        let all = stream == Stream::Stderr || limit >= whole.len();
        let expected = match (shown, all) {
            (false, _) => 1,
            (true, false) => 7,
            (true, true) => 0,
        };
        assert_eq!(ran.code, Some(expected), "{what}");
        let left = picture(&self.lab);
        if shown {
            assert_eq!(left, after, "{what}");
        } else {
            let state: Value = serde_json::from_str(&self.before).unwrap();
            assert_eq!(left.len(), state["mappings"].as_array().unwrap().len(), "{what}");
            self.reset();
            assert_eq!(left, picture(&self.lab), "{what}");
        }
        if stream == Stream::Stdout {
            assert_eq!(ran.written.len(), limit.min(whole.len()), "{what}");
            // No line begins in the midst of another one, and only the last one may be cut.
            let same = |(one, other): &(char, char)| one == other || one.is_ascii_digit();
            let length = ran.written.chars().zip(whole.chars()).take_while(same).count();
            assert_eq!(length, ran.written.chars().count(), "{what}");
        }
    }
}

/// What was written behind the hole.
fn written(file: &File) -> String {
    let length = file.metadata().unwrap().len() - HOLE;
    let mut bytes = vec![0; usize::try_from(length).unwrap()];
    file.read_exact_at(&mut bytes, HOLE).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Where an output is cut: before each line, and in its midst.
fn cuts(whole: &str) -> Vec<usize> {
    let mut start = 0;
    let line = |line: &str| {
        let cuts = [start, start + line.len() / 2];
        start += line.len();
        cuts
    };
    whole.split_inclusive('\n').flat_map(line).collect()
}

/// Fails every write of a verb once.
fn every_write_fails(case: &Case) {
    let mut count = 0;
    for stream in [Stream::Stdout, Stream::Stderr] {
        case.reset();
        let whole = case.run(stream, ROOM);
        assert_eq!(whole.code, Some(0), "{:?}: {whole:?}", case.args);
        let after = picture(&case.lab);
        for limit in cuts(&whole.written) {
            case.reset();
            case.check(&case.run(stream, limit), (stream, limit), &whole.written, &after);
            count += 1;
        }
    }
    assert!(count > 1, "{:?}", case.args);
}

#[test]
fn an_apply_is_done_or_not_begun() {
    for output in ["--format=text", "--json"] {
        let shown = if output == "--json" { Shown::Line } else { Shown::Text };
        for given in [&["MAP"][..], &["--plan", "PLAN"], &["MAP", "--jobs=4"]] {
            every_write_fails(&Case::mapped(&[&["apply", "-v", output], given].concat(), shown));
        }
    }
}

#[test]
fn a_deactivation_is_done_or_not_begun() {
    every_write_fails(&Case::mapped(&["deactivate", "-v", "MAP"], Shown::Text));
}

/// A lab with devices that a crash left, as `repair` sets them right.
fn crashed() -> Lab {
    let lab = Lab::new();
    let zero = || json!([{ "start": 0, "length": 8, "type": "zero", "params": "" }]);
    lab.edit(|state| {
        state["mappings"] = json!([
            { "name": "held", "uuid": "DMCTL-lab-held", "number": "254:1", "live": zero(), "suspended": true },
            { "name": "left", "uuid": "DMCTL-lab-left", "number": "254:2", "live": zero(), "inactive": zero() },
            { "name": "shell", "uuid": "DMCTL-lab-shell", "number": "254:3" },
        ]);
    });
    lab
}

#[test]
fn a_repair_is_done_or_not_begun() {
    every_write_fails(&Case::new(crashed(), &["repair", "-v", "--owner=lab"], Shown::Text));
    every_write_fails(&Case::new(crashed(), &["repair", "-v", "--owner=lab", "--json"], Shown::Nothing));
}

#[test]
fn what_changes_nothing_ends_with_1() {
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let dry = ["repair", "--owner=lab", "--dry-run"];
    for args in [&dry[..], &[&dry[..], &["--json"]].concat(), &["export"], &["status", "--json"]] {
        let lab = crashed();
        let before = picture(&lab);
        assert_eq!(lab.command(args).stdout(full()).status().unwrap().code(), Some(1), "{args:?}");
        assert_eq!(picture(&lab), before);
    }
}

#[test]
fn one_device_is_changed_whatever_can_be_told() {
    let table = "--table=0 16 zero";
    for args in [
        &["create", "more", table, "--uuid=LVM-x"][..],
        &["reload", "data", table],
        &["rename", "data", "other", "--uuid=x"],
        &["remove", "data"],
        &["suspend", "data"],
        &["resume", "held"],
        &["clear", "loaded"],
    ] {
        let lab = Lab::new();
        for name in ["data", "held", "loaded"] {
            lab.ok(["create", name, "--table", "0 8 zero"]);
        }
        lab.ok(["suspend", "held"]);
        lab.edit(|state| {
            let mappings = state["mappings"].as_array_mut().unwrap();
            mappings
                .iter_mut()
                .find(|one| one["name"] == "data")
                .unwrap()
                .as_object_mut()
                .unwrap()
                .remove("uuid");
            let loaded = mappings.iter_mut().find(|one| one["name"] == "loaded").unwrap();
            loaded["inactive"] = loaded["live"].clone();
        });
        every_write_fails(&Case::new(lab, &[args, &["-vv"]].concat(), Shown::Nothing));
    }
}

#[test]
fn a_failed_apply_stays_a_failed_one() {
    let case = Case::mapped(&["apply", "-v", "MAP", "--json"], Shown::Line);
    // Nothing tells beforehand: the kernel refuses the first load.
    case.lab.edit(|state| {
        state["kernel"]["targets"].as_object_mut().unwrap().remove("linear");
        state["kernel"]["loadable"] = json!([]);
    });
    let before = picture(&case.lab);
    for stream in [Stream::Stdout, Stream::Stderr] {
        let whole = case.run(stream, ROOM);
        assert_eq!(whole.code, Some(6), "{whole:?}");
        for limit in cuts(&whole.written) {
            let ran = case.run(stream, limit);
            let shown = stream == Stream::Stderr || limit >= Shown::Line.length(&whole.written);
            assert_eq!(ran.code, Some(if shown { 6 } else { 1 }), "{limit} bytes of {stream:?}: {ran:?}");
            assert_eq!(picture(&case.lab), before);
        }
    }
}

#[test]
fn a_trial_waits_or_was_not_begun() {
    for (output, shown) in [("--format=text", Shown::Text), ("--json", Shown::Line)] {
        let args = ["apply", "-v", output, "--confirm-within=1h", "--plan", "PLAN"];
        every_write_of_a_trial_fails(&Case::mapped(&args, shown));
    }
}

fn every_write_of_a_trial_fails(case: &Case) {
    let before = picture(&case.lab);
    for stream in [Stream::Stdout, Stream::Stderr] {
        let whole = case.run(stream, ROOM);
        let after = picture(&case.lab);
        put_back(&case.lab, &before);
        for limit in cuts(&whole.written) {
            let ran = case.run(stream, limit);
            let begun = waiting(&case.lab).filter(|found| found["alive"] == true);
            assert_eq!(begun.is_some(), picture(&case.lab) == after, "{limit} bytes of {stream:?}: {ran:?}");
            case.check(&ran, (stream, limit), &whole.written, &after);
            if begun.is_some() {
                put_back(&case.lab, &before);
            }
        }
    }
}

/// Ends a trial, which must put everything back.
fn put_back(lab: &Lab, before: &[Value]) {
    kill(pid(lab), Signal::SIGTERM).unwrap();
    assert_eq!(ends(lab).unwrap()["phase"], "put-back");
    assert_eq!(picture(lab), before);
}

#[test]
fn what_is_kept_stays_kept() {
    let case = Case::mapped(&["apply", "MAP", "--confirm-within=1h"], Shown::Text);
    assert_eq!(case.run(Stream::Stdout, 4096).code, Some(0));
    let after = picture(&case.lab);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let code = case.lab.command(["confirm"]).stdout(full).status().unwrap().code();
    assert_eq!((code, waiting(&case.lab)), (Some(7), None));
    assert_eq!(picture(&case.lab), after);
}

#[test]
fn a_watch_ends_after_an_apply_and_not_in_its_midst() {
    for (output, shown) in [("--format=text", Shown::Text), ("--json", Shown::Line)] {
        let case = Case::mapped(&["watch", "-v", "--apply", output, "MAP"], shown);
        for stream in [Stream::Stdout, Stream::Stderr] {
            case.reset();
            let (whole, after) = watched(&case, stream, ROOM);
            for limit in cuts(&whole.written) {
                case.reset();
                let ran = match stream {
                    Stream::Stdout => case.run(stream, limit),
                    Stream::Stderr => watched(&case, stream, limit).0,
                };
                case.check(&ran, (stream, limit), &whole.written, &after);
            }
        }
    }
}

/// Runs a watch until it has applied the map, and ends it then.
fn watched(case: &Case, stream: Stream, limit: usize) -> (Ran, Vec<Value>) {
    let (mut child, file) = case.start(stream, limit);
    let is_done = || case.lab.run(["status", &case.lab.path("map.toml")]).code == 0;
    until("the apply of a watch", is_done);
    let is_told = || {
        stream == Stream::Stderr
            || written(&file).to_lowercase().contains("in sync")
            || written(&file).contains("in-sync")
    };
    until("the event of a watch", is_told);
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    let code = child.wait().unwrap().code();
    (Ran { code, written: written(&file) }, picture(&case.lab))
}
