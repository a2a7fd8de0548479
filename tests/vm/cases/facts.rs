//! The facts that the simulated kernel is held to, on a real one.

use anyhow::{Context, Result, anyhow};
use dmctl::kernel::ReadKernel;

use super::Case;
use crate::guest::Guest;
use crate::kernel_cases::{self, Disk, Disks};

/// Every fact, as a case of this kernel.
pub fn all() -> impl Iterator<Item = Case> {
    kernel_cases::all().into_iter().map(|(name, fact)| Case {
        name,
        run: Box::new(move |guest| fact(&guest.kernel, &disks(guest)?).map_err(|says| anyhow!(says))),
    })
}

/// The first three disks of the guest.
fn disks(guest: &Guest) -> Result<Disks> {
    let disk = |disk: &crate::guest::Disk| {
        let path = disk.path.display().to_string();
        let sectors = guest.kernel.block_device(disk.number)?.with_context(|| path.clone())?.sectors;
        Ok(Disk { number: disk.number, path, sectors })
    };
    let disks = guest.disks.iter().take(3).map(disk).collect::<Result<_>>()?;
    Ok(Disks { disks })
}
