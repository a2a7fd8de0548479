//! Tests on a real Device Mapper kernel.
//!
//! Run by `cargo test`, this program boots User-Mode Linux with `tests/vm/run` and runs itself again in there,
//! as root, with the same arguments. There it performs the cases of `tests/vm/cases`, one after the other:
//! the kernel is one, and a case that leaves a device behind fails.
//!
//! `cargo test --test real_kernel -- WORD` runs the cases whose names hold WORD.

#[path = "vm/cases/mod.rs"]
mod cases;
#[path = "vm/guest/mod.rs"]
mod guest;
#[path = "kernel_cases/mod.rs"]
mod kernel_cases;
#[path = "vm/runner.rs"]
mod runner;

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

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
        boot(&arguments)
    } else {
        Ok(ExitCode::SUCCESS)
    };
    outcome.unwrap_or_else(|error| {
        println!("real_kernel: {error:#}");
        ExitCode::FAILURE
    })
}

/// Runs this program in the guest, and fails when it fails there or does not get there.
fn boot(arguments: &[String]) -> Result<ExitCode> {
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vm/run");
    let this = env::current_exe().context("where this program is")?;
    let handed_on = cases::campaign::SETTINGS.iter().filter_map(|name| {
        env::var(name).ok().map(|value| ["--env".to_string(), format!("{name}={value}")])
    });
    let status = Command::new(&run)
        // Minutes on a quiet machine, and many times that where others work.
        .args(["--timeout", "1800"])
        .args(handed_on.flatten())
        .arg(this)
        .args(arguments)
        .status()
        .with_context(|| format!("start {}", run.display()))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
