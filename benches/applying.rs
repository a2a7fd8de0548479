//! What `--jobs` is worth: 300 independent devices made, reloaded and removed, and as many volumes of one thin
//! pool, with one job and with more.
//!
//! `cargo bench --bench applying` boots User-Mode Linux with `tests/vm/run` and measures in there, in one process;
//! `cargo bench --bench applying -- COUNT JOBS,..` does it with other numbers. Times of different machines can't
//! be compared: what counts is the last columns, how many times faster each is than one job.

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use dmctl::apply::{self, JOBS, Options, Silent};
use dmctl::config;
use dmctl::kernel::live::{Live, Udev};
use dmctl::plan;
use dmctl::policy::Class;

/// Set in the guest, by `tests/vm/init`.
const IN_VM: &str = "DMCTL_IN_VM";
/// How many devices.
const COUNT: usize = 300;

/// A map of independent devices, each from a sector on.
fn independent(count: usize, offset: usize) -> String {
    (0..count).fold(head(), |mut text, index| {
        let at = index * 8 + offset;
        let _ = writeln!(
            text,
            "[mappings.d{index}]\ntargets = [{{ type = \"linear\", length = 8, device = \"/dev/ram0\", offset = {at} }}]"
        );
        text
    })
}

/// A map of volumes of one pool, each of `length` sectors.
fn volumes(count: usize, length: usize) -> String {
    let pool = "[mappings.pool]\ntargets = [{ type = \"thin-pool\", length = 65536, metadata = \"/dev/ram1\", data = \"/dev/ram2\", block_size = 128 }]\n";
    (0..count).fold(head() + pool, |mut text, index| {
        let _ = writeln!(
            text,
            "[mappings.v{index}]\ntargets = [{{ type = \"thin\", length = {length}, pool = \"@pool\", id = {index}, create = true }}]"
        );
        text
    })
}

fn head() -> String {
    "format = 1\nowner = \"bench\"\n[policy]\nprune = true\n[mappings]\n".to_string()
}

/// How long it takes to make the kernel equal to a map.
fn time(kernel: &Live, map: &str, jobs: usize) -> Result<Duration> {
    let map = config::parse_str("map.toml", map).map.context("a map")?;
    let plan = plan::plan(kernel, &map, &BTreeSet::from(Class::ALL))?;
    let options = Options { jobs, ..Options::default() };
    let start = Instant::now();
    apply::apply(kernel, &plan, options, &mut Silent)?;
    Ok(start.elapsed())
}

/// All of it, with this count of jobs.
fn measure(kernel: &Live, count: usize, jobs: usize) -> Result<[Duration; 5]> {
    let nothing = head();
    let times = [
        time(kernel, &independent(count, 0), jobs)?,
        time(kernel, &independent(count, 8), jobs)?,
        time(kernel, &nothing, jobs)?,
        time(kernel, &volumes(count, 128), jobs)?,
        time(kernel, &nothing, jobs)?,
    ];
    std::fs::write("/dev/ram1", [0; 4096])?;
    Ok(times)
}

fn in_guest(count: usize, all_jobs: &[usize]) -> Result<()> {
    let kernel = Live::open(Udev::Auto)?;
    let one = measure(&kernel, count, 1)?;
    println!("{count} devices, ms: create, reload, remove; {count} volumes of a pool: create, remove");
    println!("jobs   1: {}", row(&one, |took, _| format!("{:>7.0}", took.as_secs_f64() * 1e3), &one));
    for jobs in all_jobs {
        let times = measure(&kernel, count, *jobs)?;
        let cell = |took: Duration, one: Duration| {
            format!("{:>7.0} ({:>4.1}x)", took.as_secs_f64() * 1e3, one.as_secs_f64() / took.as_secs_f64())
        };
        println!("jobs {jobs:>3}: {}", row(&times, cell, &one));
    }
    Ok(())
}

fn row(times: &[Duration], cell: impl Fn(Duration, Duration) -> String, one: &[Duration]) -> String {
    let cells: Vec<String> = times.iter().zip(one).map(|(took, one)| cell(*took, *one)).collect();
    cells.join("  ")
}

fn boot(arguments: &[String]) -> Result<()> {
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vm/run");
    let status = Command::new(run).arg(env::current_exe()?).args(arguments).status()?;
    if status.success() { Ok(()) } else { bail!("{status}") }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let count = arguments.first().and_then(|word| word.parse().ok()).unwrap_or(COUNT);
    let jobs: Vec<usize> = arguments
        .get(1)
        .map_or_else(|| vec![JOBS], |words| words.split(',').filter_map(|word| word.parse().ok()).collect());
    let outcome = if env::var_os(IN_VM).is_some() { in_guest(count, &jobs) } else { boot(&arguments) };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("applying: {error:#}");
            ExitCode::FAILURE
        }
    }
}
