//! Maps whose writer closes them halfway and goes on: half of a map is a map as well.

use std::fs;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::watch;
use crate::lab::Lab;
use crate::watching::Watching;

/// How long a writer is away: longer than the quiet before a look.
const AWAY: Duration = Duration::from_secs(1);

fn mapping(name: &str, more: &str) -> String {
    format!("[mappings.{name}]\n{more}targets = [{{ type = \"zero\", length = 8 }}]\n")
}

fn map(mappings: &str) -> String {
    format!("format = 1\nowner = \"lab\"\n[policy]\nprune = true\n{mappings}")
}

/// A lab with this map, applied and watched, and its path.
fn watched(text: &str, delay: &str) -> (Lab, String, Watching) {
    let lab = Lab::new();
    let path = lab.write("map.toml", text);
    lab.ok(["apply", &path]);
    let watching = watch(&lab, &[&path, "--apply", "--removal-delay", delay]);
    watching.next("in-sync");
    (lab, path, watching)
}

fn append(path: &str, text: &str) {
    let mut file = fs::File::options().append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Writes half of a map, which lacks `b`, after `before` had the file, and the rest of it later. `b` must stay the same device.
/// Returns the event that tells for what its removal waits.
fn written_in_two_halves(before: impl FnOnce(&str, &Watching)) -> Value {
    let (a, b) = (mapping("a", ""), mapping("b", ""));
    let (lab, path, watching) = watched(&map(&format!("{a}{b}")), "10s");
    let number = || lab.json(["info", "b", "--json"])["minor"].clone();
    let first = number();
    before(&path, &watching);
    fs::write(&path, map(&a)).unwrap();
    assert_eq!(watching.next("plan")["summary"]["remove"], 1);
    let waiting = watching.next("waiting");
    assert_eq!(
        (&waiting["rewritten"], &waiting["steps"]),
        (&json!([path]), &json!(["remove b"])),
        "{waiting}"
    );
    thread::sleep(AWAY);
    append(&path, &b);
    watching.next("in-sync");
    watching.silent();
    assert_eq!(number(), first, "it is the same device");
    waiting
}

#[test]
fn a_map_that_is_closed_halfway_removes_nothing() {
    let waiting = written_in_two_halves(|_, _| ());
    assert_eq!(waiting["seconds"], json!(3.0), "{waiting}");
}

/// A file that was away is not whole because it is another file than before.
#[test]
fn a_map_that_comes_back_half_written_removes_nothing() {
    written_in_two_halves(|path, watching| {
        fs::remove_file(path).unwrap();
        watching.next("unclear");
    });
}

#[test]
fn what_a_whole_map_lacks_goes_after_a_quiet_time() {
    for (delay, quiet) in [("10s", 3), ("1s", 1)] {
        let (a, b) = (mapping("a", ""), mapping("b", ""));
        let (lab, path, watching) = watched(&map(&format!("{a}{b}")), delay);
        let last = Instant::now();
        fs::write(&path, map(&a)).unwrap();
        watching.next("plan");
        watching.next("waiting");
        watching.applied();
        assert!(last.elapsed() >= Duration::from_secs(quiet), "{delay}: {:?}", last.elapsed());
        assert_eq!(lab.ok(["list"]), "a\n");
        let stderr = watching.end();
        assert!(stderr.contains(&format!("was not written for {quiet}s: remove b")), "{stderr}");
    }
}

/// An editor or a deployment that renames a whole file into place waits for nothing.
#[test]
fn a_map_that_replaces_another_is_whole() {
    let (a, b) = (mapping("a", ""), mapping("b", ""));
    let (lab, path, watching) = watched(&map(&format!("{a}{b}")), "1h");
    fs::rename(lab.write("new", &map(&a)), &path).unwrap();
    watching.put_right();
    assert_eq!(lab.ok(["list"]), "a\n");
    // Drift is put right at once.
    lab.ok(["create", "b", "--uuid", "DMCTL-lab-b", "--table", "0 8 zero"]);
    watching.put_right();
}

/// The line that holds the I/O of a device may be in the other half.
#[test]
fn a_device_that_is_held_is_not_resumed_by_half_a_map() {
    let held = "state = \"suspended\"\n";
    let (lab, path, watching) = watched(&map(&mapping("a", held)), "10s");
    fs::write(&path, map(&mapping("a", ""))).unwrap();
    watching.next("plan");
    assert_eq!(watching.next("waiting")["steps"], json!(["resume a"]));
    thread::sleep(AWAY);
    assert!(lab.ok(["info", "a"]).contains("suspended: true"));
    fs::write(&path, map(&mapping("a", held))).unwrap();
    watching.next("in-sync");
    watching.silent();
    // Meant so, it is resumed.
    fs::write(&path, map(&mapping("a", ""))).unwrap();
    watching.next("plan");
    watching.next("waiting");
    watching.applied();
    assert!(lab.ok(["info", "a"]).contains("suspended: false"));
}

/// What half of a map adds can be put right once it is whole.
#[test]
fn what_is_added_waits_for_nothing() {
    let (lab, path, watching) = watched(&map(&mapping("a", "")), "1h");
    append(&path, &mapping("b", ""));
    watching.put_right();
    assert_eq!(lab.ok(["list"]), "a\nb\n");
}

/// Devices with names that are not UTF-8 come and go beside the map, and are told escaped.
#[test]
fn names_that_are_not_utf_8_do_not_end_it() {
    let (lab, path, watching) = watched(&map(&mapping("a", "")), "1s");
    lab.ok(["create", "a\\xff", "--uuid", "DMCTL-lab-b\\xfe", "--table", "0 8 zero"]);
    watching.silent();
    append(&path, &mapping("c", ""));
    watching.put_right();
    assert_eq!(lab.ok(["list"]).lines().count(), 3);
    watching.end();
}
