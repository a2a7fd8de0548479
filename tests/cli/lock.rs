//! One dmctl changes a kernel at a time.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dmctl::lock::Lock;
use nix::sys::stat::Mode;
use nix::unistd::{geteuid, mkfifo};

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

/// The user number of an account that owns nothing.
const OTHER: u32 = 65534;

/// Puts something in the place of a file.
type Plant<'a> = Box<dyn Fn() + 'a>;

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// A program of another user's, ended with this.
struct Stranger(Child);

impl Stranger {
    /// Starts a script that prints a line once it holds the lock of the file `$0`.
    fn locks(script: &str, file: &Path) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(file).uid(OTHER).gid(OTHER).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n", "{script}");
        Self(child)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A lab whose folder others may enter, with a lock file of the given mode.
fn with_lock_of(mode: u32) -> Option<Lab> {
    if !geteuid().is_root() {
        return None;
    }
    let lab = Lab::with(&["data"]);
    let folder = lab.lock().parent().unwrap().to_path_buf();
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(lab.lock(), Permissions::from_mode(mode)).unwrap();
    Some(lab)
}

#[test]
fn nothing_of_a_trial_can_be_opened_by_others() {
    let lab = Lab::with(&["data"]);
    let map =
        lab.write("map.toml", "format = 1\n[mappings.new]\ntargets = [{ type = 'zero', length = 8 }]\n");
    lab.ok(["apply", &map, "--confirm-within", "30s"]);
    let folder = lab.lock().parent().unwrap().to_path_buf();
    let own =
        |name: &str| name.contains(".lock") || name.contains(".confirm") || name.contains("unconfirmed");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let own: Vec<_> = names.filter(|path| own(&path.to_string_lossy())).collect();
    assert_eq!(own.len(), 3, "{own:?}");
    for path in &own {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
    lab.ok(["confirm"]);
}

#[test]
fn a_lock_that_another_user_holds_is_replaced() {
    // In the second the process that locked the file has ended, and has left it open in the next one.
    for script in [
        "exec flock --no-fork -s \"$0\" sh -c 'echo held; exec sleep 60'",
        "exec 9<\"$0\"; flock -s 9; echo held; exec sleep 60",
        "exec 9<\"$0\"; flock -x 9; echo held; exec sleep 60",
    ] {
        for kept in [0o644, 0o666, 0o640] {
            let Some(lab) = with_lock_of(0o644) else { return };
            let _stranger = Stranger::locks(script, &lab.lock());
            fs::set_permissions(lab.lock(), Permissions::from_mode(kept)).unwrap();
            lab.ok(["suspend", "data"]);
            assert_eq!(mode(lab.lock()), 0o600);
            assert!(!Path::new(&lab.path("state.json.lock.new")).exists());
            lab.ok(["resume", "data"]);
            let refused = Command::new("flock").arg("-n").arg(lab.lock()).arg("true").uid(OTHER).status();
            assert_eq!(refused.unwrap().code(), Some(66), "another user can't open it");
        }
    }
}

#[test]
fn a_loose_lock_that_root_holds_is_waited_for() {
    let Some(lab) = with_lock_of(0o644) else { return };
    let held = fs::File::open(lab.lock()).unwrap();
    held.lock().unwrap();
    let stderr = lab.fails(5, ["suspend", "data"]);
    assert!(stderr.contains(&format!("process {} (`", std::process::id())), "{stderr}");
    let ended = lab.run(["--lock-timeout", "100ms", "suspend", "data"]);
    assert_eq!(ended.code, 5, "{ended:?}");
    drop(held);
    lab.ok(["--lock-timeout", "100ms", "suspend", "data"]);
    assert_eq!(mode(lab.lock()), 0o600);
}

#[test]
fn only_one_of_many_replaces_a_loose_lock() {
    let Some(lab) = with_lock_of(0o644) else { return };
    let _stranger = Stranger::locks("exec 9<\"$0\"; flock 9; echo held; exec sleep 60", &lab.lock());
    let create = |n: usize| {
        let args = ["--lock-timeout", "60s", "create", &format!("d{n}"), "--table", "0 8 zero"];
        lab.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for child in (0..8).map(create).collect::<Vec<_>>() {
        let ended = finish(child);
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    assert_eq!(lab.ok(["list"]).lines().count(), 9);
}

#[test]
fn what_is_in_the_place_of_a_lock_is_told_and_not_opened() {
    let lab = Lab::with(&["data"]);
    let (lock, kept) = (lab.lock(), lab.path("kept"));
    fs::write(&kept, "kept").unwrap();
    let mut plants: Vec<(&str, Plant<'_>)> = vec![
        ("it is a FIFO", Box::new(|| mkfifo(&lock, Mode::S_IRWXU).unwrap())),
        ("it is a folder", Box::new(|| fs::create_dir(&lock).unwrap())),
        ("it is a symbolic link", Box::new(|| symlink(&kept, &lock).unwrap())),
        ("it is a socket", Box::new(|| drop(UnixListener::bind(&lock).unwrap()))),
        ("it has 2 names (hard links)", Box::new(|| fs::hard_link(&kept, &lock).unwrap())),
    ];
    if geteuid().is_root() {
        plants.push((
            "it belongs to user 65534",
            Box::new(|| {
                fs::write(&lock, "").unwrap();
                chown(&lock, Some(OTHER), None).unwrap();
            }),
        ));
    }
    for (told, plant) in plants {
        fs::remove_file(&lock).unwrap();
        plant();
        let stderr = lab.fails(1, ["suspend", "data"]);
        assert!(stderr.contains(&format!("state.json.lock can't be taken: {told}")), "{stderr}");
        assert_eq!(fs::read_to_string(&kept).unwrap(), "kept");
        let (_, way) = stderr.split_once('`').unwrap();
        let moved = Command::new("sh").args(["-c", way.split_once('`').unwrap().0]).status().unwrap();
        assert!(moved.success(), "{stderr}");
        lab.ok(["suspend", "data"]);
        let moved = lab.path("state.json.lock.old");
        let _ = fs::remove_dir(&moved).or_else(|_| fs::remove_file(&moved));
    }
}

/// The file that takes the place of a lock that others can open is made under another name, which is told.
#[test]
fn what_is_in_the_place_of_the_next_lock_is_told() {
    let lab = Lab::with(&["data"]);
    let (lock, next, kept) = (lab.lock(), lab.path("state.json.lock.new"), lab.path("kept"));
    fs::write(&kept, "kept").unwrap();
    let plants: [(&str, Plant<'_>); 4] = [
        ("it is a FIFO", Box::new(|| mkfifo(next.as_str(), Mode::S_IRWXU).unwrap())),
        ("it is a folder", Box::new(|| fs::create_dir(&next).unwrap())),
        ("it is a symbolic link", Box::new(|| symlink(&kept, &next).unwrap())),
        (
            "other users can open it (mode 0666)",
            Box::new(|| {
                fs::write(&next, "").unwrap();
                fs::set_permissions(&next, fs::Permissions::from_mode(0o666)).unwrap();
            }),
        ),
    ];
    for (told, plant) in plants {
        fs::set_permissions(&lock, fs::Permissions::from_mode(0o644)).unwrap();
        plant();
        let stderr = lab.fails(1, ["suspend", "data"]);
        assert!(stderr.contains(&format!("state.json.lock.new can't be taken: {told}")), "{stderr}");
        let (_, way) = stderr.split_once('`').unwrap();
        let moved = Command::new("sh").args(["-c", way.split_once('`').unwrap().0]).status().unwrap();
        assert!(moved.success(), "{stderr}");
        lab.ok(["suspend", "data"]);
        let moved = format!("{next}.old");
        let _ = fs::remove_dir(&moved).or_else(|_| fs::remove_file(&moved));
    }
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
