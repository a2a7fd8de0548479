//! What the programs make that know one target well: LVM, cryptsetup, veritysetup, integritysetup, kpartx.
//!
//! Each row of [`CLIENTS`] is a case. A program makes devices, and data is written to them. dmctl exports them; the program
//! takes them down; dmctl makes them from the map that was exported, with the same tables and the same data, and removes
//! them; and the program brings them up again.

mod keys;
mod programs;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use dmctl::config::{self, Map};
use dmctl::identity::DevNum;
use dmctl::kernel::ReadKernel;

use super::Case;
use crate::guest::{Disk, Guest, Ran, Skipped, dmctl, private, program};
use programs::CLIENTS;

/// The map that is exported, with its keys.
const MAP: &str = "/run/tmp/client.toml";
/// Sectors of a device that are written and compared at most.
const MAX_SECTORS: u64 = 16384;

/// The devices of a program. Its commands are lines of a shell that ends at the first one that fails.
pub struct Client {
    /// The name of the case.
    pub name: &'static str,
    /// The programs that it takes.
    pub programs: &'static [&'static str],
    /// The subsystem that dmctl must know the devices by.
    pub subsystem: &'static str,
    /// The sizes of the loop devices that it takes, from `/dev/loop0` on.
    pub loops: &'static [&'static str],
    /// Makes the devices and brings them up.
    pub make: &'static str,
    /// The devices that the test fills with data.
    pub written: &'static [&'static str],
    /// The devices that hold data already.
    pub read: &'static [&'static str],
    /// The classes that an apply must be allowed; empty where nothing is written but what was there.
    pub allow: &'static str,
    /// Takes the devices down.
    pub down: &'static str,
    /// Brings them up again.
    pub up: &'static str,
    /// The files of keys in keyrings that the rows name: what a user would put there.
    pub keyring: &'static [(&'static str, &'static str)],
}

impl Client {
    /// A program that makes nothing.
    const NONE: Self = Self {
        name: "",
        programs: &[],
        subsystem: "",
        loops: &[],
        make: "",
        written: &[],
        read: &[],
        allow: "",
        down: "",
        up: "",
        keyring: &[],
    };
}

/// Every program, as a case.
pub fn all() -> impl Iterator<Item = Case> {
    CLIENTS.iter().map(|client| Case { name: client.name, run: Box::new(move |guest| run(guest, client)) })
}

fn run(guest: &Guest, client: &Client) -> Result<()> {
    needs(client)?;
    let _loops = Loops::new(client.loops)?;
    shell(client.make)?;
    for (seed, volume) in (1..).zip(client.written) {
        write(&Disk::mapping(volume)?, seed)?;
    }
    let before = Seen::of(guest, client)?;
    others_are_left_alone(client, &before)?;

    let map = export(guest, &before)?;
    nothing_to_do()?;
    shell(client.down)?;
    ensure!(guest.kernel.list()?.is_empty(), "{} leaves {:?}", client.programs[0], guest.kernel.list()?);

    keys::fill_keyrings(client, &map)?;
    let allowed: &[&str] = if client.allow.is_empty() { &[] } else { &["--allow", client.allow] };
    done(&dmctl(&[&["apply", MAP], allowed].concat())?)?;
    before.same(&Seen::of(guest, client)?).context("made by dmctl")?;
    nothing_to_do()?;
    done(&dmctl(&["deactivate", MAP, "--allow", "loss"])?)?;
    ensure!(guest.kernel.list()?.is_empty(), "dmctl leaves {:?}", guest.kernel.list()?);

    shell(client.up)?;
    before.same(&Seen::of(guest, client)?).context("brought up again")?;
    shell(client.down)
}

/// Skips the case where a program is missing; where every test is to run, that is a failure.
fn needs(client: &Client) -> Result<()> {
    let folders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
    let is_missing = |name: &&&str| !folders.iter().any(|folder| Path::new(folder).join(name).exists());
    let missing: Vec<&str> = client.programs.iter().filter(is_missing).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let says = format!("not installed: {}; `make setup` installs what it takes", missing.join(", "));
    if std::env::var_os("CI").is_some() {
        bail!(says);
    }
    Err(Skipped(says).into())
}

fn shell(script: &str) -> Result<()> {
    program("busybox", &["sh", "-ec", &format!("cd /run/tmp\nexport LVM_SYSTEM_DIR=/run/tmp/lvm\n{script}")])
        .map(drop)
}

fn done(ran: &Ran) -> Result<()> {
    ensure!(ran.status == Some(0), "{ran:?}");
    Ok(())
}

fn nothing_to_do() -> Result<()> {
    let plan = dmctl(&["plan", MAP, "--detailed-exitcode"])?;
    ensure!(plan.status == Some(0) && plan.stdout.contains("Nothing to do."), "{plan:?}");
    Ok(())
}

