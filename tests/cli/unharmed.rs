//! Which files are believed, and which are kept: on a simulated kernel nothing is told of who could have written a map, and
//! no file that is read, or that is another user's, is lost.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;

use nix::unistd::geteuid;

use super::lab::{Lab, ended};

/// The user number of an account that owns nothing.
const OTHER: u32 = 65534;

const MAP: &str = "format = 1\nowner = \"lab\"\n[mappings.a]\ntargets = [{ type = \"zero\", length = 8 }]\n";

#[test]
fn a_simulated_kernel_does_not_care_who_could_have_written_a_map() {
    let lab = Lab::new();
    let map = lab.write("map.toml", MAP);
    for mode in [0o664, 0o666] {
        fs::set_permissions(&map, Permissions::from_mode(mode)).unwrap();
        if mode == 0o666 && geteuid().is_root() {
            chown(&map, Some(OTHER), Some(OTHER)).unwrap();
        }
        for verb in ["plan", "status", "graph", "apply", "deactivate"] {
            let ended = lab.run([verb, &map]);
            assert!(ended.code <= 2 && !ended.stderr.contains("warning"), "{verb}: {ended:?}");
        }
        let piped = lab.run_with(["plan", "-"], MAP.as_bytes());
        assert_eq!((piped.code, piped.stderr.as_str()), (0, ""));
    }
    // A checked map is not one of a simulated kernel.
    let checked = lab.run(["validate", &map]);
    assert!(checked.stderr.contains("every user (mode 0666)"), "{checked:?}");
}

#[test]
fn the_private_group_of_a_user_is_that_user() {
    let lab = Lab::new();
    let map = lab.write("map.toml", MAP);
    fs::set_permissions(&map, Permissions::from_mode(0o664)).unwrap();
    chown(&map, None, Some(geteuid().as_raw())).unwrap();
    assert_eq!(lab.run(["validate", &map]).stderr, "");
    if geteuid().is_root() {
        chown(&map, None, Some(OTHER)).unwrap();
        assert!(lab.run(["validate", &map]).stderr.contains("by its group (mode 0664)"));
    }
}

#[test]
fn a_plan_replaces_nothing_that_it_is_made_from() {
    let lab = Lab::new();
    fs::create_dir(lab.path("maps")).unwrap();
    let key = lab.path("key");
    fs::write(&key, [7; 64]).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let crypt = format!(
        "format = 1\nowner = \"lab\"\n[mappings.a]\ntargets = [{{ type = \"crypt\", length = 8, cipher = \
         \"aes-xts-plain64\", device = \"/dev/sda\", key = {{ file = \"{key}\" }} }}]\n"
    );
    let map = lab.write("maps/map.toml", &crypt);
    let maps = lab.path("maps");
    std::os::unix::fs::symlink(&map, lab.path("link")).unwrap();
    fs::hard_link(&map, lab.path("hard")).unwrap();
    let state = lab.state().to_str().unwrap().to_string();
    for (file, out) in [
        (&map, &map),
        (&maps, &map),
        (&map, &lab.path("link")),
        (&map, &lab.path("hard")),
        (&map, &key),
        (&map, &state),
    ] {
        let before = fs::read(out).unwrap();
        let ended = lab.run(["plan", file, "--out", out]);
        assert!(ended.code == 1 && ended.stderr.contains("name another file"), "{out}: {ended:?}");
        assert_eq!(fs::read(out).unwrap(), before, "{out}");
    }
    let mut command = lab.command(["plan", "-", "--out", &map]);
    let given = ended(command.stdin(fs::File::open(&map).unwrap()));
    assert!(given.code == 1 && fs::read_to_string(&map).unwrap() == crypt, "{given:?}");
    // An older plan is replaced.
    let out = lab.path("plan.json");
    lab.ok(["plan", &map, "--out", &out]);
    lab.ok(["plan", &map, "--out", &out]);
}

#[test]
fn a_simulated_kernel_of_another_user_stays_that_user_s() {
    if !geteuid().is_root() {
        return;
    }
    let lab = Lab::new();
    let map = lab.write("map.toml", MAP);
    chown(lab.state(), Some(OTHER), Some(OTHER)).unwrap();
    fs::write(lab.lock(), "").unwrap();
    fs::set_permissions(lab.lock(), Permissions::from_mode(0o600)).unwrap();
    chown(lab.lock(), Some(OTHER), Some(OTHER)).unwrap();
    for verb in ["apply", "deactivate", "apply"] {
        lab.ok([verb, &map]);
        let state = fs::metadata(lab.state()).unwrap();
        assert_eq!((state.uid(), state.gid()), (OTHER, OTHER), "{verb}");
    }
    lab.ok(["create", "c", "--table", "0 8 crypt aes-xts-plain64 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff 0 /dev/sdb 0"]);
    let state = fs::metadata(lab.state()).unwrap();
    assert_eq!((state.uid(), state.mode() & 0o777), (OTHER, 0o600));
}

#[test]
fn a_mask_of_zero_gives_nothing_away() {
    let lab = Lab::new();
    let map = lab.write("map.toml", MAP);
    let dmctl = env!("CARGO_BIN_EXE_dmctl");
    let script = format!(
        "umask 0; {dmctl} units {0}/u --map {map} && {dmctl} man {0}/m && {dmctl} simulate {0}/s",
        lab.path("")
    );
    let made = ended(Command::new("sh").args(["-c", &script]));
    assert_eq!(made.code, 0, "{made:?}");
    let mut left = vec![lab.path("u"), lab.path("m"), lab.path("s")];
    while let Some(path) = left.pop() {
        let found = fs::symlink_metadata(&path).unwrap();
        assert!(found.is_symlink() || found.mode() & 0o022 == 0, "{path}: {:o}", found.mode());
        if found.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            left.extend(entries.map(|entry| entry.unwrap().path().to_str().unwrap().to_string()));
        }
    }
}

#[test]
fn numbers_that_are_not_those_of_pipes_end_nothing_by_a_signal() {
    let lab = Lab::new();
    let map = lab.write("map.toml", MAP);
    for numbers in ["1,2,3", "3,3,3", "3,4,5", "0,1,2", "99", "", "a,b,c", "-1,4,5", "3,4,5,6"] {
        let mut command = lab.command(["apply", &map, "--confirm-within", "1h"]);
        let ended = ended(command.env("DMCTL_GUARD_TELLS", numbers));
        assert!(ended.code == 1 && !ended.stderr.contains("panicked"), "{numbers}: {ended:?}");
    }
}
