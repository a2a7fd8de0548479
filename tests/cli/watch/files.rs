//! Maps that are written as editors and people write them.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use super::{applying, map, table, watch};
use crate::lab::Lab;
use crate::watching::Watching;

/// How long the writer of a file pauses: longer than the quiet before a look, shorter than what ends the wait for it
/// (`watch::pace`).
const WRITER_PAUSE: Duration = Duration::from_millis(500);

#[test]
fn a_map_is_applied_however_an_editor_saves_it() {
    let (lab, path, watching) = applying();
    let sized = |length| format!("0 {length} linear 8:0 0\n");

    fs::write(&path, map(4096)).unwrap();
    watching.put_right();
    assert_eq!(table(&lab), sized(4096));

    // A new file is put in the place of the old one.
    fs::rename(lab.write("map.toml.new", &map(6144)), &path).unwrap();
    watching.put_right();
    assert_eq!(table(&lab), sized(6144));

    // vim: the old one becomes the backup, then a new one is written.
    fs::rename(&path, lab.path("map.toml~")).unwrap();
    fs::write(&path, map(8192)).unwrap();
    watching.put_right();
    assert_eq!(table(&lab), sized(8192));

    watching.end();
}

/// Longer than a writer may pause before its file is read all the same.
const LONG_PAUSE: Duration = Duration::from_millis(2500);

/// A map with `prune`, of mappings of eight sectors each.
fn pruned(names: &[&str]) -> String {
    let mapping = |name: &&str| format!("[mappings.{name}]\ntargets = [{{ type = \"zero\", length = 8 }}]\n");
    let mappings: String = names.iter().map(mapping).collect();
    format!("format = 1\nowner = \"lab\"\n[policy]\nprune = true\n{mappings}")
}

/// Sees that nothing is told for longer than a writer may pause.
fn nothing_more(watching: &Watching) {
    assert_eq!(watching.events.recv_timeout(LONG_PAUSE), Err(RecvTimeoutError::Timeout));
}

#[test]
fn nothing_is_removed_while_a_file_of_the_map_is_written() {
    // A file, a link to it, a folder of it.
    for way in ["map.toml", "link.toml", "maps"] {
        let lab = Lab::new();
        fs::create_dir(lab.path("maps")).unwrap();
        let path = lab.write(if way == "maps" { "maps/map.toml" } else { "map.toml" }, &pruned(&["a", "b"]));
        if way == "link.toml" {
            symlink("map.toml", lab.path(way)).unwrap();
        }
        lab.ok(["apply", &path]);
        let watching = watch(&lab, &[&lab.path(way), "--apply"]);
        watching.next("in-sync");
        let mut file = File::create(&path).unwrap();
        file.write_all(pruned(&["a"]).as_bytes()).unwrap();
        assert_eq!(watching.next("plan")["summary"]["remove"], 1, "{way}");
        let waiting = watching.next("waiting");
        let written = std::path::Path::new(waiting["written"][0]["path"].as_str().unwrap());
        assert!(written.extension().is_some_and(|extension| extension == "toml"), "{waiting}");
        assert_eq!(waiting["written"][0]["processes"][0]["pid"], std::process::id(), "{waiting}");
        assert_eq!(waiting["steps"], serde_json::json!(["remove b"]));
        nothing_more(&watching);
        assert_eq!(lab.ok(["list"]), "a\nb\n");
        // What takes nothing away goes on.
        let more = pruned(&["c"]);
        file.write_all(&more.as_bytes()[more.find("[mappings").unwrap()..]).unwrap();
        watching.next("plan");
        watching.next("plan");
        watching.next("step-done");
        watching.next("applied");
        watching.next("plan");
        assert_eq!(lab.ok(["list"]), "a\nb\nc\n");
        drop(file);
        watching.applied();
        assert_eq!(lab.ok(["list"]), "a\nc\n");
        let stderr = watching.end();
        assert!(stderr.contains("1 step that takes something away is held back until "), "{stderr}");
        assert!(stderr.contains("is open for writing by "), "{stderr}");
    }
}

#[test]
fn a_writer_that_was_there_first_is_waited_for() {
    let lab = Lab::new();
    let path = lab.write("map.toml", &pruned(&["a", "b"]));
    lab.ok(["apply", &path]);
    let mut file = File::create(&path).unwrap();
    file.write_all(pruned(&["a"]).as_bytes()).unwrap();
    let watching = watch(&lab, &[&path, "--apply"]);
    watching.next("plan");
    watching.next("waiting");
    nothing_more(&watching);
    // Another file is put in its place: that one is whole, whatever becomes of the other.
    fs::rename(lab.write("new", &pruned(&["b"])), &path).unwrap();
    watching.put_right();
    assert_eq!(lab.ok(["list"]), "b\n");
    drop(file);
    nothing_more(&watching);
}

