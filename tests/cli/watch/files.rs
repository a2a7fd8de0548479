//! Maps that are written as editors and people write them.

use std::fs;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::Duration;

use super::{applying, map, table, watch};
use crate::lab::Lab;

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

#[test]
fn half_of_a_map_is_not_read() {
    let (lab, path, watching) = applying();
    let whole = format!("{}[mappings.more]\ntargets = [{{ type = \"zero\", length = 8 }}]\n", map(2048));
    fs::write(&path, whole.replace("[mappings.data]", "[policy]\nprune = true\n[mappings.data]")).unwrap();
    watching.put_right();
    // Its first half would remove the other mapping.
    let text = fs::read_to_string(&path).unwrap();
    let (first, second) = text.split_at(text.find("[mappings.more]").unwrap());
    let mut file = fs::File::create(&path).unwrap();
    std::io::Write::write_all(&mut file, first.as_bytes()).unwrap();
    thread::sleep(WRITER_PAUSE);
    std::io::Write::write_all(&mut file, second.as_bytes()).unwrap();
    drop(file);
    watching.silent();
    assert_eq!(lab.ok(["list"]), "data\nmore\n");
}

#[test]
fn files_come_and_go_in_a_directory() {
    let lab = Lab::new();
    let folder = lab.path("maps");
    // Not there yet: nothing of the way but the folder of the lab.
    let watching = watch(&lab, &[&folder, "--apply"]);
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
    watching.put_right();
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
