//! Lower devices: how they are written, what is told of one that is not found, and how long it is waited for.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::lab::{Lab, finish, until};

/// A map of mappings that wait this long, each for a device of its own that is not there.
fn waiting_map(lab: &Lab, waits: &[&str]) -> String {
    let mapping = |(n, wait): (usize, &&str)| {
        format!(
            "[mappings.m{n}]\nwait = '{wait}'\n\
             targets = [{{ type = 'linear', length = 8, device = '/dev/disk/by-id/late-{n}' }}]\n"
        )
    };
    let mappings: Vec<String> = waits.iter().enumerate().map(mapping).collect();
    lab.write("map.toml", &format!("format = 1\nowner = 'lab'\n{}", mappings.concat()))
}

fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let done = act();
    (done, begin.elapsed())
}

fn spawn(lab: &Lab, args: &[&str]) -> Child {
    lab.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Adds the device that the mapping `m0` of [`waiting_map`] waits for; the file is replaced as a whole.
fn plug_in(lab: &Lab) {
    let mut state: Value = serde_json::from_str(&std::fs::read_to_string(lab.state()).unwrap()).unwrap();
    let disk = json!({ "number": "8:64", "paths": ["/dev/disk/by-id/late-0"], "sectors": 64 });
    state["block_devices"].as_array_mut().unwrap().push(disk);
    std::fs::rename(lab.write("new.json", &state.to_string()), lab.state()).unwrap();
}

#[test]
fn a_label_is_read_in_every_spelling_and_exported_as_a_link_that_lasts() {
    let lab = Lab::new();
    lab.edit(|state| {
        state["block_devices"][0]["paths"] =
            json!(["/dev/sda", "/dev/disk/by-partlabel/Basic\\x20data\\x20partition"]);
    });
    for (n, device) in
        ["PARTLABEL=\"Basic data partition\"", "PARTLABEL=Basic\\x20data\\x20partition"].iter().enumerate()
    {
        lab.ok(["create", &format!("d{n}"), "--table", &format!("0 8 linear {device} {}", n * 8)]);
    }
    assert!(lab.ok(["table", "d1"]).contains("linear 8:0 8"));
    let map = lab.ok(["export", "d0", "d1"]);
    assert!(map.contains("/dev/disk/by-partlabel/Basic") && !map.contains("No path that lasts"), "{map}");
    assert_eq!(lab.ok(["plan", &lab.write("map.toml", &map)]), "Nothing to do.\n");
    let wrong = lab.fails(1, ["create", "x", "--table", "0 8 linear \"LABEL=no such\" 0"]);
    assert!(wrong.contains("there is no block device `LABEL=no\\x20such`"), "{wrong}");
}

#[test]
fn verbs_that_only_read_answer_at_once() {
    let lab = Lab::new();
    let map = waiting_map(&lab, &["4s"; 4]);
    for (verb, code) in [("plan", 1), ("status", 2), ("graph", 0)] {
        let (ended, took) = timed(|| lab.run([verb, &map]));
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(took < Duration::from_secs(2), "{verb} took {took:?}");
    }
    let plan = lab.run(["plan", &map]).stdout;
    assert!(plan.contains("/dev/disk/by-id/late-0 does not exist; apply waits up to 4s for it"), "{plan}");
}

#[test]
fn an_apply_waits_for_all_mappings_together_and_tells_for_what() {
    let lab = Lab::new();
    let map = waiting_map(&lab, &["1s"; 4]);
    let (ended, took) = timed(|| lab.run(["apply", &map]));
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(3), "it took {took:?}");
    let told = "waiting up to 1s for /dev/disk/by-id/late-3, a lower device of `m3`\n";
    assert!(ended.stderr.contains(told), "{ended:?}");
    assert!(ended.stdout.contains("late-3 does not exist\n"), "{ended:?}");
}

#[test]
fn what_comes_meanwhile_is_used_at_once() {
    let lab = Lab::new();
    let map = waiting_map(&lab, &["60s"]);
    let child = spawn(&lab, &["apply", &map, "--json"]);
    // The lock is not held, so another dmctl goes on.
    std::thread::sleep(Duration::from_millis(300));
    lab.ok(["create", "other", "--table", "0 8 zero"]);
    let (ended, took) = timed(|| {
        plug_in(&lab);
        finish(child)
    });
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    let first: Value = serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(first["event"], "waiting-for-devices");
    assert_eq!(
        first["devices"][0],
        json!({ "device": "/dev/disk/by-id/late-0", "mappings": ["m0"], "seconds": 60.0 })
    );
}

/// Whether this process ignores a signal, as one that a shell without a terminal has put in the background does.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
    mask & 1 << (signal as i32 - 1) != 0
}

#[test]
fn a_signal_ends_every_wait() {
    for (signal, wait_for_lock) in
        [(Signal::SIGTERM, false), (Signal::SIGINT, false), (Signal::SIGTERM, true)]
    {
        // A signal that these tests were started to ignore is ignored by dmctl as well.
        if is_ignored(signal) {
            continue;
        }
        let lab = Lab::new();
        let map = waiting_map(&lab, if wait_for_lock { &["0s"] } else { &["60s"] });
        let state = std::fs::read_to_string(lab.state()).unwrap();
        let lock =
            wait_for_lock.then(|| dmctl::lock::Lock::acquire(&lab.lock(), Duration::ZERO, "a test").unwrap());
        let child = spawn(&lab, &["apply", &map, "--lock-timeout", "60s"]);
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        std::thread::sleep(Duration::from_millis(500));
        let (ended, took) = timed(|| {
            kill(pid, signal).unwrap();
            finish(child)
        });
        assert!(took < Duration::from_secs(1), "{signal}: {took:?}");
        assert_eq!(ended.code, if wait_for_lock { -1 } else { 1 }, "{ended:?}");
        if !wait_for_lock {
            let told = "told to end while waiting for /dev/disk/by-id/late-0; nothing was changed";
            assert!(ended.stderr.contains(told), "{ended:?}");
        }
        drop(lock);
        assert_eq!(std::fs::read_to_string(lab.state()).unwrap(), state);
    }
}

/// After a wait for a device signals are caught, and a wait for the lock that follows must hear them.
#[test]
fn a_wait_for_the_lock_after_a_wait_for_a_device_ends_too() {
    let lab = Lab::new();
    let map = waiting_map(&lab, &["60s"]);
    let held = dmctl::lock::Lock::acquire(&lab.lock(), Duration::ZERO, "a test").unwrap();
    let child = spawn(&lab, &["apply", &map, "--lock-timeout", "60s"]);
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    std::thread::sleep(Duration::from_millis(300));
    plug_in(&lab);
    let opened = format!("/proc/{pid}/fd");
    until("the lock", || {
        let fds = std::fs::read_dir(&opened).unwrap().flatten();
        fds.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|path| path.ends_with("state.json.lock"))
    });
    let (ended, took) = timed(|| {
        kill(pid, Signal::SIGTERM).unwrap();
        finish(child)
    });
    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    drop(held);
}
