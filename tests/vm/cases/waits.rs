//! Calls that wait for I/O in flight, over a device that holds it: they tell so, and end when they are told to.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::guest::{Guest, dmctl, program};

const MAP: &str = "/run/tmp/waits.toml";
/// The most that a wait may go on after the signal.
const END: Duration = Duration::from_secs(2);

/// `top` over `low`, which holds a write back that is in flight on both.
struct Held {
    writer: Child,
}

impl Held {
    fn new(guest: &Guest) -> Result<Self> {
        program("dmsetup", &["create", "low", "--table", "0 4096 linear 1:0 0"])?;
        let row = format!("0 2048 linear {} 0", guest.state("low")?.0.number);
        program("dmsetup", &["create", "top", "-u", "DMCTL-lab-top", "--table", &row])?;
        program("dmsetup", &["suspend", "--nolockfs", "low"])?;
        let write = ["if=/dev/zero", "of=/dev/mapper/top", "bs=4096", "count=1", "oflag=direct"];
        let writer = Command::new("dd").args(write).stderr(Stdio::null()).spawn()?;
        thread::sleep(Duration::from_millis(300));
        Ok(Self { writer })
    }

    /// Lets the write through, and removes both devices.
    fn end(mut self) -> Result<()> {
        program("dmsetup", &["resume", "low"])?;
        ensure!(self.writer.wait()?.success(), "the write failed");
        program("dmsetup", &["remove", "top"])?;
        program("dmsetup", &["remove", "low"])?;
        Ok(())
    }
}

/// Runs dmctl until it has waited for more than a second, then sends the signal. Returns its exit status, and what it told.
fn ended_by(signal: &str, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dmctl"));
    let mut child = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut stderr = BufReader::new(child.stderr.take().context("no standard error")?);
    let mut told = String::new();
    stderr.read_line(&mut told)?;
    ensure!(told.starts_with("waiting for I/O in flight for 1 s, to "), "{arguments:?}: {told}");
    program("kill", &[signal, &child.id().to_string()])?;
    let begin = Instant::now();
    while child.try_wait()?.is_none() {
        ensure!(begin.elapsed() < END, "{arguments:?} goes on after the signal");
        thread::sleep(Duration::from_millis(20));
    }
    stderr.read_to_string(&mut told)?;
    Ok((child.wait()?.code(), told))
}

/// Sees that `top` has the table that it had, serves I/O, and has nothing in its other slot.
fn as_before(guest: &Guest, number: &str) -> Result<()> {
    let (info, live, inactive) = guest.state("top")?;
    let as_before = live == format!("0 2048 linear {number} 0") && inactive.is_empty() && !info.suspended;
    ensure!(as_before, "{info:?} {live} {inactive}");
    Ok(())
}

pub fn a_call_that_waits_for_io_tells_it_and_ends_when_told_to(guest: &Guest) -> Result<()> {
    let held = Held::new(guest)?;
    let number = guest.state("low")?.0.number.to_string();
    fs::write(
        MAP,
        "format = 1\nowner = \"lab\"\n[mappings.top]\ntargets = [{ type = \"linear\", length = 1024, device = \"/dev/mapper/low\" }]\n",
    )?;
    let longer = format!("0 4096 linear {number} 0");
    for (signal, arguments) in [
        ("-TERM", &["suspend", "top"][..]),
        ("-INT", &["reload", "top", "--table", &longer]),
        ("-TERM", &["apply", MAP, "--allow", "remap"]),
        ("-INT", &["apply", MAP, "--allow", "remap"]),
    ] {
        let (status, told) = ended_by(signal, arguments)?;
        ensure!(status.is_some_and(|status| status != 0), "{arguments:?}: {status:?} {told}");
        ensure!(
            told.contains(" top; ") && told.matches("waiting for I/O").count() == 1,
            "{arguments:?}: {told}"
        );
        as_before(guest, &number)?;
        if arguments[0] == "apply" {
            ensure!(status == Some(6) && told.contains("everything was put back"), "{status:?} {told}");
        } else {
            ensure!(told.contains("told to end while it waited to "), "{told}");
        }
    }
    // Without a signal it is carried out once the I/O has ended.
    let child = Command::new(env!("CARGO_BIN_EXE_dmctl"))
        .args(["apply", MAP, "--allow", "remap"])
        .stdout(Stdio::null())
        .spawn()?;
    thread::sleep(Duration::from_millis(500));
    program("dmsetup", &["resume", "low"])?;
    ensure!(child.wait_with_output()?.status.success());
    ensure!(guest.state("top")?.1 == format!("0 1024 linear {number} 0"));
    held.end()?;
    let left = dmctl(&["list"])?;
    ensure!(left.stdout.is_empty(), "{left:?}");
    Ok(())
}
