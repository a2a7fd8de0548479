//! Tests on a real Device Mapper kernel.
//!
//! Run by `cargo test`, this program boots User-Mode Linux with `tests/vm/run` and runs itself again in there,
//! as root, with the same arguments. There it performs the cases of `tests/vm/cases`, one after the other:
//! the kernel is one, and a case that leaves a device behind fails.
//!
//! `cargo test --test real_kernel -- WORD` runs the cases whose names hold WORD; with `--kernel=6.12` they run
//! on that kernel.

#[path = "vm/cases/mod.rs"]
mod cases;
#[path = "vm/guest/mod.rs"]
mod guest;
#[path = "kernel_cases/mod.rs"]
mod kernel_cases;
#[path = "vm/runner.rs"]
mod runner;
#[path = "watching/mod.rs"]
mod watching;

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

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
        boot(wanted.kernel(), &arguments)
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

/// Runs this program in the guest, and fails when it fails there or does not get there. A machine without QEMU is
/// no failure, unless it is there to run every test.
fn boot(kernel: &str, arguments: &[String]) -> Result<ExitCode> {
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vm/run");
    let this = env::current_exe().context("where this program is")?;
    let handed_on = cases::campaign::SETTINGS
        .iter()
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
        return Ok(ExitCode::SUCCESS);
    }
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