#[test]
fn a_writer_of_another_file_of_the_map_counts_as_well() {
    for stacks in [&["--apply"][..], &["--apply", "--each-stack"]] {
        let lab = Lab::new();
        let (one, two) = (lab.write("one.toml", &map(2048)), lab.write("two.toml", &pruned(&["a"])));
        lab.ok(["apply", &one, &two]);
        let watching = watch(&lab, &[&[one.as_str(), &two], stacks].concat());
        watching.next("in-sync");
        let file = File::options().append(true).open(&one).unwrap();
        let absent = "format = 1\nowner = \"lab\"\n[mappings.a]\nstate = \"absent\"\n";
        fs::rename(lab.write("new", absent), &two).unwrap();
        watching.next("plan");
        watching.next("waiting");
        nothing_more(&watching);
        // Drift that is put right by adding is.
        lab.ok(["remove", "data"]);
        watching.next("plan");
        watching.next("plan");
        watching.next("step-done");
        watching.next("applied");
        watching.next("plan");
        assert_eq!(lab.ok(["list"]), "a\ndata\n");
        drop(file);
        watching.applied();
        assert_eq!(lab.ok(["list"]), "data\n");
    }
}

#[test]
fn a_file_that_went_away_is_waited_for_before_anything_is_removed() {
    let lab = Lab::new();
    fs::create_dir(lab.path("maps")).unwrap();
    let a = lab.write("maps/a.toml", &pruned(&["a"]));
    let b = lab.write("maps/b.toml", &pruned(&["b"]));
    lab.ok(["apply", &lab.path("maps")]);
    let watching = watch(&lab, &[&lab.path("maps"), "--apply", "--removal-delay", "3s"]);
    watching.next("in-sync");
    // Away for a moment.
    fs::rename(&b, lab.path("b")).unwrap();
    watching.next("plan");
    let waiting = watching.next("waiting");
    assert_eq!(waiting["absent"], serde_json::json!([b]));
    assert_eq!(waiting["seconds"], 3.0);
    thread::sleep(Duration::from_secs(1));
    fs::rename(lab.path("b"), &b).unwrap();
    watching.next("in-sync");
    nothing_more(&watching);
    assert_eq!(lab.ok(["list"]), "a\nb\n");
    // Away for good, while another file changes.
    fs::remove_file(&b).unwrap();
    watching.next("plan");
    watching.next("waiting");
    thread::sleep(Duration::from_secs(2));
    let last = Instant::now();
    fs::write(&a, pruned(&["a", "c"])).unwrap();
    watching.next("plan");
    watching.next("plan");
    assert_eq!(watching.next("step-done")["name"], "c");
    watching.next("applied");
    watching.next("plan");
    assert_eq!(watching.next("step-done")["name"], "b");
    assert!(last.elapsed() > Duration::from_secs(3), "{:?}", last.elapsed());
    watching.next("applied");
    watching.next("in-sync");
    assert_eq!(lab.ok(["list"]), "a\nc\n");
    watching.silent();
}

/// However long it was away: the time begins with the first map that can be read again.
#[test]
fn a_folder_that_comes_back_file_by_file_loses_nothing() {
    let lab = Lab::new();
    let (folder, away) = (lab.path("maps"), lab.path("away"));
    fs::create_dir(&folder).unwrap();
    lab.write("maps/a.toml", &pruned(&["a"]));
    lab.write("maps/b.toml", &pruned(&["b"]));
    lab.ok(["apply", &folder]);
    let _watching = watch(&lab, &[&folder, "--apply", "--removal-delay", "2s"]);
    thread::sleep(Duration::from_secs(1));
    let gaps: [&dyn Fn(); 3] = [
        &|| fs::rename(&folder, &away).unwrap(),
        &|| {
            for file in ["maps/a.toml", "maps/b.toml"] {
                fs::remove_file(lab.path(file)).unwrap();
            }
        },
        &|| {
            fs::remove_file(lab.path("maps/b.toml")).unwrap();
            lab.write("maps/a.toml", "broken");
        },
    ];
    for begin in gaps {
        begin();
        thread::sleep(Duration::from_secs(4));
        if !fs::exists(&folder).unwrap() {
            fs::create_dir(&folder).unwrap();
        }
        lab.write("maps/a.toml", &pruned(&["a"]));
        thread::sleep(Duration::from_millis(1200));
        assert_eq!(lab.ok(["list"]), "a\nb\n");
        lab.write("maps/b.toml", &pruned(&["b"]));
        thread::sleep(Duration::from_secs(3));
        assert_eq!(lab.ok(["list"]), "a\nb\n");
    }
    // It is gone for good once that time is over.
    fs::remove_dir_all(&folder).unwrap();
    thread::sleep(Duration::from_secs(3));
    fs::create_dir(&folder).unwrap();
    lab.write("maps/a.toml", &pruned(&["a"]));
    thread::sleep(Duration::from_secs(4));
    assert_eq!(lab.ok(["list"]), "a\n");
}

