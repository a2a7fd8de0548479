//! A change that is applied for a time, and put back unless it is confirmed.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dmctl::lock;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::guest::{Guest, Mounted, apply_ends, comes, dmctl, dmctl_where, program, write_map_to};
use crate::processes;
use crate::waiting::until_within;

const EMPTY: &str = "[policy]\nprune = true\n[mappings]";

/// A stack, a device with a key, one with a file system, two names, a device that goes and one that is made again.
fn before() -> String {
    format!(
        r#"
        [mappings.grows]
        targets = [{{ type = "linear", length = "16MiB", device = "/dev/ram0" }}]
        [mappings.above]
        targets = [{{ type = "linear", length = 512, device = "@grows", offset = "12MiB" }}]
        [mappings.secret]
        targets = [{{ type = "crypt", length = 1024, cipher = "aes-xts-plain64", key = {{ hex = "{}" }}, device = "/dev/ram1" }}]
        [mappings.one]
        targets = [{{ type = "zero", length = 8 }}]
        [mappings.two]
        targets = [{{ type = "error", length = 8 }}]
        [mappings.goes]
        targets = [{{ type = "linear", length = 64, device = "/dev/ram2" }}]
        [mappings.held]
        state = "suspended"
        targets = [{{ type = "linear", length = 64, device = "/dev/ram3" }}]
        [mappings.mounted]
        targets = [{{ type = "linear", length = "16MiB", device = "/dev/ram2", offset = "1MiB" }}]
        [mappings.anew]
        targets = [{{ type = "thin-pool", length = 2048, metadata = "/dev/ram4", data = "/dev/ram5", block_size = 128 }}]"#,
        "5a".repeat(64)
    )
}

fn after() -> String {
    format!(
        r#"
        [policy]
        prune = true
        [mappings.grows]
        targets = [
          {{ type = "linear", length = "16MiB", device = "/dev/ram0" }},
          {{ type = "linear", length = "16MiB", device = "/dev/ram6" }},
        ]
        [mappings.above]
        targets = [{{ type = "linear", length = 1024, device = "@grows", offset = "20MiB" }}]
        [mappings.secret]
        targets = [{{ type = "crypt", length = 1024, cipher = "aes-xts-plain64", key = {{ hex = "{}" }}, device = "/dev/ram1" }}]
        [mappings.one]
        name = "two"
        targets = [{{ type = "zero", length = 8 }}]
        [mappings.two]
        name = "one"
        targets = [{{ type = "error", length = 8 }}]
        [mappings.new]
        targets = [{{ type = "linear", length = 64, device = "/dev/ram7" }}]
        [mappings.mounted]
        targets = [
          {{ type = "linear", length = "16MiB", device = "/dev/ram2", offset = "1MiB" }},
          {{ type = "linear", length = "8MiB", device = "/dev/ram3", offset = "1MiB" }},
        ]
        [mappings.anew]
        targets = [{{ type = "linear", length = 2048, device = "/dev/ram5" }}]"#,
        "a5".repeat(64)
    )
}

/// Every device by name: its uuid, whether it is suspended, its tables with names for numbers.
fn picture(guest: &Guest) -> Result<BTreeMap<String, String>> {
    let states = guest.states()?;
    let mut picture = BTreeMap::new();
    for (info, live, inactive) in &states {
        let named = |word: &str| {
            let found = states.iter().find(|(other, ..)| other.number.to_string() == word);
            found.map_or(word.to_string(), |(other, ..)| format!("<{}>", other.name))
        };
        let live: Vec<String> = live.split(' ').map(named).collect();
        let says = format!("{:?} {} {} {inactive}", info.uuid, info.suspended, live.join(" "));
        picture.insert(info.name.to_string(), says);
    }
    Ok(picture)
}

/// What `status` says of it.
fn status() -> Result<String> {
    Ok(dmctl(&["status"])?.stdout)
}

/// The lock's entry: the number of the process that has it, and what it does.
fn holder() -> Result<String> {
    Ok(std::fs::read_to_string(lock::LIVE)?)
}

/// The process that would put back what is applied.
fn guard() -> Result<u32> {
    let entry = holder()?;
    entry.split(' ').next().and_then(|pid| pid.parse().ok()).with_context(|| format!("a guard in {entry:?}"))
}

/// Waits until `status` says this.
fn comes_to(says: &str) -> Result<()> {
    let came = until_within(Duration::from_secs(60), || anyhow::Ok(status()?.contains(says)))?;
    ensure!(came, "it never said {says:?}, but {}", status()?);
    Ok(())
}

/// Applies the second map for a while, which must be put back.
fn applied(guest: &Guest) -> Result<BTreeMap<String, String>> {
    apply_ends(&before(), &["--allow", "format"], 0)?;
    let was = picture(guest)?;
    ensure!(was["held"].contains(" true "), "{was:?}");
    Ok(was)
}

