//! Readers of standard output that go away, or that stop to read, while a verb changes a kernel.

use std::fs::{self, File};
use std::io::{PipeReader, PipeWriter, Read as _, Write as _, pipe};
use std::os::fd::AsFd as _;
use std::process::{Child, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::confirm::{ends, picture, pid, waiting};
use crate::lab::{Lab, finish, save, until};

/// The length of a page, in bytes: a pipe is of pages (pipe(7)).
const PAGE: usize = 4096;

const MAP: &str = r#"
    format = 1
    owner = "lab"
    [mappings.one]
    targets = [{ type = "zero", length = 8 }]
    [mappings.two]
    targets = [{ type = "linear", length = 8, device = "/dev/sda" }]
"#;

const CHANGES: [&[&str]; 4] = [
    &["apply", "MAP"],
    &["apply", "MAP", "--json"],
    &["apply", "MAP", "--confirm-within=1h"],
    &["apply", "MAP", "--json", "--confirm-within=1h"],
];

/// A lab, and the arguments with the map in place of `MAP`.
fn lab(args: &[&str]) -> (Lab, Vec<String>) {
    let lab = Lab::new();
    let map = lab.write("map.toml", MAP);
    let args = args.iter().map(|arg| arg.replace("MAP", &map)).collect();
    (lab, args)
}

fn list(lab: &Lab) -> String {
    lab.ok(["list"])
}

/// Whether a trial waits; it is ended.
fn was_on_trial(lab: &Lab) -> bool {
    let waits = waiting(lab).is_some_and(|found| found["alive"] == true);
    if waits {
        kill(pid(lab), Signal::SIGTERM).unwrap();
        assert_eq!(ends(lab).unwrap()["phase"], "put-back");
        assert_eq!(list(lab), "");
    }
    waits
}

#[test]
fn a_reader_that_has_gone_away_has_read_enough() {
    for args in CHANGES {
        let (lab, args) = lab(args);
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let other = writer.try_clone().unwrap();
        let code = lab.command(&args).stdout(writer).stderr(other).status().unwrap().code();
        assert_eq!((code, list(&lab).as_str()), (Some(0), "one\ntwo\n"), "{args:?}");
        assert_eq!(was_on_trial(&lab), args.iter().any(|arg| arg.starts_with("--confirm")), "{args:?}");
    }
    for args in [["deactivate", "MAP"], ["repair", "--json"]] {
        let (lab, args) = lab(&args);
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        assert_eq!(lab.command(&args).stdout(writer).status().unwrap().code(), Some(0), "{args:?}");
    }
}

#[test]
fn a_reader_that_goes_away_on_the_way_has_read_enough() {
    for args in CHANGES {
        let (lab, args) = lab(args);
        let mut child = lab.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdout.take().unwrap().read_exact(&mut [0; 8]).unwrap();
        let ended = finish(child);
        assert_eq!((ended.code, list(&lab).as_str()), (0, "one\ntwo\n"), "{args:?}: {ended:?}");
        was_on_trial(&lab);
    }
}

#[test]
fn a_terminal_that_has_gone_away_shows_no_plan_so_nothing_is_changed() {
    for args in CHANGES.into_iter().chain([&["deactivate", "MAP"][..]]) {
        let (lab, args) = lab(args);
        let terminal = openpty(None, None).unwrap();
        drop(terminal.master);
        let child = lab.command(&args).stdout(terminal.slave).stderr(Stdio::piped()).spawn().unwrap();
        let ended = finish(child);
        assert_eq!((ended.code, list(&lab).as_str()), (1, ""), "{args:?}: {ended:?}");
        assert!(
            ended.stderr.contains("standard output can't be written to: Input/output error"),
            "{ended:?}"
        );
        assert_eq!(waiting(&lab), None);
    }
}

#[test]
fn a_terminal_that_goes_away_on_the_way_decides_nothing() {
    for args in CHANGES {
        let (lab, args) = lab(args);
        let terminal = openpty(None, None).unwrap();
        let other = terminal.slave.try_clone().unwrap();
        let mut child = lab.command(&args).stdout(terminal.slave).stderr(other).spawn().unwrap();
        let mut master = File::from(terminal.master);
        // The plan is there, or a part of it.
        master.read_exact(&mut [0; 64]).unwrap();
        drop(master);
        let code = child.wait().unwrap().code();
        let found = list(&lab);
        let on_trial = was_on_trial(&lab);
        match code {
            Some(1) => assert_eq!((found.as_str(), on_trial), ("", false), "{args:?}"),
            Some(0 | 7) => {
                assert_eq!(found, "one\ntwo\n", "{args:?}");
                assert_eq!(on_trial, args.iter().any(|arg| arg.starts_with("--confirm")), "{args:?}");
            }
            code => panic!("{args:?}: {code:?}"),
        }
    }
}

/// A pipe of two pages, with this many of them full. One that is not takes one write: poll(2) tells of free pages alone.
pub fn pipe_with_full(pages: usize) -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETPIPE_SZ(i32::try_from(2 * PAGE).unwrap())).unwrap();
    writer.write_all(&vec![b' '; pages * PAGE]).unwrap();
    (reader, writer)
}

