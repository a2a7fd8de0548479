//! Applies of many devices, with as many jobs as there are by default: what fails or is stopped in the middle leaves
//! everything as it was.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use dmctl::apply::{self, ApplyError, Options, Silent};
use dmctl::config;
use dmctl::identity::DevNum;
use dmctl::kernel::{ChangeKernel as _, Removal};
use dmctl::plan;
use dmctl::policy::Class;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::guest::{Guest, State, with_map};

/// The count of devices of each kind.
const MANY: usize = 25;
/// Enough of them for another process to get its turn before all is done.
const FOR_A_WHILE: usize = 100;

/// The devices that there are before: some grow, some are renamed, some go.
fn before(many: usize) -> String {
    mappings(many, |text, n| {
        let _ = writeln!(text, "[mappings.grows{n}]\n{}", linear(0, n, 8));
        let _ = writeln!(text, "[mappings.on{n}]\n{}", on(&format!("grows{n}"), 8));
        let _ = writeln!(text, "[mappings.named{n}]\n{}", linear(1, n, 8));
        let _ = writeln!(text, "[mappings.goes{n}]\n{}", linear(2, n, 8));
    })
}

/// What they are to become; as many more are made.
fn after(many: usize) -> String {
    mappings(many, |text, n| {
        let _ = writeln!(text, "[mappings.grows{n}]\n{}", linear(0, n, 16));
        let _ = writeln!(text, "[mappings.on{n}]\n{}", on(&format!("grows{n}"), 16));
        let _ = writeln!(text, "[mappings.named{n}]\nname = \"other{n}\"\n{}", linear(1, n, 8));
        let _ = writeln!(text, "[mappings.new{n}]\n{}", linear(3, n, 8));
    })
}

fn mappings(many: usize, each: impl Fn(&mut String, usize)) -> String {
    let head = "[policy]\nprune = true\n[mappings]\n".to_string();
    (0..many).fold(head, |mut text, n| {
        each(&mut text, n);
        text
    })
}

fn linear(disk: usize, n: usize, length: usize) -> String {
    let offset = n * 16;
    format!(
        "targets = [{{ type = \"linear\", length = {length}, device = \"/dev/ram{disk}\", offset = {offset} }}]"
    )
}

fn on(lower: &str, length: usize) -> String {
    format!("targets = [{{ type = \"linear\", length = {length}, device = \"@{lower}\" }}]")
}

/// The devices without their numbers and events, which differ in a device that was made again.
fn pictures(guest: &Guest) -> Result<Vec<State>> {
    let mut states = guest.states()?;
    for (info, ..) in &mut states {
        info.number = DevNum::new(0, 0);
        info.event_nr = 0;
    }
    Ok(states)
}

fn ends_with_nothing(guest: &Guest) -> Result<()> {
    guest.apply("[policy]\nprune = true\n[mappings]", &[])?;
    ensure!(guest.states()?.is_empty());
    Ok(())
}

pub fn every_kind_of_step_at_once(guest: &Guest) -> Result<()> {
    guest.apply(&before(MANY), &[])?;
    ensure!(guest.states()?.len() == 4 * MANY);
    guest.apply(&after(MANY), &[])?;
    ensure!(guest.states()?.len() == 4 * MANY);
    ensure!(guest.state("on3")?.1.starts_with("0 16 linear"));
    ends_with_nothing(guest)
}

/// Plans a map, lets something happen, and applies the plan, which must fail and leave everything as it was.
fn fails_in_the_middle(
    guest: &Guest,
    map: &str,
    meanwhile: impl FnOnce() -> Result<Option<File>>,
) -> Result<String> {
    let text = format!("format = 1\nowner = \"lab\"\n{map}");
    let map = config::parse_str("map.toml", &text).map.context("a map")?;
    let plan = plan::plan(&guest.kernel, &map, &BTreeSet::from(Class::ALL))?;
    let old = pictures(guest)?;
    let held = meanwhile()?;
    let options = Options { jobs: apply::JOBS, patience: Duration::from_millis(300), ..Options::default() };
    let outcome = apply::apply(&guest.kernel, &plan, options, &mut Silent);
    drop(held);
    let Err(error) = outcome else { bail!("it was applied") };
    ensure!(!matches!(error, ApplyError::Left { .. }), "{error}");
    ensure!(pictures(guest)? == old, "{error}: something is not as it was");
    Ok(error.to_string())
}

