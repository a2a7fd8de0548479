//! Who is measured: each does the same to the same devices, in its own way.

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// The map that dmctl is given.
const MAP: &str = "/run/tmp/bench.toml";
/// Sectors of each device.
const LENGTH: usize = 8;

/// What is done to all devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Create,
    Reload,
    Remove,
}

impl Deed {
    pub const ALL: [Self; 3] = [Self::Create, Self::Reload, Self::Remove];

    /// The sector from which on the first device is.
    fn offset(self) -> usize {
        if self == Self::Reload { LENGTH } else { 0 }
    }
}

/// Who does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contender<'p> {
    /// The dmctl at this path.
    Dmctl(&'p str),
    /// The C program at this path.
    Ioctls(&'p str),
    Dmsetup,
}

impl Contender<'_> {
    /// Does something to this many devices, and says how long that took; none where it has no way to.
    pub fn time(self, deed: Deed, count: usize) -> Result<Option<Duration>> {
        let (count_word, offset) = (count.to_string(), deed.offset());
        let names: Vec<String> = (0..count).map(|index| format!("d{index}")).collect();
        match (self, deed) {
            (Self::Dmctl(program), _) => {
                fs::write(MAP, map(if deed == Deed::Remove { 0 } else { count }, offset))?;
                apply(program)
            }
            (Self::Ioctls(program), _) => {
                let word = match deed {
                    Deed::Create => "create",
                    Deed::Reload => "reload",
                    Deed::Remove => "remove",
                };
                run(Command::new(program).args([word, &count_word, &offset.to_string()]))
            }
            (Self::Dmsetup, Deed::Create) => run(dmsetup("create").args(["--concise", &concise(count)])),
            (Self::Dmsetup, Deed::Remove) => run(dmsetup("remove").args(names)),
            // It takes one device at a time.
            (Self::Dmsetup, Deed::Reload) => return Ok(None),
        }
        .map(Some)
    }

    /// Gives the only device, `d0`, a table that begins at another sector.
    pub fn shift(self, offset: usize) -> Result<()> {
        match self {
            Self::Dmctl(program) => {
                fs::write(MAP, map(1, offset))?;
                apply(program)
            }
            Self::Ioctls(program) => run(Command::new(program).args(["shift", "d0", &offset.to_string()])),
            // As scripts do it.
            Self::Dmsetup => {
                let table = format!("0 {LENGTH} linear 1:0 {offset}");
                run(dmsetup("suspend").arg("d0"))?;
                run(dmsetup("reload").args(["d0", "--table", &table]))?;
                run(dmsetup("resume").arg("d0"))
            }
        }
        .map(drop)
    }
}

/// What dmctl is to make true.
fn map(count: usize, offset: usize) -> String {
    let head = "format = 1\nowner = \"bench\"\n[policy]\nprune = true\n[mappings]\n".to_string();
    (0..count).fold(head, |mut text, index| {
        let at = offset + index * LENGTH;
        let _ = writeln!(
            text,
            "[mappings.d{index}]\ntargets = [{{ type = \"linear\", length = {LENGTH}, device = \"/dev/ram0\", offset = {at} }}]"
        );
        text
    })
}

/// The same in one line of dmsetup's.
fn concise(count: usize) -> String {
    let one = |index: usize| format!("d{index},BENCH-d{index},,rw,0 {LENGTH} linear 1:0 {}", index * LENGTH);
    (0..count).map(one).collect::<Vec<_>>().join(";")
}

fn apply(program: &str) -> Result<Duration> {
    run(Command::new(program).args(["apply", MAP, "--allow", "remap"]))
}

/// dmsetup, without the udev that does not run here.
fn dmsetup(verb: &str) -> Command {
    let mut dmsetup = Command::new("dmsetup");
    dmsetup.arg(verb).env("DM_DISABLE_UDEV", "1");
    dmsetup
}

/// Runs a program that must succeed, and says how long that took.
fn run(command: &mut Command) -> Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status().with_context(|| format!("start {}", command.get_program().display()))?;
    let took = start.elapsed();
    ensure!(status.success(), "{}: {status}", command.get_program().display());
    Ok(took)
}
