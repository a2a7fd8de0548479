//! SIGINT and SIGTERM end each wait of each verb within a second, and what is not done is not begun.

use std::fs::File;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use dmctl::lock::Lock;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::lab::{Ended, Lab, finish, until};
use crate::plan::{linear, map};

/// How long a signal may take.
const AT_ONCE: Duration = Duration::from_secs(1);

fn spawn(lab: &Lab, arguments: &[&str]) -> Child {
    let command = &mut lab.command(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Sends a signal, and returns how the process ended, which must be at once.
fn end(child: Child, signal: Signal) -> Ended {
    let begin = Instant::now();
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
    let ended = finish(child);
    assert!(begin.elapsed() < AT_ONCE, "{signal}: {:?}: {ended:?}", begin.elapsed());
    ended
}

/// A lab with a device of the owner of a map, and the map.
fn lab() -> (Lab, String) {
    let lab = Lab::new();
    let map = lab.write("map.toml", &map(&linear("data", 0, 8)));
    lab.ok(["apply", &map]);
    (lab, map)
}

/// Waits until a process has a file open.
fn has_open(child: &Child, name: &str) {
    let opened = format!("/proc/{}/fd", child.id());
    until("the file", || {
        let fds = std::fs::read_dir(&opened).unwrap().flatten();
        fds.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|path| path.ends_with(name))
    });
}

#[test]
fn the_wait_for_the_lock_of_every_verb() {
    let (lab, map) = lab();
    let table = ["--table", "0 8 zero"];
    let verbs: [&[&str]; 10] = [
        &["create", "new", table[0], table[1]],
        &["reload", "data", table[0], table[1]],
        &["rename", "data", "other"],
        &["remove", "data"],
        &["suspend", "data"],
        &["resume", "data"],
        &["clear", "data"],
        &["deactivate", &map],
        &["repair"],
        &["apply", &map],
    ];
    let state = std::fs::read_to_string(lab.state()).unwrap();
    let held = Lock::acquire(&lab.lock(), Duration::ZERO, "a test").unwrap();
    for verb in verbs {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let child = spawn(&lab, &[verb, &["--lock-timeout", "60s"]].concat());
            has_open(&child, "state.json.lock");
            let ended = end(child, signal);
            assert_ne!(ended.code, 0, "{verb:?}: {ended:?}");
            assert_eq!(std::fs::read_to_string(lab.state()).unwrap(), state, "{verb:?}: {ended:?}");
        }
    }
    drop(held);
    assert!(lab.ok(["plan", &map]).contains("Nothing to do"));
}

#[test]
fn the_wait_for_the_lock_before_a_trial() {
    let (lab, _) = lab();
    let after = lab.write("after.toml", &map(&linear("data", 0, 16)));
    let state = std::fs::read_to_string(lab.state()).unwrap();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let held = Lock::acquire(&lab.lock(), Duration::ZERO, "a test").unwrap();
        let child = spawn(&lab, &["apply", &after, "--confirm-within", "1h", "--lock-timeout", "60s"]);
        std::thread::sleep(Duration::from_millis(500));
        let ended = end(child, signal);
        assert_ne!(ended.code, 0, "{ended:?}");
        drop(held);
        // Nor does the process that would have waited take the lock now.
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(std::fs::read_to_string(lab.state()).unwrap(), state, "{ended:?}");
    }
}

/// The process that applies on trial behind `front`, once it has begun to wait.
fn guard_of(front: &Child) -> Pid {
    let children = format!("/proc/{0}/task/{0}/children", front.id());
    let mut guard = 0;
    until("the process that applies", || {
        let children = std::fs::read_to_string(&children).unwrap();
        guard = children.split_whitespace().next().map_or(0, |pid| pid.parse().unwrap());
        let state = std::fs::read_to_string(format!("/proc/{guard}/stat")).unwrap_or_default();
        let command = std::fs::read_to_string(format!("/proc/{guard}/cmdline")).unwrap_or_default();
        command.contains("--confirm-within") && state.contains(") S ")
    });
    // From its first sleep on to that in which it reads.
    std::thread::sleep(Duration::from_millis(200));
    Pid::from_raw(guard)
}