pub fn one_removal_that_is_refused_puts_all_back(guest: &Guest) -> Result<()> {
    guest.apply(&before(MANY), &[])?;
    let error = fails_in_the_middle(guest, &after(MANY), || Ok(Some(File::open("/dev/mapper/goes12")?)))?;
    ensure!(error.contains("goes12 can't be removed"), "{error}");
    ends_with_nothing(guest)
}

pub fn one_swap_that_fails_puts_all_back(guest: &Guest) -> Result<()> {
    guest.disks[4].fill(0, 128, 0)?;
    guest.disks[5].fill(0, 128, 0)?;
    // A snapshot can't be taken over from a device that is active. The kernel finds that when the new table is to
    // become live.
    let stranger = guest.device("stranger", "0 2048 snapshot 1:4 1:5 P 8")?;
    guest.apply(&(before(MANY) + "[mappings.bad]\n" + &linear(4, 0, 2048)), &[])?;
    let snapshot = "[mappings.bad]\nshared = true\ntargets = [{ type = \"snapshot\", length = 2048, origin = \"/dev/ram4\", cow = \"/dev/ram5\", persistent = true, chunk = 8 }]\n";
    let error = fails_in_the_middle(guest, &(after(MANY) + snapshot), || Ok(None))?;
    ensure!(error.contains("reload bad"), "{error}");
    guest.kernel.remove(&stranger, Removal::Now)?;
    ends_with_nothing(guest)
}

pub fn a_signal_in_the_middle_puts_all_back(guest: &Guest) -> Result<()> {
    guest.apply(&before(FOR_A_WHILE), &[])?;
    let old = pictures(guest)?;
    // Of its 500 steps, those done when it is told to stop.
    for steps in [1, 125, 250] {
        guest.apply(&before(FOR_A_WHILE), &["--allow", "remap"])?;
        // Written once more, for it is what the process below reads.
        with_map("validate", &after(FOR_A_WHILE), &[])?;
        let mut apply = Command::new(env!("CARGO_BIN_EXE_dmctl"))
            .args(["apply", "--json", "/run/tmp/map.toml"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let told = BufReader::new(apply.stdout.take().context("its events")?);
        let mut lines = told.lines();
        // It has planned. One device is opened before it gets to the removals, so it waits there at the latest.
        lines.next().context("a plan")??;
        let held = File::open("/dev/mapper/goes7")?;
        let done = |line: &std::io::Result<String>| {
            line.as_ref().is_ok_and(|line| line.contains("\"event\":\"step-done\""))
        };
        let seen = lines.by_ref().filter(done).take(steps).count();
        ensure!(seen == steps, "it ended after {seen} steps");
        kill(Pid::from_raw(i32::try_from(apply.id())?), Signal::SIGTERM)?;
        let last = lines.map_while(Result::ok).last().unwrap_or_default();
        let status = apply.wait()?;
        drop(held);
        ensure!(status.code() == Some(6) && last.contains("rolled-back"), "{status}: {last}");
        ensure!(pictures(guest)? == old, "{status}: something is not as it was");
    }
    ends_with_nothing(guest)
}

pub fn fifty_volumes_of_one_pool(guest: &Guest) -> Result<()> {
    let pool = |sectors: u64, length: u64| {
        let pool = format!(
            "[policy]\nprune = true\n[mappings.pool]\ntargets = [{{ type = \"thin-pool\", length = {sectors}, metadata = \"/dev/ram1\", data = \"/dev/ram0\", block_size = 128 }}]\n"
        );
        (0..50).fold(pool, |mut text, n| {
            let _ = writeln!(
                text,
                "[mappings.v{n}]\ntargets = [{{ type = \"thin\", length = {length}, pool = \"@pool\", id = {n}, create = true }}]"
            );
            text
        })
    };
    guest.disks[1].fill(0, 128, 0)?;
    guest.apply(&pool(8192, 512), &["--allow", "format"])?;
    ensure!(guest.states()?.len() == 51);
    // One stack, swapped with all volumes of a level at once, one of them open.
    let open = File::open("/dev/mapper/v7")?;
    guest.apply(&pool(16384, 1024), &[])?;
    ensure!(guest.state("v7")?.1.starts_with("0 1024 thin"));
    drop(open);
    let held = || Ok(Some(File::open("/dev/mapper/v31")?));
    let error = fails_in_the_middle(guest, "[policy]\nprune = true\n[mappings]", held)?;
    ensure!(error.contains("v31 can't be removed"), "{error}");
    guest.apply("[policy]\nprune = true\n[mappings]", &["--allow", "loss,remap"])?;
    ensure!(guest.states()?.is_empty());
    Ok(())
}
