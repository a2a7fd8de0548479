//! A udevd of the guest's own, with the rules of this machine, for as long as a case needs one.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::comes;
use super::program::program;

const PROGRAM: &str = "/lib/systemd/systemd-udevd";
const CONTROL: &str = "/run/udev/control";
const RULES: &str = "/lib/udev/rules.d";

/// It runs until this is dropped.
pub struct Udevd(Child);

impl Udevd {
    pub fn start() -> Result<Self> {
        Self::with_rule("")
    }

    /// One with a rule more.
    pub fn with_rule(rule: &str) -> Result<Self> {
        fs::create_dir_all("/run/udev/rules.d")?;
        fs::write("/run/udev/rules.d/90-case.rules", format!("{rule}\n"))?;
        let mut udevd = Command::new(PROGRAM);
        let udevd = udevd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let udevd = Self(udevd.spawn().with_context(|| format!("start {PROGRAM}"))?);
        // Its socket, then its first sign of life.
        comes("the socket of udevd", || Ok(Path::new(CONTROL).exists()))?;
        program("udevadm", &["control", "--ping", "--timeout=30"])?;
        Ok(udevd)
    }

    /// Sends it a signal: `STOP`, `CONT`, `KILL`.
    pub fn signal(&self, name: &str) -> Result<()> {
        program("busybox", &["kill", &format!("-{name}"), &self.0.id().to_string()]).map(drop)
    }

    /// Waits until it has nothing to do.
    pub fn settle() -> Result<()> {
        program("udevadm", &["settle", "--timeout=60"]).map(drop)
    }
}

impl Drop for Udevd {
    fn drop(&mut self) {
        // One that was killed is not there to be told.
        let _ = self.signal("CONT");
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = fs::remove_dir_all("/run/udev");
    }
}

/// No rules are there until this is dropped.
pub struct WithoutRules(());

impl WithoutRules {
    pub fn hide() -> Result<Self> {
        program("busybox", &["mount", "-t", "tmpfs", "none", RULES])?;
        Ok(Self(()))
    }
}

impl Drop for WithoutRules {
    fn drop(&mut self) {
        let _ = program("busybox", &["umount", RULES]);
    }
}

/// A limit on the count of sets of semaphores, until this is dropped.
pub struct Room(String);

const SEM: &str = "/proc/sys/kernel/sem";

impl Room {
    pub fn for_sets(count: u32) -> Result<Self> {
        let before = Self(fs::read_to_string(SEM)?);
        fs::write(SEM, format!("250 32000 32 {count}"))?;
        Ok(before)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::write(SEM, &self.0);
    }
}

/// The keys of all semaphores there are.
pub fn semaphores() -> Result<Vec<String>> {
    let list = fs::read_to_string("/proc/sysvipc/sem")?;
    Ok(list.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(str::to_string).collect())
}

/// Waits until a process waits for a semaphore to be zero.
pub fn semaphore_is_awaited() -> Result<()> {
    comes("who waits for a semaphore", || {
        let list = fs::read_to_string("/proc/sysvipc/sem")?;
        let mut sets = list.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1));
        // ipcs(1) ends each row with how many wait for more, how many wait for zero, and the last process.
        let is_awaited = |set: &str| -> Result<bool> {
            let rows = program("ipcs", &["-s", "-i", set])?;
            let awaited = |row: &str| row.split_whitespace().nth(3).is_some_and(|zero| zero == "1");
            Ok(rows.lines().any(awaited))
        };
        sets.try_fold(false, |found, set| Ok(found || is_awaited(set)?))
    })
}

/// No semaphore must be left.
pub fn no_semaphores() -> Result<()> {
    let left = semaphores()?;
    ensure!(left.is_empty(), "semaphores are left: {left:?}");
    Ok(())
}
