//! Where files are written, on a real file system. Tests that need files of other users run as root alone.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;

use nix::unistd::{geteuid, mkfifo};

use super::tests::{Lab, OTHER};
use super::*;

const PREFIX: &str = ".dmctl-test-";

fn write(path: &Path) -> Result<(), String> {
    replace(path, b"new", PREFIX, FileMode::Keep, Durability::Synced).map_err(|(_, error)| error.to_string())
}

fn content(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// The names in a folder that begin as temporary ones do.
fn leftovers(folder: &Path) -> usize {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with(PREFIX)).count()
}

#[test]
fn a_link_of_one_s_own_stays_and_what_it_leads_to_is_replaced() {
    let lab = Lab::new();
    lab.folder("below", 0o755);
    let file = lab.file("below/x");
    let hard = lab.at("hard");
    fs::hard_link(&file, &hard).unwrap();
    symlink("below/x", lab.at("link")).unwrap();
    symlink("link", lab.at("twice")).unwrap();
    write(&lab.at("twice")).unwrap();
    assert_eq!((content(&file), content(&hard)), ("new".into(), "below/x".into()));
    assert!(lab.at("link").is_symlink() && lab.at("twice").is_symlink());
    // One that leads nowhere is replaced itself.
    symlink("nowhere/x", lab.at("dangling")).unwrap();
    write(&lab.at("dangling")).unwrap();
    assert!(lab.at("dangling").is_file() && !lab.at("dangling").is_symlink());
    assert_eq!(leftovers(&lab.at(".")) + leftovers(&lab.at("below")), 0);
}

#[test]
fn what_is_not_a_file_is_kept() {
    let lab = Lab::new();
    let folder = lab.folder("folder", 0o755);
    mkfifo(&lab.at("pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    for (path, kind) in [(&folder, "a folder"), (&lab.at("pipe"), "a FIFO")] {
        let error = write(path).unwrap_err();
        assert!(error.contains(kind), "{error}");
    }
    assert!(write(Path::new("/dev/null")).unwrap_err().contains("a character device"));
    assert!(write(&lab.at("absent/x")).unwrap_err().contains("No such file"));
    assert_eq!(leftovers(&lab.at(".")), 0);
}

#[test]
fn the_mode_stays_unless_the_file_was_another_user_s() {
    let lab = Lab::new();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    let file = lab.file("x");
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    write(&file).unwrap();
    assert_eq!(mode(&file), 0o640);
    replace(&file, b"", PREFIX, FileMode::Private, Durability::Cached).unwrap();
    assert_eq!(mode(&file), 0o600);
    if !geteuid().is_root() {
        return;
    }
    fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
    chown(&file, Some(OTHER), None).unwrap();
    write(&file).unwrap();
    assert!(mode(&file) & 0o022 == 0 && fs::metadata(&file).unwrap().uid() == 0);
}

#[test]
fn nothing_is_written_through_a_link_of_another_user() {
    let lab = Lab::new();
    if !geteuid().is_root() {
        return;
    }
    lab.folder("shared", 0o1777);
    lab.folder("mine", 0o755);
    let mine = lab.file("mine/x");
    let link = |to: &str, name: &str| {
        symlink(lab.at(to), lab.at(name)).unwrap();
        lchown(lab.at(name), Some(OTHER), None).unwrap();
    };
    link("mine/x", "shared/file");
    link("mine", "shared/folder");
    link("mine/absent", "shared/dangling");
    link("absent/absent", "shared/nowhere");
    symlink("file", lab.at("shared/own-to-foreign")).unwrap();
    let paths =
        ["file", "folder/x", "folder/new", "dangling", "nowhere", "own-to-foreign", "folder/../mine/x"];
    for name in paths {
        let path = lab.at("shared").join(name);
        let error = write(&path).unwrap_err();
        assert!(error.contains("belongs to user 65534"), "{name}: {error}");
        make_folder(&path.join("z")).unwrap_err();
    }
    for name in ["folder/new", "dangling"] {
        let error = super::link(Path::new("/x"), &lab.at("shared").join(name), PREFIX).unwrap_err();
        assert!(error.to_string().contains("belongs to user 65534"), "{error}");
    }
    assert_eq!((content(&mine), fs::read_dir(lab.at("mine")).unwrap().count()), ("mine/x".into(), 1));
    // A file of another user's is replaced, and a folder of another user's is written into.
    let theirs = lab.file("shared/theirs");
    let hard = lab.at("hard");
    fs::hard_link(&theirs, &hard).unwrap();
    chown(&theirs, Some(OTHER), None).unwrap();
    write(&theirs).unwrap();
    assert_eq!((content(&theirs), content(&hard)), ("new".into(), "shared/theirs".into()));
    // A link in a folder of another user's is judged as well.
    let folder = lab.folder("theirs", 0o755);
    chown(&folder, Some(OTHER), None).unwrap();
    link("mine/x", "theirs/x");
    assert!(write(&folder.join("x")).unwrap_err().contains("rm "));
}

#[test]
fn leftovers_of_killed_runs_are_swept() {
    let lab = Lab::new();
    let named = |end: &str| lab.file(&format!("{PREFIX}{end}"));
    let (old, held, hard) = (named("aB3dEf"), named("lockED"), named("linked"));
    fs::hard_link(&hard, lab.at("other-name")).unwrap();
    let longer = named("abcdefg");
    symlink(&longer, lab.at(&format!("{PREFIX}soft23"))).unwrap();
    lab.folder(&format!("{PREFIX}folder"), 0o755);
    mkfifo(&lab.at(&format!("{PREFIX}pipe23")), nix::sys::stat::Mode::S_IRUSR).unwrap();
    let file = fs::File::open(&held).unwrap();
    file.try_lock().unwrap();
    let foreign = named("notmin");
    if geteuid().is_root() {
        chown(&foreign, Some(OTHER), None).unwrap();
    } else {
        fs::remove_file(&foreign).unwrap();
    }
    sweep(&lab.at("absent"), PREFIX);
    assert!(!old.exists());
    assert!(held.exists() && hard.exists() && longer.exists());
    assert_eq!(leftovers(&lab.at(".")), if geteuid().is_root() { 7 } else { 6 });
    drop(file);
    sweep_in(&lab.at("."), PREFIX);
    assert!(!held.exists());
}

#[test]
fn a_link_is_made_right() {
    let lab = Lab::new();
    let path = lab.at("link");
    for to in ["one", "one", "two"] {
        super::link(Path::new(to), &path, PREFIX).unwrap();
        assert_eq!(fs::read_link(&path).unwrap(), Path::new(to));
    }
    let file = lab.file("file");
    super::link(Path::new("one"), &file, PREFIX).unwrap();
    assert_eq!(fs::read_link(&file).unwrap(), Path::new("one"));
    make_folder(&lab.at("a/b/c")).unwrap();
    make_folder(&lab.at("a/b/c")).unwrap();
    assert!(lab.at("a/b/c").is_dir());
    assert_eq!(leftovers(&lab.at(".")), 0);
}
