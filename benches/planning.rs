//! How planning grows with the map, and what it costs beside reading TOML at all.
//!
//! `cargo bench --bench planning` makes a map of 100,000 mappings in stacks of three and compares:
//!
//! - reading it, planning it and drawing the plan, with the `toml` crate reading the same text into a table:
//!   time and peak memory;
//! - planning alone for 10,000 and for 100,000 mappings, onto an empty kernel, onto one that has it all, and
//!   onto one where every table changes;
//! - the last two beside 10,000 logical volumes of another subsystem on the same disk.
//!
//! Each measurement is taken in a process of its own, so that one's memory is not another's, and in turn with those
//! it is compared with: what else a machine does comes and goes. The middle ones count. It ends with 1 when a limit is
//! passed.

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use dmctl::config::{self, Map};
use dmctl::identity::DevNum;
use dmctl::kernel::simulated::{Disk, KernelFacts, MappingState, Simulated, State};
use dmctl::plan;
use dmctl::policy::Class;
use dmctl::render::{self, ColorMode};
use serde_json::json;

const MANY: usize = 100_000;
const FEW: usize = 10_000;
/// The logical volumes beside a map.
const VOLUMES: usize = 10_000;
/// What a process is asked to measure.
const TASK: &str = "DMCTL_BENCH_TASK";
/// How often each measurement is taken.
const RUNS: usize = 7;

/// The limits: what all of dmctl may take of what `toml` takes, and how much longer ten times the map may take.
const MOST_TIME: f64 = 3.0;
const MOST_MEMORY: f64 = 2.0;
const MOST_GROWTH: f64 = 12.0;
/// How much longer a plan may take beside the volumes: they are a tenth of all devices.
const MOST_BESIDE: f64 = 1.2;

/// The text of a map of `count` mappings in stacks of three, each of `length` sectors.
fn text(count: usize, length: u64) -> String {
    let mut text = "format = 1\nowner = \"bench\"\n".to_string();
    for index in 0..count {
        let (stack, level) = (index / 3, index % 3);
        let below = match level {
            0 => format!("device = \"/dev/disk/by-id/large\", offset = {}", stack * 4096),
            _ => format!("device = \"@stack-{stack}-{}\"", level - 1),
        };
        let _ = write!(
            text,
            "\n[mappings.stack-{stack}-{level}]\ntargets = [{{ type = \"linear\", length = {length}, {below} }}]\n"
        );
    }
    text
}

fn read(text: &str) -> Map {
    config::parse_str("map.toml", text).map.unwrap_or_default()
}

/// A kernel with one large disk, the mappings of the map of `count` of them, and logical volumes.
fn kernel(count: usize, volumes: usize) -> Simulated {
    let large =
        Disk { paths: vec!["/dev/disk/by-id/large".to_string()], ..Disk::new(DevNum::new(8, 0), 1 << 40) };
    let state = State {
        format_version: 1,
        kernel: KernelFacts::default(),
        block_devices: vec![large],
        mappings: (0..count).map(mapping).chain((0..volumes).map(|index| volume(count, index))).collect(),
        pools: Vec::new(),
    };
    Simulated::new(&state).unwrap_or_else(|error| panic!("{error}"))
}

/// What the kernel has for the mapping of this index.
fn mapping(index: usize) -> MappingState {
    let (stack, level) = (index / 3, index % 3);
    let below = match level {
        0 => format!("8:0 {}", stack * 4096),
        _ => format!("254:{} 0", index - 1),
    };
    let state = json!({
        "name": format!("stack-{stack}-{level}"),
        "uuid": format!("DMCTL-bench-stack-{stack}-{level}"),
        "number": format!("254:{index}"),
        "live": [{ "start": 0, "length": 2048, "type": "linear", "params": below }],
    });
    serde_json::from_value(state).unwrap_or_else(|error| panic!("{error}"))
}

/// A logical volume behind the sectors of all mappings, which have the numbers up to `count`.
fn volume(count: usize, index: usize) -> MappingState {
    let state = json!({
        "name": format!("vg-volume{index}"),
        "uuid": format!("LVM-{index:032}"),
        "number": format!("254:{}", count + index),
        "live": [{ "start": 0, "length": 2048, "type": "linear", "params": format!("8:0 {}", (1 << 39) + index * 2048) }],
    });
    serde_json::from_value(state).unwrap_or_else(|error| panic!("{error}"))
}

/// Plans a map, and says how long that took and how many steps it has.
fn planned(kernel: &Simulated, map: &Map) -> (Duration, usize) {
    let start = Instant::now();
    let plan = black_box(plan::plan(kernel, map, &BTreeSet::from([Class::Remap])));
    (start.elapsed(), plan.map_or(0, |plan| plan.steps.len()))
}

