//! Maps that another user gives to root, in each way that a map can be given. Nothing is carried out by them, and nothing that
//! they name is read. Without root there is not another user.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Command, Stdio};

use nix::sys::stat::Mode;
use nix::unistd::{geteuid, mkfifo};

use crate::lab::{Ended, Lab, finish};

/// The user number of an account that owns nothing.
const OTHER: u32 = 65534;

/// A map whose key is in a file.
fn map(key: &str) -> String {
    format!(
        "format = 1\nowner = \"lab\"\n[mappings.c]\nboot = [\"x-initrd.attach\"]\ntargets = [{{ type = \"crypt\", \
         length = 2048, cipher = \"aes-xts-plain64\", device = \"/dev/sda\", key = {{ file = \"{key}\" }} }}]\n"
    )
}

/// Makes a FIFO of another user's, and returns its path.
fn pipe(lab: &Lab, name: &str) -> String {
    let pipe = lab.path(name);
    mkfifo(pipe.as_str(), Mode::S_IRWXU).unwrap();
    chown(&pipe, Some(OTHER), Some(OTHER)).unwrap();
    pipe
}

/// Runs a verb while the map is written into the FIFO.
fn fed(lab: &Lab, pipe: &str, map: &str, arguments: &[&str]) -> Ended {
    let script = format!("exec cat '{map}' > '{pipe}'");
    let mut writer = Command::new("sh").args(["-c", &script]).spawn().unwrap();
    let ended = lab.run(arguments);
    let _ = writer.kill();
    writer.wait().unwrap();
    ended
}

#[test]
fn a_pipe_of_another_user_is_not_a_map_of_root() {
    if !geteuid().is_root() {
        return;
    }
    let lab = Lab::new();
    let key = lab.write("key", &"7".repeat(64));
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let map = lab.write("map.toml", &map(&key));
    let (pipe, units) = (pipe(&lab, "pipe"), lab.path("units"));
    let told_of = format!("`{pipe}` belongs to user 65534");
    // Refused before it is opened: not a writer is waited for.
    for arguments in [
        &["stacks", &pipe][..],
        &["stacks", &pipe, "--show", "key-files"],
        &["stacks", &pipe, "--show", "map-files"],
        &["units", &units, "--map", &pipe],
    ] {
        let ended = lab.run(arguments);
        assert!(ended.code == 1 && ended.stderr.contains(&told_of), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
    assert!(!lab.has("units"), "a unit was written");
    // Read with a warning, and its key is not.
    for verb in ["plan", "status"] {
        let ended = fed(&lab, &pipe, &map, &[verb, &pipe]);
        assert!(ended.code == 1 && ended.stderr.contains(&told_of), "{verb}: {ended:?}");
        assert!(ended.stderr.contains("another user could have written the map"), "{verb}: {ended:?}");
    }
    // The same FIFO as standard input, by `-` and by a path.
    for given in ["-", "/dev/stdin"] {
        let input = fs::File::options().read(true).write(true).open(&pipe).unwrap();
        let mut command = lab.command(["stacks", given]);
        let run = command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let ended = finish(run);
        assert!(ended.code == 1 && ended.stderr.contains("belongs to user 65534"), "{given}: {ended:?}");
    }
    // One of root's is a map, and so is a pipe that another user made.
    chown(&pipe, Some(0), Some(0)).unwrap();
    let ended = fed(&lab, &pipe, &map, &["stacks", &pipe]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "c\n"), "{ended:?}");
}
