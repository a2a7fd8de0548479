//! Locks and records of the running kernel that another user tries to open, to hold, or to put something else in the
//! place of.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dmctl::lock;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::guest::{Background, Guest, apply_ends, comes, dmctl, program};

/// The user number of an account that owns nothing.
const OTHER: u32 = 65534;

const RECORDS: &str = "/run/dmctl";

const MAP: &str = "[mappings.new]\ntargets = [{ type = \"zero\", length = 8 }]\n";

const EMPTY: &str = "[policy]\nprune = true\n[mappings]";

/// How long a verb may take that must not wait.
const AT_ONCE: Duration = Duration::from_secs(8);

/// Puts something in the place of a file.
type Plant = fn(&Path) -> Result<()>;

/// A shell of another user's, ended with this.
struct Stranger(Child);

impl Stranger {
    fn start(script: &str) -> Result<Self> {
        let mut command = Command::new("busybox");
        command.args(["sh", "-c", script]).uid(OTHER).gid(OTHER).stdin(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn()?))
    }

    /// Runs a script to its end, and returns whether it succeeded.
    fn succeeds(script: &str) -> Result<bool> {
        Ok(Self::start(script)?.0.wait()?.success())
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn mode(path: impl AsRef<Path>) -> Result<u32> {
    let path = path.as_ref();
    Ok(fs::metadata(path).with_context(|| path.display().to_string())?.mode() & 0o7777)
}

/// Expects that another user opens neither the lock nor anything in the folder of the records.
fn is_shut() -> Result<()> {
    ensure!(mode(lock::LIVE)? == 0o600 && mode(RECORDS)? == 0o700);
    let mut names = vec![lock::LIVE.to_string(), RECORDS.to_string()];
    for entry in fs::read_dir(RECORDS)? {
        let path = entry?.path();
        ensure!(mode(&path)? == 0o600, "{}", path.display());
        names.push(path.to_string_lossy().into_owned());
    }
    for name in names {
        ensure!(!Stranger::succeeds(&format!("exec 9<{name}"))?, "another user opens {name}");
    }
    ensure!(!Stranger::succeeds(&format!("cd {RECORDS}"))?);
    Ok(())
}

/// Applies on trial while another user tries to lock whatever there is, and expects that it is put back in time.
fn is_put_back_in_time() -> Result<()> {
    let tries = format!(
        "while :; do for f in {} {RECORDS}/* {RECORDS}/.[a-z]*; do (exec 9<$f && busybox flock -s 9 && sleep 60) & wait; done; done",
        lock::LIVE
    );
    let _stranger = Stranger::start(&tries)?;
    apply_ends(MAP, &["--confirm-within", "3s"], 0)?;
    is_shut()?;
    comes("the end of the trial", || {
        Ok(dmctl(&["status"])?.stdout.contains("not confirmed in time: rolled back 1 step"))
    })?;
    is_shut()?;
    let ran = Background::dmctl(&["confirm"])?.end_within(AT_ONCE)?;
    ensure!(ran.status == Some(1) && ran.stderr.contains("too late"), "{ran:?}");
    Ok(())
}

pub fn another_user_opens_nothing_of_a_trial(guest: &Guest) -> Result<()> {
    let _ = fs::remove_dir_all(RECORDS);
    is_put_back_in_time()?;
    ensure!(guest.states()?.is_empty());
    // A folder and a record as others could enter and open them.
    for loose in [0o755, 0o777, 0o1777] {
        fs::set_permissions(RECORDS, Permissions::from_mode(loose))?;
        if loose != 0o755 {
            let _ = fs::remove_file(format!("{RECORDS}/confirm.json"));
            ensure!(Stranger::succeeds(&format!("echo {{}} >{RECORDS}/confirm.json"))?);
        }
        is_put_back_in_time()?;
    }
    Ok(())
}

pub fn a_lock_that_another_user_holds_is_replaced(_: &Guest) -> Result<()> {
    for script in ["exec 9<F; flock -s 9; sleep 60", "exec 9<F; flock 9; exec sleep 60"] {
        let _ = fs::remove_file(lock::LIVE);
        fs::write(lock::LIVE, "")?;
        fs::set_permissions(lock::LIVE, Permissions::from_mode(0o644))?;
        let _stranger = Stranger::start(&script.replace('F', lock::LIVE))?;
        comes("the lock of another user", || Ok(File::open(lock::LIVE)?.try_lock().is_err()))?;
        for arguments in [&["create", "a", "--table", "0 8 zero"][..], &["repair"], &["remove", "a"]] {
            let ran = Background::dmctl(arguments)?.end_within(AT_ONCE)?;
            ensure!(ran.status == Some(0), "{arguments:?}: {ran:?}");
        }
        ensure!(mode(lock::LIVE)? == 0o600);
        ensure!(!Stranger::succeeds(&format!("exec 9<{}", lock::LIVE))?);
    }
    let held = File::create(lock::LIVE)?;
    fs::set_permissions(lock::LIVE, Permissions::from_mode(0o644))?;
    held.lock()?;
    let ran = dmctl(&["create", "a", "--table", "0 8 zero"])?;
    ensure!(ran.status == Some(5), "a lock that root holds: {ran:?}");
    Ok(())
}

pub fn what_is_in_the_place_of_a_lock_is_told(guest: &Guest) -> Result<()> {
    let _ = fs::remove_file(lock::LIVE);
    let plants: [(&str, Plant); 4] = [
        ("it is a FIFO", |path| Ok(mkfifo(path, Mode::S_IRWXU)?)),
        ("it is a folder", |path| Ok(fs::create_dir(path)?)),
        ("it is a symbolic link", |path| Ok(symlink("/run/tmp/elsewhere", path)?)),
        ("it belongs to user 65534", |path| {
            fs::write(path, "")?;
            Ok(chown(path, Some(OTHER), None)?)
        }),
    ];
    let kept = Path::new(RECORDS);
    let _ = fs::remove_dir_all(kept);
    for (told, plant) in plants {
        plant(lock::LIVE.as_ref())?;
        let ran = Background::dmctl(&["create", "a", "--table", "0 8 zero"])?.end_within(AT_ONCE)?;
        ensure!(
            ran.status == Some(1) && ran.stderr.contains(told) && ran.stderr.contains("`mv -T "),
            "{ran:?}"
        );
        program("mv", &["-T", lock::LIVE, "/run/tmp/planted"])?;
        program("rm", &["-rf", "/run/tmp/planted"])?;
        // In the place of the folder of records; a folder there is what is wanted.
        if told != "it is a folder" {
            plant(kept)?;
            let ran = apply_ends(MAP, &["--confirm-within", "3s"], 1)?;
            ensure!(ran.stderr.contains("`mv -T /run/dmctl /run/dmctl.old`"), "{ran:?}");
            let _ = fs::remove_file(lock::LIVE);
            guest.apply(MAP, &[])?;
            for arguments in [["status"], ["confirm"]] {
                let ran = Background::dmctl(&arguments)?.end_within(AT_ONCE)?;
                let moves = ran.stderr.contains("`mv -T /run/dmctl /run/dmctl.old`");
                ensure!(ran.status == Some(1) && moves, "{arguments:?}: {ran:?}");
                ensure!(arguments == ["confirm"] || ran.stdout.contains("new  up"), "{ran:?}");
            }
            guest.apply(EMPTY, &[])?;
            program("rm", &["-rf", RECORDS])?;
        }
        let _ = fs::remove_file(lock::LIVE);
    }
    ensure!(guest.states()?.is_empty());
    Ok(())
}

/// A folder for the lock that others can write is refused: they could put another file into its place.
pub fn a_folder_for_the_lock_is_judged(_: &Guest) -> Result<()> {
    let folder = "/run/tmp/lock-folder";
    let _ = fs::remove_dir_all(folder);
    fs::create_dir(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o777))?;
    let repair = ["repair", "--lock-dir", folder];
    let ran = dmctl(&repair)?;
    ensure!(ran.status == Some(1) && ran.stderr.contains(&format!("run `chmod go-w {folder}`")), "{ran:?}");
    fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    ensure!(dmctl(&repair)?.status == Some(0));
    // In one that all share another user could make the lock first.
    fs::set_permissions(folder, Permissions::from_mode(0o1777))?;
    let ran = dmctl(&repair)?;
    ensure!(
        ran.status == Some(1) && ran.stderr.contains("other users can make files in the folder"),
        "{ran:?}"
    );
    let (_, make) = ran.stderr.split_once(": `mkdir").with_context(|| format!("{ran:?}"))?;
    let make = make.split_once('`').context("the end of the command")?.0;
    program("sh", &["-c", &format!("mkdir{make}")])?;
    let below = format!("{folder}/dmctl.d");
    ensure!(dmctl(&["repair", "--lock-dir", &below])?.status == Some(0));
    Ok(())
}

/// A program of root's that holds the record does not hold up a confirmation for ever, nor a trial.
pub fn a_record_that_root_locks_holds_nothing_up(guest: &Guest) -> Result<()> {
    apply_ends(MAP, &["--confirm-within", "1s"], 0)?;
    comes("the end of the trial", || Ok(dmctl(&["status"])?.stdout.contains("rolled back 1 step")))?;
    let held = File::open(format!("{RECORDS}/confirm.json"))?;
    held.lock()?;
    let ran = Background::dmctl(&["confirm"])?.end_within(Duration::from_secs(30))?;
    ensure!(ran.status == Some(1) && ran.stderr.contains("too late"), "{ran:?}");
    apply_ends(MAP, &["--confirm-within", "30s"], 0)?;
    let ran = dmctl(&["confirm"])?;
    ensure!(ran.status == Some(0), "{ran:?}");
    guest.apply(EMPTY, &[])
}
