//! One dmctl changes a kernel at a time.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use dmctl::lock::Lock;

use crate::lab::{Lab, finish, until};

/// A lab with a device that an unknown program keeps open.
fn with_busy_device() -> Lab {
    let lab = Lab::with(&["data"]);
    lab.edit(|state| state["mappings"][0]["open_count"] = 1.into());
    lab
}

/// A process that tries to remove that device, and so holds the lock for seconds; it has the lock already.
fn remove_in_vain(lab: &Lab) -> Child {
    let child =
        lab.command(["remove", "data"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let entry = child.id().to_string();
    until("the lock", || std::fs::read_to_string(lab.lock()).is_ok_and(|holder| holder.starts_with(&entry)));
    child
}

#[test]
fn whoever_comes_second_is_told_by_whom_it_is_held_up() {
    let lab = with_busy_device();
    let mut first = remove_in_vain(&lab);
    let stderr = lab.fails(5, ["suspend", "data"]);
    let holder = format!("process {} (`dmctl remove data`)", first.id());
    assert!(stderr.contains(&holder) && stderr.contains("--lock-timeout"), "{stderr}");
    assert_eq!(lab.ok(["list"]), "data\n", "reading needs no lock");
    first.kill().unwrap();
    first.wait().unwrap();
    lab.ok(["suspend", "data"]);
}

#[test]
fn a_busy_device_is_refused_after_some_seconds() {
    let lab = with_busy_device();
    let begin = Instant::now();
    let ended = finish(remove_in_vain(&lab));
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.contains("`data` is in use: open once, and no program has it open"), "{ended:?}");
    assert!(begin.elapsed() > Duration::from_secs(4), "it was tried for {:?} only", begin.elapsed());
}

#[test]
fn a_wait_for_the_lock_ends_when_it_is_let_go_or_the_time_is_up() {
    let lab = Lab::with(&["data"]);
    let held = Lock::acquire(&lab.lock(), Duration::ZERO, "this test").unwrap();
    let ended = lab.run(["--lock-timeout", "100ms", "suspend", "data"]);
    assert_eq!(ended.code, 5, "{ended:?}");
    let holder = format!("another dmctl, process {} (`this test`),", std::process::id());
    let (notice, error) = ended.stderr.split_once('\n').unwrap();
    assert_eq!(notice, format!("waiting up to 100ms for {holder} to finish"));
    assert!(error.starts_with(&format!("error: {holder} holds the lock")), "{error}");
    let mut waiting = lab
        .command(["--lock-timeout", "30s", "suspend", "data"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It has found the lock taken when it has said so.
    let mut stderr = BufReader::new(waiting.stderr.take().unwrap());
    let mut notice = String::new();
    stderr.read_line(&mut notice).unwrap();
    assert_eq!(notice, format!("waiting up to 30s for {holder} to finish\n"));
    drop(held);
    assert_eq!(finish(waiting).code, 0);
    assert_eq!(lab.field("data", "suspended"), "true");
}

#[test]
fn no_change_is_lost_when_many_come_at_once() {
    let lab = Lab::new();
    let names: Vec<String> = (0..8).map(|n| format!("d{n}")).collect();
    let children: Vec<Child> = names
        .iter()
        .map(|name| {
            let args = ["--lock-timeout", "60s", "create", name, "--table", "0 8 zero"];
            lab.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let ended = finish(child);
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    assert_eq!(lab.ok(["list"]).lines().collect::<Vec<_>>(), names);
}

#[test]
fn a_lock_that_cannot_be_written_is_an_error() {
    let lab = Lab::with(&["data"]);
    // A folder where the lock file should be: not even root can open it as a file.
    std::fs::remove_file(lab.lock()).unwrap();
    std::fs::create_dir(lab.lock()).unwrap();
    let stderr = lab.fails(1, ["suspend", "data"]);
    assert!(stderr.contains("state.json.lock can't be taken"), "{stderr}");
}

/// A core would hold whatever keys were read.
#[test]
fn a_crash_leaves_no_core() {
    let lab = with_busy_device();
    let mut holder = remove_in_vain(&lab);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", holder.id())).unwrap();
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>(), ["0", "0", "bytes"]);
    holder.kill().unwrap();
    holder.wait().unwrap();
}
