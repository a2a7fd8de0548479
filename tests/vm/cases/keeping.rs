//! The keys that a process keeps in memory while it waits, on a kernel that keeps its own.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dmctl::lock::{self, Lock};

use crate::guest::{Background, Guest, Ran, apply_ends, comes, dmctl, private, program, write_map};
use crate::memory::{count, other};
use crate::watching::Watching;

const KEY: &str = "5ec3e7a1b2c4d6e8f9011a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f";
const FILE: &str = "/run/tmp/kept-key";

/// A map with a mapping of crypt for each source of a key.
fn map(keys: &[String]) -> String {
    keys.iter().enumerate().fold(String::new(), |map, (at, key)| {
        format!(
            "{map}[mappings.c{at}]\ntargets = [{{ type = \"crypt\", length = 2048, cipher = \"aes-xts-plain64\", \
             device = \"/dev/ram0\", offset = {}, key = {{ {key} }} }}]\n",
            2048 * at
        )
    })
}

fn hex(key: &str) -> String {
    format!("hex = \"{key}\"")
}

/// Writes a key into the file of keys, and returns how a map names that.
fn in_file(key: &str) -> Result<String> {
    private(FILE, key.as_bytes())?;
    Ok(format!("file = \"{FILE}\", encoding = \"hex\""))
}

/// Expects that a process leaves no core, and that each page of it that can be written is locked in memory.
fn is_shut(process: u32) -> Result<()> {
    let limits = fs::read_to_string(format!("/proc/{process}/limits"))?;
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).context("a limit")?;
    ensure!(core.split_whitespace().skip(4).take(2).all(|word| word == "0"), "{core}");
    let maps = fs::read_to_string(format!("/proc/{process}/smaps"))?;
    let mut written = false;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("VmFlags:") => {
                let flags: Vec<&str> = words.collect();
                ensure!(!written || flags.contains(&"lo"), "{flags:?} in {maps}");
            }
            Some(range) if range.contains('-') => {
                written = words.next().is_some_and(|mode| mode.starts_with("rw"));
            }
            _ => {}
        }
    }
    Ok(())
}

pub fn a_trial_keeps_the_old_keys_alone_and_locked(guest: &Guest) -> Result<()> {
    guest.needs("crypt")?;
    let [swapped, read, made] = [1, 2, 3].map(|by| other(KEY, by));
    let old = [hex(KEY), in_file(&read)?];
    apply_ends(&map(&old), &[], 0)?;
    let before = program("dmsetup", &["table", "--showkeys"])?;
    let now = other(KEY, 4);
    let new = [hex(&swapped), in_file(&now)?, hex(&made)];
    apply_ends(&map(&new), &["--allow", "remap", "--confirm-within", "1h"], 0)?;
    let entry = fs::read_to_string(lock::LIVE)?;
    let guard: u32 = entry.split(' ').next().context("the guard")?.parse()?;
    let kept = [KEY, &read, &swapped, &now, &made].map(|key| count(guard, key));
    ensure!(kept[..2].iter().all(|count| (1..=2).contains(count)), "the old keys: {kept:?}");
    ensure!(kept[2..] == [0; 3], "the new keys: {kept:?}");
    is_shut(guard)?;
    program("busybox", &["kill", &guard.to_string()])?;
    comes("the way back", || Ok(program("dmsetup", &["table", "--showkeys"])? == before))?;
    comes("the end", || Ok(dmctl(&["status"])?.stdout.contains("rolled back")))?;
    dmctl(&["confirm"])?;
    program("dmsetup", &["remove", "c0", "c1"])?;
    Ok(())
}

/// Applies on trial with this limit of the memory that may be locked, and without the right to lock more.
fn tried(limit: &str) -> Result<(Ran, u32)> {
    let path = write_map(&map(&[hex(KEY)]))?;
    let script =
        format!("ulimit -l {limit} && exec {} apply {path} --confirm-within 1h", env!("CARGO_BIN_EXE_dmctl"));
    let ran = Background::program("setpriv", &["--bounding-set", "-ipc_lock", "sh", "-c", &script])?.end()?;
    ensure!(ran.status == Some(0), "{limit}: {ran:?}");
    let guard = fs::read_to_string(lock::LIVE)?.split(' ').next().context("the guard")?.parse()?;
    Ok((ran, guard))
}

/// Ends a trial, which puts back that there was no device.
fn is_put_back(guest: &Guest, guard: u32) -> Result<()> {
    program("busybox", &["kill", &guard.to_string()])?;
    comes("the way back", || Ok(guest.states()?.is_empty()))?;
    comes("the end", || Ok(dmctl(&["status"])?.stdout.contains("rolled back")))?;
    dmctl(&["confirm"])?;
    Ok(())
}

pub fn memory_is_locked_by_the_limit_of_the_units(guest: &Guest) -> Result<()> {
    guest.needs("crypt")?;
    let (ran, guard) = tried("unlimited")?;
    ensure!(!ran.stderr.contains("locked"), "{ran:?}");
    is_shut(guard)?;
    is_put_back(guest, guard)?;
    // That it can't be is told once, and nothing else comes of it.
    let (ran, guard) = tried("64")?;
    ensure!(ran.stderr.matches("can't be locked (ENOMEM").count() == 1, "{ran:?}");
    ensure!(is_shut(guard).is_err(), "it is locked all the same");
    is_put_back(guest, guard)
}

pub fn a_watch_keeps_no_key(guest: &Guest) -> Result<()> {
    guest.needs("crypt")?;
    let (clear, read, next) = (KEY, other(KEY, 1), other(KEY, 2));
    let path = write_map(&map(&[hex(clear), in_file(&read)?]))?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_dmctl"));
    command.args(["watch", "--json", "--apply", path]).stdin(Stdio::null()).stderr(Stdio::null());
    let watching = Watching::start(command);
    watching.until_rest();
    let counts = || [clear, &read, &next].map(|key| count(watching.pid(), key));
    ensure!(program("dmsetup", &["table", "c0", "--showkeys"])?.contains(clear), "it is applied");
    ensure!(counts() == [0; 3], "after an apply: {:?}", counts());
    // Another map, and the plan is refused: it is drawn again and again.
    write_map(&map(&[hex(&next), in_file(&read)?]))?;
    watching.until_rest();
    ensure!(counts() == [0; 3], "after another map: {:?}", counts());
    watching.end();
    program("dmsetup", &["remove", "c0", "c1"])?;
    Ok(())
}

pub fn a_table_is_kept_once_until_it_is_loaded(guest: &Guest) -> Result<()> {
    guest.needs("crypt")?;
    let held = Lock::acquire(lock::LIVE.as_ref(), Duration::ZERO, "this case")?;
    let table = format!("0 2048 crypt aes-xts-plain64 {KEY} 0 /dev/ram0 0");
    let create = Background::dmctl(&["create", "c", "--table", &table, "--lock-timeout", "1h"])?;
    let path = format!("/proc/{}", create.id());
    comes("the wait", || Ok(fs::read_to_string(format!("{path}/stat"))?.contains(") S ")))?;
    let typed = fs::read_to_string(format!("{path}/cmdline"))?;
    ensure!(typed.contains("--table\0****") && !typed.contains(&KEY[..8]), "{typed}");
    comes("the one copy", || Ok(count(create.id(), KEY) == 1))?;
    drop(held);
    let ran = create.end()?;
    ensure!(ran.status == Some(0), "{ran:?}");
    ensure!(program("dmsetup", &["table", "c", "--showkeys"])?.contains(KEY));
    program("dmsetup", &["remove", "c"])?;
    Ok(())
}
