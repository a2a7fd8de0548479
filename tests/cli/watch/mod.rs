//! `dmctl watch`: a map that is edited in every way, and a kernel that others change.

mod files;
mod half_written;
mod stacks;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use dmctl::lock::Lock;

use crate::lab::{Lab, finish, save};
use crate::watching::{PATIENCE, Watching};

/// Longer than a watch waits before it tries twice more to have the lock (250 and 500 ms).
const TRIES: Duration = Duration::from_millis(1500);

/// A map of one mapping with `length` sectors.
fn map(length: u64) -> String {
    format!(
        "format = 1\nowner = \"lab\"\n[mappings.data]\ntargets = [{{ type = \"linear\", length = {length}, device = \"/dev/sda\" }}]\n"
    )
}

fn watch(lab: &Lab, args: &[&str]) -> Watching {
    let mut command = lab.command([&["watch", "--json"], args].concat());
    command.stderr(Stdio::piped());
    Watching::start(command)
}

/// A watch with `--apply` on a map that was applied already.
fn applying() -> (Lab, String, Watching) {
    let lab = Lab::new();
    let path = lab.write("map.toml", &map(2048));
    lab.ok(["apply", &path]);
    let watching = watch(&lab, &[&path, "--apply"]);
    assert_eq!(watching.next("in-sync")["mappings"], 1);
    (lab, path, watching)
}

fn table(lab: &Lab) -> String {
    lab.ok(["table", "data"])
}

#[test]
fn drift_is_seen_within_a_second_and_put_right() {
    let (lab, _, watching) = applying();
    let begin = Instant::now();
    lab.ok(["reload", "data", "--table", "0 2048 linear 8:0 8"]);
    let plan = watching.next("plan");
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(1), "it took {took:?}");
    assert_eq!(plan["causes"], serde_json::json!(["kernel"]));
    // Back to where the map says is a remap like any other.
    assert!(watching.next("refused")["error"].as_str().unwrap().contains("--allow remap"));
    watching.silent();
    lab.ok(["reload", "data", "--table", "0 2048 linear 8:0 0"]);
    watching.next("in-sync");
    lab.ok(["reload", "data", "--table", "0 1024 linear 8:0 0"]);
    watching.put_right();
    assert_eq!(table(&lab), "0 2048 linear 8:0 0\n");
    lab.ok(["rename", "data", "other"]);
    watching.put_right();
    lab.ok(["remove", "data"]);
    watching.put_right();
    lab.ok(["suspend", "data"]);
    watching.put_right();
    assert_eq!(lab.field("data", "suspended"), "false");
    // Its own changes are no reason for more.
    watching.silent();
}

#[test]
fn without_apply_nothing_is_changed() {
    let lab = Lab::new();
    let path = lab.write("map.toml", &map(2048));
    let watching = watch(&lab, &[&path]);
    assert_eq!(watching.next("plan")["summary"]["create"], 1);
    watching.silent();
    lab.ok(["apply", &path]);
    watching.next("in-sync");
    lab.ok(["remove", "data"]);
    watching.next("plan");
    assert_eq!(lab.ok(["list"]), "");
}

#[test]
fn a_broken_map_is_told_and_changes_nothing() {
    let (lab, path, watching) = applying();
    save(&path, map(4096).replace("linear", "linaer"));
    let event = watching.next("unclear");
    let details = event["details"][0].as_str().unwrap();
    assert!(details.contains("map.toml:4:") && !details.contains('\u{1b}'), "{details}");
    assert_eq!(table(&lab), "0 2048 linear 8:0 0\n");
    save(&path, map(4096));
    watching.put_right();
    let stderr = watching.end();
    assert!(stderr.contains("error: 1 error in the map, so nothing was changed"), "{stderr}");
}

#[test]
fn after_a_failure_nothing_more_is_tried_until_the_map_changes() {
    let (lab, path, watching) = applying();
    // An unknown program has it open, so it can't be removed.
    lab.edit(|state| state["mappings"][0]["open_count"] = 1.into());
    let gone = "format = 1\nowner = \"lab\"\n[mappings.data]\nstate = \"absent\"\n";
    save(&path, gone);
    watching.next("plan");
    let refused = watching.next("refused");
    assert!(refused["error"].as_str().unwrap().contains("in use"), "{refused}");
    lab.edit(|state| state["mappings"][0]["open_count"] = 0.into());
    watching.put_right();

    // A step that the kernel refuses.
    let unknown = "format = 1\nowner = \"lab\"\n[mappings.data]\ntargets = [{ type = \"nonsense\", length = 8, params = \"\" }]\n";
    save(&path, unknown);
    watching.next("plan");
    let failed = watching.next("failed");
    assert_eq!(failed["exit"], 6, "{failed}");
    watching.next("held");
    watching.silent();
    // Other things happen; it stays so.
    lab.ok(["create", "other", "--table", "0 8 zero"]);
    watching.silent();
    assert_eq!(lab.ok(["list"]), "other\n");
    // Asked, it tries again; then the map is put right.
    watching.signal("-HUP");
    watching.next("plan");
    watching.next("failed");
    watching.next("held");
    save(&path, map(2048));
    watching.put_right();
    watching.end();
}

