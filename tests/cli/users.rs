//! A user other than root: what a process without a core opens again through `/proc/self` belongs to root (proc(5)), and
//! must be opened all the same.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::unistd::geteuid;
use tempfile::TempDir;

use crate::lab::{Ended, finish};

/// The user number of an account that owns nothing.
const OTHER: u32 = 65534;

/// A folder of that user's, with the program, a map in two places, and its key. Without root it is this user's.
struct Theirs(TempDir);

impl Theirs {
    fn new() -> Self {
        let theirs = Self(tempfile::tempdir().unwrap());
        fs::set_permissions(theirs.0.path(), Permissions::from_mode(0o755)).unwrap();
        // The folder of the build may be closed to others.
        // Another program copies it: a child that another test starts meanwhile would keep a file open that is written here, and
        // the kernel runs none that is (ETXTBSY).
        let copied =
            Command::new("cp").arg(env!("CARGO_BIN_EXE_dmctl")).arg(theirs.path("dmctl")).status().unwrap();
        assert!(copied.success());
        fs::create_dir(theirs.path("maps")).unwrap();
        fs::write(theirs.path("key"), [7; 64]).unwrap();
        let map = format!(
            "format = 1\nowner = \"lab\"\n[mappings.c]\ntargets = [{{ type = \"crypt\", length = 2048, cipher = \
             \"aes-xts-plain64\", device = \"/dev/sda\", key = {{ file = \"{}\" }} }}]\n",
            theirs.path("key").display()
        );
        for name in ["map.toml", "maps/map.toml"] {
            fs::write(theirs.path(name), &map).unwrap();
        }
        for name in ["key", "map.toml", "maps/map.toml"] {
            fs::set_permissions(theirs.path(name), Permissions::from_mode(0o600)).unwrap();
        }
        for name in [".", "key", "map.toml", "maps", "maps/map.toml"] {
            if geteuid().is_root() {
                chown(theirs.path(name), Some(OTHER), Some(OTHER)).unwrap();
            }
        }
        theirs.ok("./dmctl simulate state.json --disk /dev/sda=64MiB");
        theirs
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, script: &str) -> Ended {
        let mut command = Command::new("bash");
        command.args(["-c", script]).current_dir(self.0.path()).stdin(Stdio::null());
        if geteuid().is_root() {
            command.uid(OTHER).gid(OTHER);
        }
        finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn ok(&self, script: &str) -> String {
        let ended = self.run(script);
        assert_eq!(ended.code, 0, "{script}: {ended:?}");
        ended.stdout
    }
}

#[test]
fn a_map_is_read_in_each_way_that_it_can_be_given() {
    let theirs = Theirs::new();
    for given in [
        "map.toml",
        "maps",
        "- < map.toml",
        "/dev/stdin < map.toml",
        "/proc/self/fd/0 < map.toml",
        "<(cat map.toml)",
        "- < <(cat map.toml)",
        "/dev/stdin < <(cat map.toml)",
    ] {
        let valid = theirs.ok(&format!("./dmctl validate {given}"));
        assert_eq!(valid, "Valid: 1 mapping of owner lab.\n", "{given}");
        let plan = theirs.ok(&format!("./dmctl plan --kernel state.json {given}"));
        assert!(
            plan.contains("aes-xts-plain64 <secret> 0 /dev/sda") && plan.contains("Plan: 1 create."),
            "{plan}"
        );
    }
}

#[test]
fn plans_tables_and_trials_are_those_of_the_user() {
    let theirs = Theirs::new();
    theirs.ok("./dmctl plan --kernel state.json map.toml --out plan.json");
    theirs.ok("./dmctl show --kernel state.json plan.json");
    theirs.ok("./dmctl apply --kernel state.json --plan plan.json --confirm-within 1h");
    let waits = theirs.ok("./dmctl status --kernel state.json");
    assert!(waits.starts_with("waiting for `dmctl confirm`"), "{waits}");
    assert_eq!(theirs.ok("./dmctl confirm --kernel state.json"), "Kept.\n");
    assert!(theirs.ok("./dmctl status --kernel state.json map.toml").starts_with("c  in sync"));
    theirs.ok("./dmctl create --kernel state.json typed --table '0 8 zero'");
    theirs.ok("./dmctl create --kernel state.json piped < <(echo 0 8 zero)");
    theirs.ok("./dmctl create --kernel state.json filed <<< '0 8 zero'");
    // It waits for the lock.
    let typed = theirs.run(
        "umask 077; exec 9> state.json.lock; flock 9; \
         ./dmctl create --kernel state.json waits --lock-timeout 1h --table='0 8 crypt none 0011' & \
         for try in $(seq 500); do typed=$(tr '\\0' ' ' < /proc/$!/cmdline); \
         [[ $typed = *'***'* ]] && break; sleep 0.01; done; echo $typed; kill $!",
    );
    assert!(typed.stdout.contains("--table=****") && !typed.stdout.contains("0011"), "{typed:?}");
}
