//! Output that can't be written while a kernel is changed. Every write of every verb fails in `tests/cli/writes.rs`; here
//! disks are full and readers gone for real.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _, pipe};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use dmctl::kernel::ReadKernel as _;
use nix::fcntl::{FcntlArg, fcntl};

use crate::guest::{Guest, comes, dmctl, program, write_map};

const EMPTY: &str = "[policy]\nprune = true\n[mappings]";

/// Four devices, one of them on another.
const MAP: &str = r#"
    [mappings.base]
    targets = [{ type = "linear", length = 1024, device = "/dev/ram0" }]
    [mappings.upper]
    targets = [{ type = "linear", length = 512, device = "@base" }]
    [mappings.one]
    targets = [{ type = "zero", length = 8 }]
    [mappings.two]
    targets = [{ type = "zero", length = 8 }]"#;

/// How the map is applied.
const APPLY: [&str; 4] = ["apply", "--json", "--jobs", "1"];
const TRIAL: [&str; 2] = ["--confirm-within", "3s"];

/// A file system of two pages, until this is dropped.
struct SmallDisk {
    at: &'static str,
}

impl SmallDisk {
    const SIZE: usize = 8192;

    fn mount() -> Result<Self> {
        let at = "/run/tmp/small";
        fs::create_dir_all(at)?;
        program("busybox", &["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", at])?;
        Ok(Self { at })
    }

    /// A file with room for `room` bytes.
    fn file(&self, room: usize) -> Result<File> {
        let path = format!("{}/output", self.at);
        let _ = fs::remove_file(&path);
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        file.write_all(&vec![b' '; Self::SIZE - room])?;
        Ok(file)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Where it stays mounted, the next case that mounts it tells so.
        let _ = program("busybox", &["umount", self.at]);
    }
}

fn command(arguments: &[&str]) -> Result<Command> {
    let map = write_map(MAP)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_dmctl"));
    command.args(arguments).arg(map).stdin(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}

/// What is printed when everything can be.
fn whole(guest: &Guest) -> Result<Vec<usize>> {
    let printed = command(&APPLY)?.output()?.stdout;
    guest.apply(EMPTY, &[])?;
    let text = String::from_utf8(printed)?;
    let lines: Vec<usize> = text.split_inclusive('\n').map(str::len).collect();
    ensure!(lines.len() == 10, "a plan, two lines a step, and the end: {text}");
    Ok(lines)
}

fn count(guest: &Guest) -> Result<usize> {
    Ok(guest.kernel.list()?.len())
}

pub fn a_full_disk_decides_nothing(guest: &Guest) -> Result<()> {
    let lines = whole(guest)?;
    let disk = SmallDisk::mount()?;
    let end = |count| lines[..count].iter().sum::<usize>();
    for (room, code, devices) in
        [(0, 1, 0), (end(1) - 1, 1, 0), (end(1), 7, 4), (end(4) + 9, 7, 4), (end(9), 7, 4), (end(10), 0, 4)]
    {
        let status = command(&APPLY)?.stdout(disk.file(room)?).status()?;
        ensure!(status.code() == Some(code), "{room} bytes: {status}");
        ensure!(count(guest)? == devices, "{room} bytes: {} devices", count(guest)?);
        guest.apply(EMPTY, &[])?;
    }
    Ok(())
}

pub fn a_full_disk_ends_no_trial(guest: &Guest) -> Result<()> {
    let lines = whole(guest)?;
    let disk = SmallDisk::mount()?;
    let arguments = [&APPLY[..], &TRIAL].concat();
    let plan = lines[0];
    let status = command(&arguments)?.stdout(disk.file(plan - 1)?).status()?;
    ensure!(status.code() == Some(1) && count(guest)? == 0, "{status}");
    ensure!(!dmctl(&["status"])?.stdout.contains("confirm"));
    for room in [plan, lines.iter().sum()] {
        let status = command(&arguments)?.stdout(disk.file(room)?).status()?;
        ensure!(status.code() == Some(7), "{room} bytes: {status}");
        is_put_back(guest)?;
    }
    Ok(())
}

/// Waits until a trial has ended, and clears what tells of it.
fn is_put_back(guest: &Guest) -> Result<()> {
    comes("the end of the trial", || {
        Ok(dmctl(&["status"])?.stdout.contains("not confirmed in time: rolled back 4 steps"))
    })?;
    ensure!(count(guest)? == 0, "{} devices", count(guest)?);
    ensure!(dmctl(&["confirm"])?.stderr.contains("too late"));
    Ok(())
}

pub fn a_trial_that_can_not_be_recorded_is_put_back(guest: &Guest) -> Result<()> {
    let folder = "/run/tmp/records";
    fs::create_dir_all(folder)?;
    // Room for two folders, the lock, the token and the first record, and not for the next one.
    program("busybox", &["mount", "-t", "tmpfs", "-o", "nr_inodes=5,mode=0700", "tmpfs", folder])?;
    let arguments = [&["apply", "--lock-dir", folder][..], &TRIAL].concat();
    let output = command(&arguments)?.stderr(Stdio::piped()).output()?;
    let stderr = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(6) && count(guest)? == 0, "{}: {stderr}", output.status);
    ensure!(
        stderr.contains("can't be written down") && stderr.contains("everything was put back"),
        "{stderr}"
    );
    let left = program("sh", &["-c", &format!("cd {folder} && ls -A . dmctl")])?;
    program("busybox", &["umount", folder])?;
    ensure!(left == ".:\ndmctl\ndmctl.lock\n\ndmctl:\n", "{left}");
    Ok(())
}

pub fn a_reader_that_goes_away_ends_nothing(guest: &Guest) -> Result<()> {
    for arguments in [&APPLY[..], &[&APPLY[..], &TRIAL].concat()] {
        let mut child = command(arguments)?.stdout(Stdio::piped()).spawn()?;
        child.stdout.take().context("a pipe")?.read_exact(&mut [0; 8])?;
        let status = child.wait()?;
        ensure!(status.code() == Some(0) && count(guest)? == 4, "{arguments:?}: {status}");
        if arguments.len() > APPLY.len() {
            is_put_back(guest)?;
        }
        guest.apply(EMPTY, &[])?;
    }
    Ok(())
}

pub fn a_reader_that_stops_holds_no_trial_up(guest: &Guest) -> Result<()> {
    const PAGE: usize = 4096;
    let (mut reader, mut writer) = pipe()?;
    // Of two pages one is free, which takes the plan: poll(2) tells of free pages alone.
    fcntl(&writer, FcntlArg::F_SETPIPE_SZ(i32::try_from(2 * PAGE)?))?;
    writer.write_all(&vec![b' '; PAGE])?;
    let mut child = command(&[&APPLY[..], &TRIAL].concat())?.stdout(writer).spawn()?;
    is_put_back(guest)?;
    let mut told = String::new();
    reader.read_to_string(&mut told)?;
    let status = child.wait()?;
    ensure!(status.code() == Some(0) && told.contains("\"waiting\""), "{status}: {told}");
    Ok(())
}