/// Waits for the end of a process that may not be a child of this one.
fn ends(pid: Pid) {
    let begin = Instant::now();
    until("the end of the process that applies", || kill(pid, None).is_err() || is_dead(pid));
    assert!(begin.elapsed() < AT_ONCE, "{:?}", begin.elapsed());
}

/// Whether a process has ended, and its parent has not asked how.
fn is_dead(pid: Pid) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|state| state.contains(") Z "))
}

#[test]
fn the_wait_of_a_trial_for_its_map() {
    let (lab, _) = lab();
    let pipe = lab.path("pipe");
    nix::unistd::mkfifo(pipe.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let state = std::fs::read_to_string(lab.state()).unwrap();
    // Without a writer, and with one that writes nothing.
    for (has_writer, given) in [(false, "-"), (false, &pipe), (true, &pipe)] {
        let _writer = has_writer.then(|| File::options().read(true).write(true).open(&pipe).unwrap());
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let start = || {
                let command = &mut lab.command(["apply", given, "--confirm-within", "9s"]);
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            };
            // `Child::wait` closes the standard input that it finds.
            let mut front = start();
            let input = front.stdin.take();
            let guard = guard_of(&front);
            let ended = end(front, signal);
            assert_eq!(ended.code, 1, "{given}: {ended:?}");
            assert_eq!(ended.stderr, "error: told to end before anything was changed\n", "{given}");
            ends(guard);
            // The process that waits, without that in front.
            let mut front = start();
            let input = (input, front.stdin.take());
            let guard = guard_of(&front);
            kill(guard, signal).unwrap();
            let ended = finish(front);
            assert!(ended.code == 1 && ended.stderr.contains("told to end"), "{given}: {ended:?}");
            // Nor does it wait on when that in front has died.
            let mut front = start();
            let _input = (input, front.stdin.take());
            let guard = guard_of(&front);
            front.kill().unwrap();
            front.wait().unwrap();
            ends(guard);
        }
    }
    assert_eq!(std::fs::read_to_string(lab.state()).unwrap(), state);
    assert!(!lab.has("state.json.confirm"));
}

#[test]
fn the_tries_to_remove_a_busy_device() {
    let (lab, map) = lab();
    lab.edit(|state| state["mappings"][0]["open_count"] = 1.into());
    let state = std::fs::read_to_string(lab.state()).unwrap();
    for verb in [&["remove", "data"][..], &["deactivate", &map, "--wait", "1h"]] {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let child = spawn(&lab, verb);
            let holder = child.id().to_string();
            until("the lock", || {
                std::fs::read_to_string(lab.lock()).is_ok_and(|held| held.starts_with(&holder))
            });
            // Some tries.
            std::thread::sleep(Duration::from_millis(300));
            let ended = end(child, signal);
            assert!(ended.stderr.contains("data"), "{verb:?}: {ended:?}");
            assert_eq!(std::fs::read_to_string(lab.state()).unwrap(), state, "{verb:?}: {ended:?}");
        }
    }
}

#[test]
fn the_wait_of_confirm_for_the_one_that_waits() {
    let (lab, _) = lab();
    let after = lab.write("after.toml", &map(&linear("data", 0, 16)));
    lab.ok(["apply", &after, "--confirm-within", "1h"]);
    let status = lab.json(["status", &after, "--json"]);
    let guard = Pid::from_raw(i32::try_from(status["confirm"]["pid"].as_i64().unwrap()).unwrap());
    // It is stopped, so it can't answer that it was confirmed.
    kill(guard, Signal::SIGSTOP).unwrap();
    let child = spawn(&lab, &["confirm"]);
    std::thread::sleep(Duration::from_millis(300));
    let ended = end(child, Signal::SIGTERM);
    kill(guard, Signal::SIGCONT).unwrap();
    assert_ne!(ended.code, 0, "{ended:?}");
    // The confirmation was given before the wait, and it counts.
    until("the end of the trial", || lab.json(["status", &after, "--json"])["confirm"].is_null());
    assert!(lab.ok(["plan", &after]).contains("Nothing to do"));
}
