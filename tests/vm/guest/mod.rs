//! What a case finds in the guest, and the tools to look at it from outside dmctl.

mod disk;
mod files;
mod map;
mod program;
mod udevd;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use dmctl::identity::Name;
use dmctl::kernel::live::{Live, Udev};
use dmctl::kernel::{ChangeKernel, Id, ReadKernel};
use dmctl::table::{Table, parse_table};

pub use disk::{ALIGNMENT, Disk, aligned};
pub use files::{Mounted, private};
pub use map::{State, apply_ends, with_map, write_map};
pub use program::{Background, Ran, dmctl, program};
pub use udevd::{Room, Udevd, WithoutRules, no_semaphores, semaphores};

/// How many ram disks there are (`rd_nr` in `tests/vm/init`).
const DISKS: usize = 8;

/// The guest: its kernel, and disks that nobody uses.
pub struct Guest {
    pub kernel: Live,
    pub disks: Vec<Disk>,
}

impl Guest {
    pub fn enter() -> Result<Self> {
        let kernel = Live::open(Udev::Auto)?;
        let disks = (0..DISKS).map(|n| Disk::open(format!("/dev/ram{n}"))).collect::<Result<_>>()?;
        Ok(Self { kernel, disks })
    }

    /// A new device with this table, active.
    pub fn device(&self, name: &str, table: &str) -> Result<Id> {
        let name = Name::new(name)?;
        self.kernel.create(&name, None)?;
        let id = Id::Name(name);
        self.kernel.load(&id, &rows(table), false)?;
        self.kernel.resume(&id)?;
        Ok(id)
    }

    /// The live table of a device, a row a line.
    pub fn table(&self, id: &Id) -> Result<String> {
        let mapped = self.kernel.device(id, dmctl::kernel::Slot::Live)?.context("no such device")?;
        Ok(mapped.table.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    /// Removes every device, mount and node that a case left, and names them.
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
                // Those that others stand on go in a later round.
                let _ = self.kernel.remove(&Id::Name(listed.name), false);
            }
            if self.kernel.list()?.is_empty() {
                left.extend(sweep_nodes()?);
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

/// A table, as dmsetup writes it.
pub fn rows(table: &str) -> Table {
    parse_table(table).unwrap_or_else(|error| panic!("{table:?}: {error}"))
}

/// A device by its name.
pub fn named(name: &str) -> Id {
    Id::Name(Name::new(name).unwrap_or_else(|error| panic!("{name:?}: {error}")))
}