fn clears() -> Result<()> {
    let ran = dmctl(&["confirm"])?;
    ensure!(ran.status == Some(1) && ran.stderr.contains("too late"), "{ran:?}");
    let ran = dmctl(&["confirm"])?;
    ensure!(ran.status == Some(1) && ran.stderr.contains("nothing waits"), "{ran:?}");
    Ok(())
}

const OPTIONS: [&str; 2] = ["--allow", "remap,loss"];

pub fn what_is_not_confirmed_is_put_back(guest: &Guest) -> Result<()> {
    let was = applied(guest)?;
    // A file system in use across both swaps.
    let mounted = Mounted::fresh("/dev/mapper/mounted", "ext4", "/run/tmp/confirm")?;
    std::fs::write(mounted.file("kept"), vec![0x5a; 1 << 20])?;
    let was_mounted = picture(guest)?;
    let ran = apply_ends(&after(), &[&OPTIONS[..], &["--confirm-within", "3s"]].concat(), 0)?;
    ensure!(ran.stdout.contains("Waiting for `dmctl confirm` until "), "{ran:?}");
    ensure!(picture(guest)? != was);
    ensure!(status()?.starts_with("waiting for `dmctl confirm` until "), "{}", status()?);
    let second = dmctl(&["repair"])?;
    ensure!(second.status == Some(5) && second.stderr.contains("(`dmctl apply`)"), "{second:?}");
    comes_to("not confirmed in time: rolled back")?;
    ensure!(picture(guest)? == was_mounted, "{:?}", picture(guest)?);
    ensure!(std::fs::read(mounted.file("kept"))? == vec![0x5a; 1 << 20]);
    ensure!(program("dmesg", &[])?.contains("dmctl: not confirmed in time, everything was put back"));
    clears()?;
    drop(mounted);
    guest.apply(EMPTY, &[])
}

/// A pool that has grown into its metadata device is not resumed on a smaller one, so both keep what they have.
pub fn what_can_not_be_put_back_serves(guest: &Guest) -> Result<()> {
    guest.needs("thin-pool")?;
    let map = |sectors: u64| {
        format!(
            "[mappings.md]\ntargets = [{{ type = 'linear', length = {sectors}, device = '/dev/ram0' }}]\n[mappings.pool]\ntargets = [{{ type = 'thin-pool', length = 8192, metadata = '@md', data = '/dev/ram1', block_size = 128 }}]"
        )
    };
    guest.apply(&map(8192), &["--allow", "format"])?;
    apply_ends(&map(16384), &["--confirm-within", "1s"], 0)?;
    comes_to("not all of")?;
    ensure!(status()?.contains("md has its new table"), "{}", status()?);
    ensure!(guest.state("md")?.1.starts_with("0 16384 ") && !guest.state("pool")?.0.suspended);
    ensure!(program("dmsetup", &["status", "pool"])?.contains("/2048 "));
    guest.apply(&map(16384), &[])?;
    guest.apply(EMPTY, &[])
}

pub fn what_is_confirmed_stays(guest: &Guest) -> Result<()> {
    applied(guest)?;
    apply_ends(&after(), &[&OPTIONS[..], &["--confirm-within", "1h"]].concat(), 0)?;
    let applied = picture(guest)?;
    let guard = guard()?;
    let ran = dmctl(&["confirm"])?;
    ensure!(ran.status == Some(0) && ran.stdout == "Kept.\n", "{ran:?}");
    // What would put it back is gone.
    comes("the end of the guard", || Ok(processes::has_ended(guard)))?;
    ensure!(picture(guest)? == applied);
    ensure!(!status()?.contains("confirm"), "{}", status()?);
    guest.apply(EMPTY, &[])
}

/// The device that `on_its_way` waits for.
const LATE: &str = "/dev/disk/by-label/late";

/// Starts an apply that waits for a lower device, and so is on its way until that is there.
fn on_its_way() -> Result<Child> {
    let map = after().replace("[mappings.new]", "[mappings.new]\nwait = \"30s\"").replace("/dev/ram7", LATE);
    write_map_to("/run/tmp/after.toml", &map)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_dmctl"));
    command.args(["apply", "/run/tmp/after.toml", "--confirm-within", "2s"]).args(OPTIONS);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.process_group(0).spawn().context("start dmctl")?;
    comes("the wait for the device", || Ok(waits_for_a_device()))?;
    Ok(child)
}

/// Whether a process of that apply watches a folder: the guard, which waits for the lower device.
fn waits_for_a_device() -> bool {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.map(|process| process.path()).any(|process| {
        let is_ours =
            std::fs::read_to_string(process.join("cmdline")).is_ok_and(|line| line.contains("after.toml"));
        let opened = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        let watches = |path: PathBuf| path.to_string_lossy().contains("inotify");
        is_ours && opened.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(watches)
    })
}