fn is_full(writer: &PipeWriter) -> bool {
    poll(&mut [PollFd::new(writer.as_fd(), PollFlags::POLLOUT)], PollTimeout::ZERO).unwrap() == 0
}

/// Sends a process signals until it has ended, and gives its exit code.
fn told_to_end(mut child: Child) -> Option<i32> {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    until("the end of the process", || {
        kill(pid, Signal::SIGTERM).unwrap();
        child.try_wait().unwrap().is_some()
    });
    child.wait().unwrap().code()
}

#[test]
fn a_reader_that_stops_holds_no_trial_up() {
    let (lab, args) = lab(&["apply", "MAP", "--json", "--confirm-within=1s"]);
    let before = picture(&lab);
    let plan = lab.run([&args[..2], &["--json".to_string(), "--dry-run".to_string()]].concat()).stdout;
    let (mut reader, writer) = pipe_with_full(1);
    let mut child = lab.command(&args).stdout(writer).stderr(Stdio::null()).spawn().unwrap();
    until("the end of the trial", || waiting(&lab).is_some_and(|found| found["phase"] == "put-back"));
    assert_eq!(picture(&lab), before);
    // What the process in front still has to print is read now.
    let mut told = String::new();
    reader.read_to_string(&mut told).unwrap();
    assert!(told.trim().starts_with(plan.trim()) && told.contains("\"waiting\""), "{told}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_signal_ends_the_wait_for_a_reader_that_stops() {
    let (lab, args) = lab(&["apply", "MAP", "--json", "--confirm-within=1h"]);
    let (_reader, writer) = pipe_with_full(1);
    let child = lab.command(&args).stdout(writer).stderr(Stdio::null()).spawn().unwrap();
    until("the trial", || waiting(&lab).is_some_and(|found| found["phase"] == "waiting"));
    assert_eq!(told_to_end(child), Some(0));
    // A signal that came before the report was for the guard.
    assert!(was_on_trial(&lab) || ends(&lab).unwrap()["phase"] == "put-back");
}

const ZEROS: &str = "format = 1\nowner = \"lab\"\n[mappings.one]\ntargets = [{ type = \"zero\", length = 8 }]\n\
                     [mappings.two]\ntargets = [{ type = \"zero\", length = 16 }]\n";

/// The verbs that change a kernel, and what each leaves of the devices `old` and `held`.
const VERBS: [(&[&str], &str); 9] = [
    (&["apply", "-vv", "MAP"], "held\nold\none\ntwo\n"),
    (&["apply", "-vv", "MAP", "--json"], "held\nold\none\ntwo\n"),
    (&["create", "-vv", "new", "--table", "0 8 zero"], "held\nnew\nold\n"),
    (&["reload", "-vv", "old", "--table", "0 16 zero"], "held\nold\n"),
    (&["rename", "-vv", "old", "new"], "held\nnew\n"),
    (&["remove", "-vv", "old"], "held\n"),
    (&["resume", "-vv", "held"], "held\nold\n"),
    (&["deactivate", "-vv", "MAP"], "held\nold\n"),
    (&["repair", "-vv", "--owner=lab"], "held\nold\n"),
];

/// Runs a verb whose standard error takes this many writes, and then has a reader that stopped. Returns the reader, and
/// whether everything was written.
fn run_with_room(lab: &Lab, args: &[String], room: usize) -> (PipeReader, bool, i32) {
    const PAGES: usize = 32;
    let (reader, mut writer) = pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETPIPE_SZ(i32::try_from(PAGES * PAGE).unwrap())).unwrap();
    writer.write_all(&vec![b' '; (PAGES - room) * PAGE]).unwrap();
    let other = writer.try_clone().unwrap();
    let mut child = lab.command(args).stdout(Stdio::null()).stderr(writer).spawn().unwrap();
    let mut code = None;
    until(&format!("the end of {args:?} after {room} writes"), || {
        code = child.try_wait().unwrap();
        code.is_some()
    });
    let all = !is_full(&other);
    (reader, all, code.unwrap().code().unwrap())
}