/// Fills the first sectors of a device with bytes that differ from sector to sector.
fn write(disk: &Disk, seed: u64) -> Result<()> {
    let mut state = seed;
    let mut next = || {
        // A step of a linear congruential generator: every sector gets other bytes.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_le_bytes()
    };
    let count = usize::try_from(sectors(disk)?.min(MAX_SECTORS))?;
    let bytes: Vec<u8> = (0..count * 64).flat_map(|_| next()).collect();
    disk.write(0, &bytes)
}

fn sectors(disk: &Disk) -> Result<u64> {
    let size = fs::read_to_string(format!("/sys/dev/block/{}/size", disk.number))?;
    Ok(size.trim().parse()?)
}

/// The devices of a program: their tables, and the data of its volumes.
struct Seen {
    /// By name: the uuid, and each row, in which a lower device that is mapped stands by its name.
    tables: BTreeMap<String, String>,
    /// By name.
    data: BTreeMap<&'static str, Vec<u8>>,
}

impl Seen {
    fn of(guest: &Guest, client: &Client) -> Result<Self> {
        let states = guest.states()?;
        let names: BTreeMap<DevNum, String> =
            states.iter().map(|(info, ..)| (info.number, info.name.to_string())).collect();
        let by_name = |word: &str| {
            let number = DevNum::parse(word).and_then(|number| names.get(&number));
            number.map_or(word.to_string(), |name| format!("<{name}>"))
        };
        let tables = states.iter().map(|(info, live, inactive)| {
            let words: Vec<String> = live.split(' ').map(by_name).collect();
            let uuid = info.uuid.as_ref().map(ToString::to_string).unwrap_or_default();
            let shown = format!("{uuid}\n{}\n{inactive}", words.join(" "));
            (info.name.plain().into_owned(), shown.trim_end().to_string())
        });
        let mut data = BTreeMap::new();
        for volume in client.written.iter().chain(client.read) {
            let disk = Disk::mapping(volume)?;
            let count = usize::try_from(sectors(&disk)?.min(MAX_SECTORS))?;
            data.insert(*volume, disk.read(0, count).with_context(|| format!("read {volume}"))?);
        }
        Ok(Self { tables: tables.collect(), data })
    }

    fn same(&self, now: &Self) -> Result<()> {
        for (name, table) in &self.tables {
            let other = now.tables.get(name).with_context(|| format!("{name} is not there"))?;
            ensure!(table == other, "{name}: {table}\nis now {other}");
        }
        ensure!(self.tables.len() == now.tables.len(), "more devices than before: {:?}", now.tables.keys());
        for (name, bytes) in &self.data {
            let differs =
                bytes.chunks(512).zip(now.data[name].chunks(512)).position(|(one, other)| one != other);
            ensure!(differs.is_none(), "{name}: other data from sector {differs:?} on");
        }
        Ok(())
    }
}

/// Devices of another subsystem are left out of an export that does not name them, and are not changed unasked.
fn others_are_left_alone(client: &Client, seen: &Seen) -> Result<()> {
    let export = dmctl(&["export"])?;
    for name in seen.tables.keys() {
        let says = format!("a device of {}; name it", client.subsystem);
        let told =
            export.stdout.lines().any(|line| line.contains(&format!(" {name} (")) && line.contains(&says));
        ensure!(told, "{name} is not left out: {export:?}");
    }
    let top = client.written.iter().chain(client.read).next().context("no volume")?;
    let removed = dmctl(&["remove", top])?;
    ensure!(removed.status == Some(3) && removed.stderr.contains("--foreign"), "{removed:?}");
    Ok(())
}

/// Exports the devices by their names, and fills in the files of keys.
fn export(guest: &Guest, seen: &Seen) -> Result<Map> {
    let names: Vec<&str> = seen.tables.keys().map(String::as_str).collect();
    let export = dmctl(&[&["export"], names.as_slice()].concat())?;
    done(&export)?;
    ensure!(!export.stdout.contains("Left out"), "{export:?}");
    let text = export.stdout.replace(keys::FOLDER, keys::HERE);
    private(MAP, text.as_bytes())?;
    let loaded = config::parse_str("the export", &text);
    let map = loaded.map.with_context(|| text.clone())?;
    keys::fill_files(guest, &map)?;
    Ok(map)
}

/// Loop devices over files that are gone afterwards.
struct Loops(usize);

impl Loops {
    fn new(sizes: &[&str]) -> Result<Self> {
        for (n, size) in sizes.iter().enumerate() {
            program("busybox", &["truncate", "-s", size, &format!("/run/tmp/client{n}")])?;
            program("losetup", &[&format!("/dev/loop{n}"), &format!("/run/tmp/client{n}")])?;
        }
        Ok(Self(sizes.len()))
    }
}

impl Drop for Loops {
    fn drop(&mut self) {
        for n in 0..self.0 {
            // A device that has it open lets go of it in the clean-up, and then it is detached.
            let _ = program("losetup", &["--detach", &format!("/dev/loop{n}")]);
            let _ = fs::remove_file(format!("/run/tmp/client{n}"));
        }
    }
}
