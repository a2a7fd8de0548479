//! Joins two disks to one device, shows its table, and takes it apart again.
//!
//! On a simulated kernel, without root:
//!
//! ```text
//! dmctl simulate lab.json --disk /dev/sda=10GiB --disk /dev/sdb=4GiB
//! cargo run --example two_disks -- lab.json /dev/sda /dev/sdb
//! ```
//!
//! With `live` in place of the file it does the same on the running kernel, which needs root. What is stored
//! on the disks is not touched.

use std::env;
use std::error::Error;
use std::path::Path;

use dmctl::device::Device;
use dmctl::identity::Name;
use dmctl::kernel::live::{Live, Udev};
use dmctl::kernel::simulated::Simulated;
use dmctl::kernel::{ChangeKernel, ReadKernel, Slot};
use dmctl::ops::{self, CreateOptions, RemoveOptions};
use dmctl::table::{RawRow, Table};
use dmctl::units::Sectors;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [kernel, disks @ ..] = args.as_slice() else {
        return Err("write the kernel, `live` or a STATE.json, and the disks to join".into());
    };
    if kernel == "live" {
        return join(&Live::open(Udev::Auto)?, disks);
    }
    let kernel = Simulated::open(Path::new(kernel))?;
    join(&kernel, disks)?;
    Ok(kernel.save()?)
}

/// What is there before, the joined device, and its end.
fn join(kernel: &dyn ChangeKernel, disks: &[String]) -> Result<(), Box<dyn Error>> {
    for device in ops::list(kernel)? {
        println!("there is {} ({})", device.name, device.number);
    }
    let name = Name::new("joined")?;
    let created = ops::create(kernel, &name, &rows(kernel, disks)?, CreateOptions::default())?;
    println!("created {name} ({}) with uuid {}", created.number, created.uuid);

    let table = ops::table(kernel, &name, Slot::Live)?;
    for row in &table {
        println!("    {row}");
    }
    println!("{name} has {}", Sectors(dmctl::table::sectors(&table)).human());

    ops::remove(kernel, &name, RemoveOptions::default())?;
    println!("removed {name}");
    Ok(())
}

/// A row a disk, all of it, one behind the other.
fn rows(kernel: &dyn ReadKernel, disks: &[String]) -> Result<Table, Box<dyn Error>> {
    let mut table = Table::new();
    for disk in disks {
        let number = kernel.resolve(&Device::parse(disk)?)?;
        let found = number.map(|number| kernel.block_device(number)).transpose()?.flatten();
        let length = found.ok_or_else(|| format!("there is no block device {disk}"))?.sectors;
        table.push(RawRow::new(dmctl::table::sectors(&table), length, "linear", format!("{disk} 0")));
    }
    Ok(table)
}