#[test]
fn half_of_a_map_is_not_read() {
    let (lab, path, watching) = applying();
    let whole = format!("{}[mappings.more]\ntargets = [{{ type = \"zero\", length = 8 }}]\n", map(2048));
    fs::write(&path, whole.replace("[mappings.data]", "[policy]\nprune = true\n[mappings.data]")).unwrap();
    watching.put_right();
    // Its first half would remove the other mapping.
    let text = fs::read_to_string(&path).unwrap();
    let (first, second) = text.split_at(text.find("[mappings.more]").unwrap());
    let mut file = File::create(&path).unwrap();
    file.write_all(first.as_bytes()).unwrap();
    thread::sleep(WRITER_PAUSE);
    file.write_all(second.as_bytes()).unwrap();
    drop(file);
    watching.silent();
    assert_eq!(lab.ok(["list"]), "data\nmore\n");
}

#[test]
fn files_come_and_go_in_a_directory() {
    let lab = Lab::new();
    let folder = lab.path("maps");
    // Not there yet: nothing of the way but the folder of the lab.
    let watching = watch(&lab, &[&folder, "--apply", "--removal-delay", "1s"]);
    assert!(watching.next("unclear")["details"][0].as_str().unwrap().contains("maps"));
    fs::create_dir(&folder).unwrap();
    watching.next("unclear");
    lab.write("maps/a.toml", &map(2048));
    watching.put_right();
    lab.write("maps/b.toml", "format = 1\nowner = \"lab\"\n[policy]\nprune = true\n[mappings.more]\ntargets = [{ type = \"zero\", length = 8 }]\n");
    watching.put_right();
    assert_eq!(lab.ok(["list"]), "data\nmore\n");
    // What is not a map is none of its business.
    lab.write("maps/b.toml.swp", "swap");
    watching.silent();
    fs::remove_file(lab.path("maps/a.toml")).unwrap();
    watching.next("plan");
    watching.next("waiting");
    watching.applied();
    assert_eq!(lab.ok(["list"]), "more\n");
    // No map at all is no order to remove everything.
    fs::remove_dir_all(&folder).unwrap();
    watching.next("unclear");
    assert_eq!(lab.ok(["list"]), "more\n");
    // Made again, it is another folder.
    fs::create_dir(&folder).unwrap();
    lab.write("maps/a.toml", &map(2048));
    watching.put_right();
    assert_eq!(lab.ok(["list"]), "data\nmore\n");
}

#[test]
fn a_link_is_followed_to_wherever_it_leads() {
    let lab = Lab::new();
    for (version, length) in [("..v1", 2048), ("..v2", 4096)] {
        fs::create_dir(lab.path(version)).unwrap();
        lab.write(&format!("{version}/map.toml"), &map(length));
    }
    symlink("..v1", lab.path("..data")).unwrap();
    symlink("..data/map.toml", lab.path("map.toml")).unwrap();
    let watching = watch(&lab, &[&lab.path("map.toml"), "--apply"]);
    watching.put_right();
    // As Kubernetes swaps a volume.
    symlink("..v2", lab.path("..data_tmp")).unwrap();
    fs::rename(lab.path("..data_tmp"), lab.path("..data")).unwrap();
    watching.put_right();
    assert_eq!(table(&lab), "0 4096 linear 8:0 0\n");
    // What it leads to now is followed, and what it led to no more.
    lab.write("..v1/map.toml", &map(8192));
    watching.silent();
    lab.write("..v2/map.toml", &map(6144));
    watching.put_right();
    assert_eq!(table(&lab), "0 6144 linear 8:0 0\n");
}

#[test]
fn a_pipe_does_not_make_it_deaf() {
    let lab = Lab::new();
    let path = lab.path("map.toml");
    nix::unistd::mkfifo(std::path::Path::new(&path), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let watching = watch(&lab, &[&path, "--apply"]);
    let event = watching.next("unclear");
    assert!(event["details"][0].as_str().unwrap().contains("is a FIFO"), "{event}");
    fs::rename(lab.write("new", &map(2048)), &path).unwrap();
    watching.put_right();
    watching.end();
}