#[test]
fn a_reader_of_standard_error_that_stops_holds_no_change_up() {
    for (args, left) in VERBS {
        for writes in 0.. {
            let lab = Lab::with(&["held", "old"]);
            lab.ok(["suspend", "held"]);
            let map = lab.write("map.toml", ZEROS);
            let args: Vec<String> = args.iter().map(|arg| arg.replace("MAP", &map)).collect();
            let (_reader, all, code) = run_with_room(&lab, &args, writes);
            assert_eq!((code, list(&lab).as_str()), (0, left), "{args:?}: {writes} writes");
            if all {
                break;
            }
        }
    }
}

#[test]
fn what_was_not_shown_is_counted() {
    let lab = Lab::new();
    let map = lab.write("map.toml", ZEROS);
    let (mut reader, mut writer) = pipe_with_full(0);
    let mut command = lab.command(["watch", "-vv", "--apply", &map]);
    let watch = command.stdout(Stdio::null()).stderr(writer.try_clone().unwrap()).spawn().unwrap();
    until("the first apply", || list(&lab) == "one\ntwo\n");
    while !is_full(&writer) {
        writer.write_all(b".").unwrap();
    }
    save(&map, format!("{ZEROS}[mappings.three]\ntargets = [{{ type = \"zero\", length = 8 }}]\n"));
    until("an apply that can't be told", || list(&lab) == "one\nthree\ntwo\n");
    let mut told = String::new();
    let mut read = |reader: &mut PipeReader| {
        let mut chunk = vec![0; 2 * PAGE];
        let length = reader.read(&mut chunk).unwrap();
        told.push_str(str::from_utf8(&chunk[..length]).unwrap());
        told.contains(" not shown, as standard error was not read\n")
    };
    let pid = Pid::from_raw(i32::try_from(watch.id()).unwrap());
    until("the count", || {
        kill(pid, Signal::SIGHUP).unwrap();
        read(&mut reader)
    });
    drop(writer);
    assert_eq!(told_to_end(watch), Some(0));
}

/// Whether a process catches SIGTERM, by its `status` in proc(5).
fn catches_sigterm(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & (1 << (Signal::SIGTERM as i32 - 1)) != 0
}

#[test]
fn a_signal_puts_an_apply_back_whose_reader_stops() {
    let map = |verb: &[&'static str]| [verb, &["MAP", "--json"]].concat();
    for (verb, full, expected) in [
        // The plan is shown, and no event.
        (map(&["apply"]), 1, 6),
        // Not even the plan.
        (map(&["apply"]), 2, 1),
        (map(&["watch", "--apply"]), 2, 1),
    ] {
        let (lab, args) = lab(&verb);
        let (_reader, writer) = pipe_with_full(full);
        let other = writer.try_clone().unwrap();
        let child = lab.command(&args).stdout(writer).stderr(Stdio::null()).spawn().unwrap();
        until("the plan", || is_full(&other));
        until("the catch of signals", || catches_sigterm(child.id()));
        assert_eq!((told_to_end(child), list(&lab).as_str()), (Some(expected), ""), "{verb:?}");
    }
}

#[test]
fn a_pipe_that_does_not_wait_is_waited_for() {
    let (lab, args) = lab(&["apply", "MAP", "--json"]);
    let (mut reader, writer) = pipe_with_full(2);
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut child = lab.command(&args).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = String::new();
    reader.read_to_string(&mut told).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(told.trim().lines().count(), 6, "{told}");
}