#[test]
fn two_that_correct_each_other_come_to_rest() {
    let lab = Lab::new();
    let one = lab.write("one.toml", &map(2048));
    let two = lab.write("two.toml", &map(4096).replace("length = 4096", "length = 2048, offset = 8"));
    let both = [
        watch(&lab, &[&one, "--apply", "--allow", "remap"]),
        watch(&lab, &[&two, "--apply", "--allow", "remap"]),
    ];
    let begin = Instant::now();
    let held = |watching: &Watching| {
        while begin.elapsed() < Duration::from_secs(60) {
            match watching.events.recv_timeout(PATIENCE) {
                Ok(event) if event["event"] == "held" => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
        false
    };
    assert!(both.iter().any(held), "they go on for ever");
}

#[test]
fn no_key_is_told() {
    let lab = Lab::new();
    let key = "0123456789abcdef".repeat(4);
    let crypt = |key: &str| {
        format!(
            "format = 1\nowner = \"lab\"\n[mappings.data]\ntargets = [{{ type = \"crypt\", length = 2048, device = \"/dev/sda\", cipher = \"aes-xts-plain64\", key = {key} }}]\n"
        )
    };
    // In the wrong place at first.
    let path = lab.write("map.toml", &crypt(&format!("\"{key}\"")));
    let mut command = lab.command(["-vvv", "watch", "--json", "--apply", &path]);
    command.stderr(Stdio::piped());
    let watching = Watching::start(command);
    let mut told = watching.next("unclear").to_string();
    save(&path, crypt(&format!("{{ hex = \"{key}\" }}")));
    told += &watching.next("plan").to_string();
    told += &watching.next("step-done").to_string();
    watching.next("applied");
    watching.next("in-sync");
    lab.ok(["reload", "data", "--table", "0 1024 linear 8:0 8"]);
    told += &watching.next("plan").to_string();
    told += &watching.next("refused").to_string();
    told += &watching.end();
    assert!(told.contains("aes-xts-plain64"), "{told}");
    assert!(!told.contains("0123456789abcdef"), "{told}");
}

#[test]
fn who_holds_the_lock_is_waited_for() {
    let (lab, path, watching) = applying();
    let held = Lock::acquire(&lab.lock(), Duration::ZERO, "this test").unwrap();
    save(&path, map(4096));
    watching.next("plan");
    assert!(watching.next("locked")["error"].as_str().unwrap().contains("this test"));
    // It tries again and again, and so never rests.
    assert_eq!(watching.events.recv_timeout(TRIES), Err(RecvTimeoutError::Timeout));
    drop(held);
    watching.applied();
    assert_eq!(table(&lab), "0 4096 linear 8:0 0\n");
}

#[test]
fn a_person_reads_what_happens() {
    let lab = Lab::new();
    let path = lab.write("map.toml", &map(2048));
    let mut command = lab.command(["watch", &path, "--apply"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut until = |last: &str| -> String {
        let mut text = String::new();
        for line in lines.by_ref() {
            text.push_str(&line);
            text.push('\n');
            if line == last {
                break;
            }
        }
        text
    };
    let started = until("In sync, 1 mapping.");
    assert!(started.starts_with("+ create  data"), "{started}");
    assert!(started.ends_with("\nApplied: 1 step.\nIn sync, 1 mapping.\n"), "{started}");
    lab.ok(["remove", "data"]);
    let again = until("In sync, 1 mapping.");
    assert!(again.starts_with("The kernel changed.\n+ create  data"), "{again}");
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let ended = finish(child);
    assert_eq!(ended.code, 0, "{ended:?}");
    // What is doubtful about the map is said once, not at each look.
    assert_eq!(ended.stderr.matches("warning: ").count(), 1, "{ended:?}");
}

#[test]
fn systemd_is_told_when_it_is_ready_and_how_it_stands() {
    let lab = Lab::new();
    let path = lab.write("map.toml", &map(2048));
    let socket = UnixDatagram::bind(lab.path("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = || {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    let mut command = lab.command(["watch", "--json", &path]);
    command.env("NOTIFY_SOCKET", lab.path("notify")).env("WATCHDOG_USEC", "600000");
    let watching = Watching::start(command);
    assert_eq!(told(), "READY=1\nSTATUS=drift: 1 create\n");
    assert_eq!(told(), "WATCHDOG=1\n");
    lab.ok(["apply", &path]);
    let next = || std::iter::repeat_with(told).find(|text| text != "WATCHDOG=1\n").unwrap();
    assert_eq!(next(), "STATUS=in sync, 1 mapping\n");
    watching.signal("-HUP");
    assert!(next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(next(), "READY=1\n");
    watching.end();
    assert_eq!(next(), "STOPPING=1\n");
}

#[test]
fn it_costs_nothing_while_nothing_happens() {
    let (_lab, _, watching) = applying();
    watching.sleeps();
}

#[test]
fn it_ends_when_nobody_reads_it_any_more() {
    let lab = Lab::new();
    let path = lab.write("map.toml", &map(2048));
    let mut child =
        lab.command(["watch", &path]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut String::new()).unwrap();
    drop(out);
    lab.ok(["apply", &path]);
    assert_eq!(finish(child).code, 0);
}

#[test]
fn what_cannot_be_watched_is_an_error() {
    let lab = Lab::new();
    assert!(lab.fails(64, ["watch", "-"]).contains("standard input can't be watched"));
    fs::remove_file(lab.state()).unwrap();
    assert!(lab.fails(1, ["watch", "map.toml"]).contains("state.json"));
}
