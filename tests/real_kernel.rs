//! Tests on a real Device Mapper kernel.
//!
//! Run by `cargo test`, this program boots User-Mode Linux with `tests/vm/run` and runs itself again in there,
//! as root, with the same arguments. There it performs the cases of `tests/vm/cases`, one after the other:
//! the kernel is one, and a case that leaves a device behind fails. All of them are shared by a few guests.
//!
//! `cargo test --test real_kernel -- WORD` runs the cases whose names hold WORD; with `--kernel=6.12` they run
//! on that kernel.

#[path = "vm/cases/mod.rs"]
mod cases;
#[path = "vm/guest/mod.rs"]
mod guest;
#[path = "kernel_cases/mod.rs"]
mod kernel_cases;
#[path = "memory/mod.rs"]
mod memory;
#[path = "processes/mod.rs"]
mod processes;
#[path = "vm/runner.rs"]
mod runner;
#[path = "waiting/mod.rs"]
mod waiting;
#[path = "watching/mod.rs"]
mod watching;

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread::{self, ScopedJoinHandle};

use anyhow::{Context, Result, bail};

/// The kernel that is there wherever the tests are.
const UML: &str = "uml";

/// Set in the guest, by `tests/vm/init`.
const IN_VM: &str = "DMCTL_IN_VM";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(ended) = cases::campaign::perform(&arguments) {
        return ended;
    }
    let wanted = runner::Wanted::from_arguments(&arguments);
    let cases = cases::all();
    if wanted.only_list {
        return runner::list(&cases, &wanted);
    }
    let outcome = if env::var_os(IN_VM).is_some() {
        runner::run(&cases, &wanted)
    } else if cases.iter().any(|case| wanted.includes(case.name)) {
        boot_shares(&wanted, &arguments)
    } else {
        Ok(ExitCode::SUCCESS)
    };
    outcome.unwrap_or_else(|error| {
        println!("real_kernel: {error:#}");
        ExitCode::FAILURE
    })
}

/// The status of `tests/vm/run` where what the kernel needs is not installed.
const NOT_INSTALLED: i32 = 69;

/// Runs the shares of the cases at the same time, each in a guest of its own.
fn boot_shares(wanted: &runner::Wanted, arguments: &[String]) -> Result<ExitCode> {
    let shares = wanted.shares();
    let boot_share = |share: usize| {
        let own = [format!("--share={share}/{shares}")];
        boot(wanted.kernel(), &[arguments, &own].concat())
    };
    let outcomes: Vec<Result<bool>> = thread::scope(|scope| {
        let guests: Vec<_> = (1..=shares).map(|share| scope.spawn(move || boot_share(share))).collect();
        let ended = guests.into_iter().map(ScopedJoinHandle::join);
        ended.map(|outcome| outcome.unwrap_or_else(|_| bail!("a guest could not be watched"))).collect()
    });
    let passed = outcomes.into_iter().collect::<Result<Vec<bool>>>()?.into_iter().all(|passed| passed);
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs this program in the guest. False when it fails there or does not get there. A machine without QEMU is
/// no failure, unless it is there to run every test.
fn boot(kernel: &str, arguments: &[String]) -> Result<bool> {
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vm/run");
    let this = env::current_exe().context("where this program is")?;
    // A case that lacks a program fails where every test is to run.
    let handed_on = cases::campaign::SETTINGS
        .iter()
        .chain(&["CI", cases::leaving::SETTING])
        .filter_map(|name| env::var(name).ok().map(|value| ["--env".to_string(), format!("{name}={value}")]));
    let status = Command::new(&run)
        // Minutes on a quiet machine, and many times that where others work.
        .args(["--timeout", "1800", "--kernel", kernel])
        .args(handed_on.flatten())
        .arg(this)
        .args(arguments)
        .status()
        .with_context(|| format!("start {}", run.display()))?;
    if status.code() == Some(NOT_INSTALLED) && kernel != UML && env::var_os("CI").is_none() {
        println!("real kernel {kernel}: skipped");
        return Ok(true);
    }
    Ok(status.success())
}
