//! Programs run in the guest. Each costs a tenth of a second there.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Ran {
    /// The exit status, or none when a signal ended it.
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the dmctl that was built with this test.
pub fn dmctl(arguments: &[&str]) -> Result<Ran> {
    run(env!("CARGO_BIN_EXE_dmctl"), arguments)
}

/// Runs a program that must succeed, and returns its standard output.
pub fn program(name: &str, arguments: &[&str]) -> Result<String> {
    let ran = run(name, arguments)?;
    ensure!(ran.status == Some(0), "{name} {}: {ran:?}", arguments.join(" "));
    Ok(ran.stdout)
}

fn run(name: &str, arguments: &[&str]) -> Result<Ran> {
    let output = Command::new(name)
        .args(arguments)
        .stdin(Stdio::null())
        // dmsetup waits for a udev that does not run here.
        .env("DM_DISABLE_UDEV", "1")
        .output()
        .with_context(|| format!("start {name}"))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Ran { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) })
}
