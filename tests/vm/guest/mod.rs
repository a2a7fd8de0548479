//! What a case finds in the guest, and the tools to look at it from outside dmctl.

mod disk;
mod files;
mod map;
mod program;
mod udevd;
mod vdo;
mod zoned;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use dmctl::access::Access;
use dmctl::identity::Name;
use dmctl::kernel::live::{Live, Udev};
use dmctl::kernel::{ChangeKernel, Id, ReadKernel, Removal};
use dmctl::table::{Table, parse_table};

use crate::waiting::until;

pub use disk::{ALIGNMENT, Disk, aligned};
pub use files::{Mounted, private};
pub use map::{State, apply_ends, read_map, with_map, write_map, write_map_to};
pub use program::{Background, Ran, dmctl, dmctl_where, program};
pub use udevd::{Room, Udevd, WithoutRules, no_semaphores, semaphore_is_awaited, semaphores};
pub use vdo::format_vdo;
pub use zoned::{SECTORS as ZONED_SECTORS, ZonedDisk};

/// How many ram disks there are (`rd_nr` in `tests/vm/init`).
const DISKS: usize = 8;

/// The major and the minor version of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(pub u32, pub u32);

impl Release {
    fn running() -> Result<Self> {
        let text = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let mut numbers = text.split('.').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(Self(major, minor)),
            _ => bail!("what release is {text}?"),
        }
    }
}

/// Why a case is not performed on this kernel.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Skipped(pub String);

/// The guest: its kernel, and disks that are not in use.
pub struct Guest {
    pub kernel: Live,
    pub release: Release,
    pub disks: Vec<Disk>,
}

impl Guest {
    pub fn enter() -> Result<Self> {
        let kernel = Live::open(Udev::Auto)?;
        let disks = (0..DISKS).map(|n| Disk::open(format!("/dev/ram{n}"))).collect::<Result<_>>()?;
        Ok(Self { kernel, release: Release::running()?, disks })
    }

    /// Whether this kernel has a target.
    pub fn has(&self, target: &str) -> Result<bool> {
        Ok(self.kernel.targets()?.contains_key(target))
    }

    /// Skips the case where this kernel lacks the target it is about.
    pub fn needs(&self, target: &str) -> Result<()> {
        if self.has(target)? { Ok(()) } else { Err(Skipped(format!("this kernel has no {target}")).into()) }
    }

    /// A new device with this table, active.
    pub fn device(&self, name: &str, table: &str) -> Result<Id> {
        let name = Name::new(name)?;
        self.kernel.create(&name, None)?;
        let id = Id::Name(name);
        self.kernel.load(&id, &rows(table), Access::Writable)?;
        self.kernel.resume(&id)?;
        Ok(id)
    }

    /// The live table of a device, a row a line.
    pub fn table(&self, id: &Id) -> Result<String> {
        let mapped = self.kernel.device(id, dmctl::kernel::Slot::Live)?.context("no such device")?;
        Ok(mapped.table.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    /// Blanks the heads of the disks, where metadata is looked for: the kernel then formats what it finds.
    pub fn blank(&self) -> Result<()> {
        self.disks.iter().try_for_each(|disk| disk.fill(0, 128, 0))
    }

    /// Removes every device, mount and node that a case left, and names them. What it wrote is gone as well.
    pub fn clean_up(&self) -> Result<Vec<String>> {
        let mut left = Vec::new();
        for listed in self.kernel.list()? {
            left.push(listed.name.to_string());
            let id = Id::Name(listed.name);
            // Whatever state it is in: an inactive table goes, and held I/O must end before a remove.
            let _ = self.kernel.clear(&id);
            let _ = self.kernel.resume(&id);
        }
        for _ in 0..=left.len() {
            for listed in self.kernel.list()? {
                // A device that another one uses goes in a later round.
                let _ = self.kernel.remove(&Id::Name(listed.name), Removal::Now);
            }
            if self.kernel.list()?.is_empty() {
                left.extend(sweep_nodes()?);
                self.blank()?;
                return Ok(left);
            }
        }
        bail!("devices that can't be removed are left: {}", left.join(", "))
    }
}

/// Empties `/dev/mapper`, but for the control node.
fn sweep_nodes() -> Result<Vec<String>> {
    let mut left = Vec::new();
    for entry in fs::read_dir("/dev/mapper")? {
        let path = entry?.path();
        if path != Path::new("/dev/mapper/control") {
            fs::remove_file(&path)?;
            left.push(path.display().to_string());
        }
    }
    Ok(left)
}

/// Waits for what must come by itself.
pub fn comes(what: &str, is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    ensure!(until(is_so)?, "{what} takes too long");
    Ok(())
}

/// The kernel's `crc32_le`: its caller says what it starts from, and nothing is inverted.
fn crc32(start: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(start, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg()))
    })
}

/// A table, as dmsetup writes it.
pub fn rows(table: &str) -> Table {
    parse_table(table).unwrap_or_else(|error| panic!("{table:?}: {error}"))
}

/// A device by its name.
pub fn named(name: &str) -> Id {
    Id::Name(Name::new(name).unwrap_or_else(|error| panic!("{name:?}: {error}")))
}
