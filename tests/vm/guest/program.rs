//! Programs run in the guest. Each costs a tenth of a second there.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use dmctl::lock;

use crate::waiting::until_within;

/// How long another dmctl may have the lock.
const LOCK_PATIENCE: Duration = Duration::from_secs(60);

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
    Ok(Ran::from(output))
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// A program that runs while the case goes on.
pub struct Background(Child);

impl Background {
    pub fn dmctl(arguments: &[&str]) -> Result<Self> {
        Self::start(env!("CARGO_BIN_EXE_dmctl").as_ref(), arguments)
    }

    /// This program itself, run again.
    pub fn this(arguments: &[&str]) -> Result<Self> {
        Self::start(&env::current_exe()?, arguments)
    }

    pub fn program(name: &str, arguments: &[&str]) -> Result<Self> {
        Self::start(name.as_ref(), arguments)
    }

    fn start(path: &Path, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(path);
        let command =
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(Self(command.spawn().with_context(|| format!("start {}", path.display()))?))
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Sends it a signal: `TERM`, `KILL`.
    pub fn signal(&self, name: &str) -> Result<()> {
        program("busybox", &["kill", &format!("-{name}"), &self.0.id().to_string()]).map(drop)
    }

    /// Waits until this dmctl has the lock, or has ended.
    pub fn has_lock(&mut self) -> Result<()> {
        let entry = format!("{} ", self.0.id());
        let came = until_within(LOCK_PATIENCE, || {
            let has_lock = fs::read_to_string(lock::LIVE).is_ok_and(|holder| holder.starts_with(&entry));
            anyhow::Ok(has_lock || self.0.try_wait()?.is_some())
        })?;
        ensure!(came, "process {} never takes the lock", self.0.id());
        Ok(())
    }

    /// Kills it, as nothing can keep it from being.
    pub fn kill(&mut self) -> Result<()> {
        Ok(self.0.kill()?)
    }

    /// How it ended, within `patience`.
    pub fn end_within(mut self, patience: Duration) -> Result<Ran> {
        let ended = until_within(patience, || anyhow::Ok(self.0.try_wait()?.is_some()))?;
        ensure!(ended, "process {} does not end", self.0.id());
        self.end()
    }

    /// How it ended. It prints too little to fill a pipe, so that it is read at the end.
    pub fn end(self) -> Result<Ran> {
        Ok(Ran::from(self.0.wait_with_output()?))
    }
}

/// Runs the dmctl that was built with this test in a mount namespace of its own, in which `arranged` was run before.
pub fn dmctl_where(arranged: &str, arguments: &[&str]) -> Result<Ran> {
    let script = format!("{arranged} && exec \"$0\" \"$@\"");
    run("unshare", &[&["-m", "sh", "-c", &script, env!("CARGO_BIN_EXE_dmctl")], arguments].concat())
}
