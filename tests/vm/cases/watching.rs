//! `dmctl watch` on a kernel that others change.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::guest::{Guest, dmctl, program};
use crate::watching::{PATIENCE, Watching};

const MAP: &str = "/run/tmp/watched.toml";
/// Where the journal takes what is logged.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// A map of one mapping of `length` sectors.
fn map(length: u64) -> String {
    format!(
        "format = 1\nowner = \"lab\"\n[mappings.test]\ntargets = [{{ type = \"linear\", length = {length}, device = \"/dev/ram0\" }}]\n"
    )
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dmctl"));
    command.args(["watch", "--json", "--apply", MAP]).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

/// A watch with `--apply`, once it has made the mapping.
fn watch() -> Result<Watching> {
    fs::write(MAP, map(2048))?;
    fs::set_permissions(MAP, Permissions::from_mode(0o644))?;
    let watching = Watching::start(command());
    watching.put_right();
    // Its own change woke it: before that look is over, it may see half of what a case does next.
    watching.silent();
    Ok(watching)
}

/// Ends it, and removes what it made.
fn end(watching: Watching) -> Result<()> {
    watching.end();
    let removed = dmctl(&["remove", "test"])?;
    ensure!(removed.status == Some(0), "{removed:?}");
    Ok(())
}

/// Gives the mapping another table, as anybody with dmsetup can.
fn swap(row: &str) -> Result<()> {
    program("dmsetup", &["reload", "test", "--table", row])?;
    program("dmsetup", &["resume", "test"])?;
    Ok(())
}

/// What a device looks like once it was put right.
fn right(guest: &Guest, row: &str) -> Result<()> {
    let (info, live, inactive) = guest.state("test")?;
    ensure!(live == row && inactive.is_empty() && !info.suspended, "{info:?} {live} {inactive}");
    Ok(())
}

pub fn a_table_changed_behind_its_back_is_put_right(guest: &Guest) -> Result<()> {
    let watching = watch()?;
    swap("0 1024 linear 1:0 0")?;
    let begin = Instant::now();
    watching.next("plan");
    let took = begin.elapsed();
    ensure!(took < Duration::from_secs(1), "seen after {took:?}");
    watching.applied();
    right(guest, "0 2048 linear 1:0 0")?;
    // Its own changes make events, too.
    watching.silent();
    end(watching)
}

pub fn nothing_is_removed_while_the_map_is_written(guest: &Guest) -> Result<()> {
    let one = format!("{}[policy]\nprune = true\n", map(2048).replace("[mappings", "\n[mappings"));
    let both = format!("{one}[mappings.more]\ntargets = [{{ type = \"zero\", length = 8 }}]\n");
    fs::write(MAP, &both)?;
    fs::set_permissions(MAP, Permissions::from_mode(0o644))?;
    program("sh", &["-c", &format!("{} apply {MAP}", env!("CARGO_BIN_EXE_dmctl"))])?;
    let watching = Watching::start(command());
    watching.next("in-sync");
    // Truncated in place, the first half written, a pause, the rest.
    let mut file = fs::File::create(MAP)?;
    file.write_all(one.as_bytes())?;
    watching.next("plan");
    let waiting = watching.next("waiting");
    ensure!(waiting["steps"] == serde_json::json!(["remove more"]), "{waiting}");
    std::thread::sleep(Duration::from_millis(2500));
    ensure!(guest.state("more").is_ok(), "`more` was removed");
    file.write_all(&both.as_bytes()[one.len()..])?;
    drop(file);
    watching.next("in-sync");
    ensure!(guest.state("more").is_ok(), "`more` was removed");
    // Renamed into place it is whole.
    fs::write("/run/tmp/watched.new", &one)?;
    fs::rename("/run/tmp/watched.new", MAP)?;
    watching.put_right();
    ensure!(guest.state("more").is_err(), "`more` is left");
    end(watching)
}

pub fn what_comes_goes_or_is_renamed_is_put_right(guest: &Guest) -> Result<()> {
    let watching = watch()?;
    program("dmsetup", &["rename", "test", "other"])?;
    watching.put_right();
    right(guest, "0 2048 linear 1:0 0")?;
    program("dmsetup", &["remove", "test"])?;
    watching.put_right();
    right(guest, "0 2048 linear 1:0 0")?;
    // A device of another owner is left alone.
    program("dmsetup", &["create", "stranger", "--table", "0 8 zero"])?;
    watching.silent();
    dmctl(&["remove", "stranger"])?;
    end(watching)
}

/// `dm_suspend` counts no event and sends no uevent; a resume that swaps nothing counts none either.
pub fn nobody_tells_of_a_suspend(guest: &Guest) -> Result<()> {
    let watching = watch()?;
    // It has looked at what its own changes made.
    watching.silent();
    program("dmsetup", &["suspend", "test"])?;
    program("dmsetup", &["resume", "test"])?;
    program("dmsetup", &["reload", "test", "--table", "0 1024 linear 1:0 0"])?;
    program("dmsetup", &["suspend", "test"])?;
    watching.silent();
    // The next look finds it, whatever that was for.
    watching.signal("-HUP");
    watching.next("plan");
    while watching.next_of(&["step-done", "applied"])["event"] == "step-done" {}
    watching.next("in-sync");
    right(guest, "0 2048 linear 1:0 0")?;
    end(watching)
}

pub fn a_map_is_applied_as_an_editor_saves_it(guest: &Guest) -> Result<()> {
    let watching = watch()?;
    fs::rename(MAP, "/run/tmp/watched.toml~")?;
    fs::write(MAP, map(4096))?;
    watching.put_right();
    right(guest, "0 4096 linear 1:0 0")?;
    end(watching)
}

pub fn a_map_that_others_can_write_is_not_applied(guest: &Guest) -> Result<()> {
    let watching = watch()?;
    fs::write("/run/tmp/watched.new", map(4096))?;
    fs::set_permissions("/run/tmp/watched.new", Permissions::from_mode(0o666))?;
    fs::rename("/run/tmp/watched.new", MAP)?;
    let event = watching.next("unclear");
    ensure!(event["error"].as_str().is_some_and(|error| error.contains("mode 0666")), "{event}");
    // Drift is not put right by it, either.
    swap("0 1024 linear 1:0 0")?;
    watching.silent();
    fs::set_permissions(MAP, Permissions::from_mode(0o644))?;
    watching.put_right();
    right(guest, "0 4096 linear 1:0 0")?;
    end(watching)
}

pub fn a_lower_device_is_waited_for(guest: &Guest) -> Result<()> {
    let late = map(2048)
        .replace("/dev/ram0", "/dev/late/disk")
        .replace("[mappings.test]", "[mappings.test]\nwait = \"1h\"");
    fs::write(MAP, late)?;
    let watching = Watching::start(command());
    watching.next("plan");
    watching.next("refused");
    fs::create_dir("/dev/late")?;
    watching.silent();
    symlink("/dev/ram0", "/dev/late/disk")?;
    watching.put_right();
    right(guest, "0 2048 linear 1:0 0")?;
    fs::remove_dir_all("/dev/late")?;
    end(watching)
}

pub fn a_failure_is_the_last_that_is_tried(guest: &Guest) -> Result<()> {
    let watching = watch()?;
    fs::write(
        MAP,
        format!(
            "{}[mappings.bad]\ntargets = [{{ type = \"nonsense\", length = 8, params = \"\" }}]\n",
            map(4096)
        ),
    )?;
    watching.next("plan");
    while watching.next_of(&["step-done", "failed"])["event"] == "step-done" {}
    watching.next("held");
    right(guest, "0 2048 linear 1:0 0")?;
    program("dmsetup", &["create", "other", "--table", "0 8 zero"])?;
    watching.silent();
    program("dmsetup", &["remove", "other"])?;
    fs::write(MAP, map(4096))?;
    watching.put_right();
    right(guest, "0 4096 linear 1:0 0")?;
    end(watching)
}

pub fn an_end_amid_an_apply_puts_everything_back(guest: &Guest) -> Result<()> {
    let mut map = "format = 1\nowner = \"lab\"\n".to_string();
    for n in 0..1000 {
        write!(map, "[mappings.m{n}]\ntargets = [{{ type = \"zero\", length = 8 }}]\n")?;
    }
    fs::write(MAP, map)?;
    let watching = Watching::start(command());
    watching.next("plan");
    watching.next("step-done");
    watching.end();
    ensure!(guest.states()?.is_empty(), "it left {} devices", guest.states()?.len());
    Ok(())
}

pub fn it_costs_nothing_while_nothing_happens(_: &Guest) -> Result<()> {
    let watching = watch()?;
    watching.sleeps();
    end(watching)
}

pub fn the_journal_has_fields(_: &Guest) -> Result<()> {
    fs::write(MAP, map(2048))?;
    fs::create_dir_all("/run/systemd/journal")?;
    let journal = UnixDatagram::bind(JOURNAL)?;
    journal.set_read_timeout(Some(PATIENCE))?;
    // Standard error goes there, too: that is how a program knows.
    let (stderr, _reader) = UnixStream::pair()?;
    let stream = fs::metadata(format!("/proc/self/fd/{}", stderr.as_raw_fd()))?;
    let mut watched = command();
    watched.args(["--log-level", "info"]).stderr(OwnedFd::from(stderr));
    watched.env("JOURNAL_STREAM", format!("{}:{}", stream.dev(), stream.ino()));
    let watching = Watching::start(watched);
    watching.put_right();
    let mut entry = String::new();
    while !entry.contains("DMCTL_STEP\n") {
        let mut buffer = [0; 4096];
        let length = journal.recv(&mut buffer)?;
        entry = String::from_utf8_lossy(&buffer[..length]).into_owned();
    }
    for field in ["DMCTL_MAPPING", "DMCTL_DEVICE", "DMCTL_CLASS", "MESSAGE", "SYSLOG_IDENTIFIER"] {
        ensure!(entry.contains(&format!("{field}\n")), "no {field} in {entry:?}");
    }
    ensure!(
        entry.contains("create test: done") && entry.starts_with("PRIORITY\n\u{1}\0\0\0\0\0\0\u{0}5"),
        "{entry:?}"
    );
    fs::remove_file(JOURNAL)?;
    end(watching)
}