/// Lets the apply go on, which must be put back.
fn goes_on_and_is_put_back(guest: &Guest, was: &BTreeMap<String, String>) -> Result<()> {
    ensure!(picture(guest)? == *was, "it was applied before it could be");
    std::fs::create_dir_all("/dev/disk/by-label")?;
    std::os::unix::fs::symlink("../../ram7", LATE)?;
    let outcome = comes_to("waiting for `dmctl confirm` until ")
        .and_then(|()| comes_to("not confirmed in time: rolled back"));
    std::fs::remove_file(LATE)?;
    outcome?;
    ensure!(picture(guest)? == *was, "{:?}", picture(guest)?);
    clears()?;
    guest.apply(EMPTY, &[])
}

pub fn the_death_of_who_started_it_changes_nothing(guest: &Guest) -> Result<()> {
    let was = applied(guest)?;
    let mut front = on_its_way()?;
    front.kill()?;
    front.wait()?;
    goes_on_and_is_put_back(guest, &was)
}

pub fn the_end_of_the_session_changes_nothing(guest: &Guest) -> Result<()> {
    let was = applied(guest)?;
    let mut front = on_its_way()?;
    kill(Pid::from_raw(-i32::try_from(front.id())?), Signal::SIGHUP)?;
    ensure!(!front.wait()?.success());
    goes_on_and_is_put_back(guest, &was)
}

pub fn the_end_of_the_terminal_changes_nothing(guest: &Guest) -> Result<()> {
    let was = applied(guest)?;
    in_a_terminal_that_ends()?;
    comes_to("not confirmed in time: rolled back")?;
    ensure!(picture(guest)? == was, "{:?}", picture(guest)?);
    clears()?;
    guest.apply(EMPTY, &[])
}

/// Applies in a terminal of its own, which hangs up while it is waited.
fn in_a_terminal_that_ends() -> Result<()> {
    write_map_to("/run/tmp/after.toml", &after())?;
    std::fs::create_dir_all("/dev/pts")?;
    program("busybox", &["mount", "-t", "devpts", "devpts", "/dev/pts"])?;
    let apply = format!(
        "{} apply /run/tmp/after.toml {} --confirm-within 3s; busybox sleep 100",
        env!("CARGO_BIN_EXE_dmctl"),
        OPTIONS.join(" ")
    );
    let mut terminal = Command::new("script")
        .args(["-qec", &apply, "/dev/null"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("start script")?;
    let outcome = comes_to("waiting for `dmctl confirm` until ");
    terminal.kill()?;
    terminal.wait()?;
    program("busybox", &["umount", "-l", "/dev/pts"])?;
    outcome
}

/// Whether a process waits for something, or has ended.
fn is_asleep(process: &Child) -> bool {
    let folder = PathBuf::from(format!("/proc/{}", process.id()));
    matches!(processes::state(&folder), Some('S' | 'Z'))
}

pub fn being_told_to_stop_on_the_way_changes_nothing(guest: &Guest) -> Result<()> {
    let was = applied(guest)?;
    let mut front = on_its_way()?;
    // It sleeps until something happens, hands the signal on, and sleeps again.
    comes("the process in front", || Ok(is_asleep(&front)))?;
    let before = processes::switches(front.id());
    kill(Pid::from_raw(i32::try_from(front.id())?), Signal::SIGTERM)?;
    comes("the signal", || Ok(processes::switches(front.id()) != before && is_asleep(&front)))?;
    std::fs::create_dir_all("/dev/disk/by-label")?;
    std::os::unix::fs::symlink("../../ram7", LATE)?;
    let ended = front.wait()?;
    std::fs::remove_file(LATE)?;
    // It is told while it waits for the device, or at the first border after that.
    ensure!(matches!(ended.code(), Some(1 | 6)), "{ended:?}");
    ensure!(picture(guest)? == was, "{:?}", picture(guest)?);
    ensure!(!status()?.contains("confirm"), "{}", status()?);
    guest.apply(EMPTY, &[])
}

pub fn what_is_in_use_by_then_is_told(guest: &Guest) -> Result<()> {
    applied(guest)?;
    apply_ends(&after(), &[&OPTIONS[..], &["--confirm-within", "1s"]].concat(), 0)?;
    let open = File::open("/dev/mapper/new")?;
    comes_to("could be rolled back at")?;
    let says = status()?;
    ensure!(says.contains("new is there and should not be") && says.contains("`dmctl remove new`"), "{says}");
    drop(open);
    // Everything else was put back.
    let now = picture(guest)?;
    ensure!(now.contains_key("goes") && now["anew"].contains("thin-pool"), "{now:?}");
    clears()?;
    guest.apply(EMPTY, &[])
}

pub fn a_guard_without_proc_tells_what_it_needs(guest: &Guest) -> Result<()> {
    let map = "/run/tmp/without-proc.toml";
    write_map_to(map, "[mappings.new]\ntargets = [{ type = \"zero\", length = 8 }]\n")?;
    let ran = dmctl_where("mount -t tmpfs none /proc", &["apply", map, "--confirm-within", "3s"])?;
    std::fs::remove_file(map)?;
    ensure!(ran.status == Some(1) && ran.stderr.contains("/proc must be mounted"), "{ran:?}");
    ensure!(guest.states()?.is_empty());
    Ok(())
}
