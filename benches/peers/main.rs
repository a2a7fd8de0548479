//! dmctl beside a C program that makes the same calls one after the other (`ioctls.c`), and beside dmsetup.
//!
//! `cargo bench --bench peers` boots User-Mode Linux and Linux 6.12 with `tests/vm/run`, and in each measures, a
//! round after the other: 300 independent devices made, given other tables and removed, each of it by one process,
//! from its start to its end; and how long a reader of one device waits at the longest while that gets another
//! table. What dmctl reads, plans, journals and verifies is in its time. It prints medians as ratios, for seconds of
//! a guest say little.
//!
//! `cargo bench --bench peers -- [--kernel uml|6.12] [--rounds N] [--count N] [--dmctl PATH] [--in-place] [--strict]
//! [--write]`: `--dmctl` measures another build, `--in-place` has programs stand at the same addresses each time, so that
//! QEMU need not translate them again, `--strict` ends with 1 when a ratio is not what is promised, `--write` puts the
//! tables into `docs/performance.md`.

mod contenders;
mod guest;
mod reader;
mod report;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// Set in the guest, by `tests/vm/init`.
const IN_VM: &str = "DMCTL_IN_VM";
/// Where the C program is, for the guest.
const IOCTLS: &str = "DMCTL_BENCH_IOCTLS";
/// The option that is handed on to the guest.
const IN_PLACE: &str = "--in-place";
const KERNELS: [&str; 2] = ["uml", "6.12"];
/// What is written with `--write`.
const DOCUMENT: &str = "docs/performance.md";

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    kernels: Vec<String>,
    rounds: usize,
    count: usize,
    dmctl: String,
    in_place: bool,
    strict: bool,
    write: bool,
}

impl Asked {
    fn of(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let kernels = KERNELS.map(String::from).to_vec();
        let dmctl = env!("CARGO_BIN_EXE_dmctl").to_string();
        let mut asked =
            Self { kernels, rounds: 5, count: 300, dmctl, in_place: false, strict: false, write: false };
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match word.as_str() {
                "--kernel" => asked.kernels = vec![value()?],
                "--rounds" => asked.rounds = value()?.parse()?,
                "--count" => asked.count = value()?.parse()?,
                "--dmctl" => asked.dmctl = value()?,
                IN_PLACE => asked.in_place = true,
                "--strict" => asked.strict = true,
                "--write" => asked.write = true,
                // Cargo says so to every bench.
                "--bench" => {}
                other => bail!("what is {other}?"),
            }
        }
        Ok(asked)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Builds the C program, and gives its path.
fn build() -> Result<PathBuf> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ioctls");
    let source = root().join("benches/peers/ioctls.c");
    let status = Command::new("gcc").args(["-O2", "-Wall", "-o"]).arg(&program).arg(source).status();
    ensure!(status.context("start gcc")?.success(), "the C program can't be built");
    Ok(program)
}

/// Measures in a guest, and gives what it printed.
fn measure(kernel: &str, asked: &Asked, ioctls: &Path) -> Result<String> {
    let mut run = Command::new(root().join("tests/vm/run"));
    run.args(["--kernel", kernel, "--timeout", "3600", "--env"])
        .arg(format!("{IOCTLS}={}", ioctls.display()));
    run.arg(env::current_exe()?);
    run.args([
        "--rounds",
        &asked.rounds.to_string(),
        "--count",
        &asked.count.to_string(),
        "--dmctl",
        &asked.dmctl,
    ]);
    run.args(asked.in_place.then_some(IN_PLACE));
    let output = run.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stdout));
    Ok(String::from_utf8(output.stdout)?)
}

fn on_host(asked: &Asked) -> Result<bool> {
    let ioctls = build()?;
    let mut good = true;
    for kernel in &asked.kernels {
        let table = measure(kernel, asked, &ioctls)?;
        println!("{table}");
        good &= !table.contains(report::MISSED);
        if asked.write {
            let path = root().join(DOCUMENT);
            fs::write(&path, report::replaced(&fs::read_to_string(&path)?, kernel, &table)?)?;
        }
    }
    Ok(good || !asked.strict)
}

fn main() -> ExitCode {
    let outcome = Asked::of(env::args().skip(1)).and_then(|asked| match env::var(IOCTLS) {
        Ok(ioctls) if env::var_os(IN_VM).is_some() => guest::measure(&asked, &ioctls).map(|table| {
            print!("{table}");
            true
        }),
        _ => on_host(&asked),
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("peers: {error:#}");
            ExitCode::FAILURE
        }
    }
}
