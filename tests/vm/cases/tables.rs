//! Tables, as they are loaded and as they come back.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use dmctl::access::Access;
use dmctl::kernel::{ChangeKernel, ReadKernel, Removal, Slot, Version};
use dmctl::table::{RawRow, sectors};

use crate::guest::{Disk, Guest, Release, rows};

pub fn every_type_this_kernel_has_is_listed(guest: &Guest) -> Result<()> {
    ensure!(guest.kernel.version()? >= Version(4, 40, 0));
    let types = guest.kernel.targets()?;
    let everywhere = ["linear", "striped", "error", "zero", "crypt", "thin-pool", "verity", "raid", "cache"];
    // No case that needs one of these may be skipped for want of it.
    let here = if guest.release < Release(6, 12) { ["clone", "dust"] } else { ["vdo", "zoned"] };
    for name in everywhere.iter().chain(&here) {
        ensure!(types.contains_key(*name), "{name} is not in {types:?}");
    }
    Ok(())
}

pub fn keys_are_read_back_whole(guest: &Guest) -> Result<()> {
    let key = "0123456789abcdef".repeat(4);
    let params = format!("aes-xts-plain64 {key} 0 {} 0", guest.disks[0].number);
    let id = guest.device("vault", &format!("0 2048 crypt {params}"))?;
    let mapped = guest.kernel.device(&id, Slot::Live)?.context("no such device")?;
    ensure!(mapped.table[0].params() == params, "the key does not come back as it was loaded");

    let vault = Disk::mapping("vault")?;
    vault.fill(0, 8, 0x11)?;
    ensure!(vault.read(0, 8)? == [0x11; 4096]);
    ensure!(guest.disks[0].read(0, 8)? != [0x11; 4096], "nothing was encrypted");
    guest.kernel.remove(&id, Removal::Now)?;
    Ok(())
}

pub fn a_read_only_table_makes_a_read_only_device(guest: &Guest) -> Result<()> {
    let id = guest.device("ro", &format!("0 1024 linear {} 0", guest.disks[0].number))?;
    let table = rows(&format!("0 2048 linear {} 0", guest.disks[0].number));
    guest.kernel.load(&id, &table, Access::ReadOnly)?;
    let read_only = |slot| -> Result<bool> {
        Ok(guest.kernel.device(&id, slot)?.context("no such device")?.info.read_only)
    };
    ensure!(!read_only(Slot::Live)? && read_only(Slot::Inactive)?);
    guest.kernel.resume(&id)?;
    ensure!(read_only(Slot::Live)?);
    let number = Disk::mapping("ro")?.number;
    let block = guest.kernel.block_device(number)?.context("no block device")?;
    ensure!(block.read_only && block.sectors == 2048, "{block:?}");
    ensure!(Disk::mapping("ro")?.fill(0, 8, 0).is_err(), "a read-only device was written to");
    guest.kernel.load(&id, &table, Access::Writable)?;
    guest.kernel.resume(&id)?;
    ensure!(!read_only(Slot::Live)?);
    Disk::mapping("ro")?.fill(0, 8, 0)?;
    guest.kernel.remove(&id, Removal::Now)?;
    Ok(())
}

pub fn three_thousand_rows_come_back(guest: &Guest) -> Result<()> {
    // More than fits into the buffer an answer gets at first, several times over.
    let mut text = String::new();
    for n in 0..3000 {
        let disk = &guest.disks[n % 2];
        writeln!(text, "{} 8 linear {} {}", n * 8, disk.number, (3000 - n) * 8)?;
    }
    let id = guest.device("many", &text)?;
    let mapped = guest.kernel.device(&id, Slot::Live)?.context("no such device")?;
    ensure!(*mapped.table == *rows(&text));
    ensure!(mapped.info.target_count == 3000 && sectors(&mapped.table) == 24000);
    guest.kernel.remove(&id, Removal::Now)?;
    Ok(())
}

pub fn both_slots_are_told_apart(guest: &Guest) -> Result<()> {
    let id = guest.device("two", "0 8 zero")?;
    guest.kernel.load(&id, &rows("0 8 zero\n8 8 error"), Access::Writable)?;
    let live = guest.kernel.device(&id, Slot::Live)?.context("no such device")?;
    let inactive = guest.kernel.device(&id, Slot::Inactive)?.context("no such device")?;
    ensure!(*live.table == *rows("0 8 zero"));
    ensure!(*inactive.table == *rows("0 8 zero\n8 8 error"));
    ensure!(live.info.live_table && live.info.inactive_table);
    ensure!(inactive.info.live_table && inactive.info.inactive_table);
    guest.kernel.clear(&id)?;
    let empty = guest.kernel.device(&id, Slot::Inactive)?.context("no such device")?;
    ensure!(empty.table.is_empty() && !empty.info.inactive_table);
    guest.kernel.remove(&id, Removal::Now)?;
    Ok(())
}

pub fn backslashes_mean_themselves(guest: &Guest) -> Result<()> {
    // A target that resolves its words as paths: a mangled name must reach it as it stands.
    let lower = guest.device("a blank", "0 8 zero")?;
    let row = RawRow::new(0, 8, "linear", "/dev/mapper/a\\x20blank 0".to_string());
    let upper = guest.device("upper", "0 8 zero")?;
    guest.kernel.load(&upper, &[row], Access::Writable)?;
    guest.kernel.resume(&upper)?;
    let number = guest.kernel.device(&lower, Slot::Live)?.context("no such device")?.info.number;
    ensure!(guest.table(&upper)? == format!("0 8 linear {number} 0"));
    guest.kernel.remove(&upper, Removal::Now)?;
    guest.kernel.remove(&lower, Removal::Now)?;
    Ok(())
}