/// One measurement, in a process that does nothing else.
fn measure(task: &str) -> Option<Duration> {
    let (what, count) = task.split_once(' ')?;
    let count: usize = count.parse().ok()?;
    let volumes = if what.ends_with("-beside") { VOLUMES } else { 0 };
    let (took, steps, expected) = match what {
        "toml" => {
            let text = text(count, 2048);
            let start = Instant::now();
            let table = black_box(text.parse::<toml::Table>()).ok()?;
            (start.elapsed(), table.len(), 3)
        }
        "all" => {
            let (text, kernel) = (text(count, 2048), kernel(0, 0));
            let start = Instant::now();
            let map = read(&text);
            let plan = plan::plan(&kernel, &map, &BTreeSet::new()).ok()?;
            let drawn = black_box(render::text(&plan, ColorMode::Plain));
            (start.elapsed(), drawn.matches("+ create").count(), count)
        }
        "read" => {
            let text = text(count, 2048);
            let start = Instant::now();
            let map = black_box(read(&text));
            (start.elapsed(), map.mappings.len(), count)
        }
        "new" => {
            let (took, steps) = planned(&kernel(0, 0), &read(&text(count, 2048)));
            (took, steps, count)
        }
        "same" | "same-beside" => {
            let (took, steps) = planned(&kernel(count, volumes), &read(&text(count, 2048)));
            (took, steps, 0)
        }
        "grown" | "grown-beside" => {
            let (took, steps) = planned(&kernel(count, volumes), &read(&text(count, 4096)));
            (took, steps, count)
        }
        _ => return None,
    };
    assert_eq!(steps, expected, "{task}");
    Some(took)
}

/// The most memory this process had, in KiB (`proc_pid_status(5)`).
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// The time, in seconds, and the memory, in MiB, of one measurement.
fn run(task: &str) -> Option<(f64, f64)> {
    let output = Command::new(env::current_exe().ok()?).env(TASK, task).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?;
    let (micros, kib) = answer.trim().split_once(' ')?;
    Some((micros.parse::<f64>().ok()? / 1e6, kib.parse::<f64>().ok()? / 1024.0))
}

/// The middle time and memory of each of some measurements, which are taken in turn.
fn middle<const N: usize>(tasks: [(&str, usize); N]) -> Option<[(f64, f64); N]> {
    let mut taken = [const { (Vec::new(), Vec::new()) }; N];
    for _ in 0..RUNS {
        for ((what, count), (times, sizes)) in tasks.iter().zip(&mut taken) {
            let (time, size) = run(&format!("{what} {count}"))?;
            times.push(time);
            sizes.push(size);
        }
    }
    Some(taken.map(|(times, sizes)| (median(times), median(sizes))))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints a ratio and says whether it holds.
fn holds(what: &str, value: f64, base: f64, most: f64) -> bool {
    let ratio = value / base;
    println!("{what}: {ratio:.2} (at most {most})");
    ratio <= most
}

fn report() -> Option<bool> {
    let [toml, all, read] = middle([("toml", MANY), ("all", MANY), ("read", MANY)])?;
    println!("toml alone        {:7.3} s {:7.1} MiB", toml.0, toml.1);
    println!("read              {:7.3} s {:7.1} MiB", read.0, read.1);
    println!("read, plan, draw  {:7.3} s {:7.1} MiB", all.0, all.1);
    let mut good = holds("time beside toml alone", all.0, toml.0, MOST_TIME);
    good &= holds("memory beside toml alone", all.1, toml.1, MOST_MEMORY);
    for what in ["new", "same", "grown"] {
        let [few, many] = middle([(what, FEW), (what, MANY)])?;
        println!("plan, {what:<12}{:7.3} s for {FEW}, {:.3} s for {MANY}", few.0, many.0);
        good &= holds("ten times the map", many.0, few.0, MOST_GROWTH);
    }
    for what in ["same", "grown"] {
        let [alone, beside] = middle([(what, MANY), (&format!("{what}-beside"), MANY)])?;
        println!("plan, {what:<12}{:7.3} s, {:.3} s beside {VOLUMES} volumes", alone.0, beside.0);
        good &= holds("beside other devices", beside.0, alone.0, MOST_BESIDE);
    }
    Some(good)
}

fn main() -> ExitCode {
    if let Ok(task) = env::var(TASK) {
        return match (measure(&task), peak()) {
            (Some(took), Some(peak)) => {
                println!("{} {peak}", took.as_micros());
                ExitCode::SUCCESS
            }
            _ => ExitCode::FAILURE,
        };
    }
    match report() {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::FAILURE,
        None => {
            println!("a measurement failed");
            ExitCode::FAILURE
        }
    }
}
