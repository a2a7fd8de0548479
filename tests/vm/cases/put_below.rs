//! A layer that copies is put below a device that is being written: what was under way is in the copy, too.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::guest::{Disk, Guest, apply_ends, comes};

/// The sector that is written while the layer is put below, far behind the first region.
const SECTOR: u64 = 2400;

const NOTHING: &str = "[policy]\nprune = true\n[mappings]";

/// A disk that is slow to write.
const SLOW: &str = "[mappings.d]\ntargets = [{ type = 'delay', length = 16384, read = { device = '/dev/ram0', delay = 0 }, \
                    write = { device = '/dev/ram0', delay = 2000 } }]\n";

const MIRROR: &str = "{ type = 'mirror', length = 16384, log = { type = 'core', region_size = 1024 }, \
                      legs = [{ device = '@d' }, { device = '/dev/ram1' }] }";

const CLONE: &str = "{ type = 'clone', length = 16384, metadata = '/dev/ram2', destination = '/dev/ram1', source = '@d', \
                     region_size = 8, hydration_threshold = 64, hydration_batch_size = 16 }";

const ARRAY: &str = "{ type = 'raid', level = 'raid1', length = 16384, devices = [{ data = '@d', metadata = '/dev/ram2' }, \
                     { data = '/dev/ram1', metadata = '/dev/ram3' }] }";

fn linear(name: &str, below: &str) -> String {
    format!("[mappings.{name}]\ntargets = [{{ type = 'linear', length = 16384, device = '{below}' }}]\n")
}

fn layer(targets: &str) -> String {
    format!("[mappings.y]\ntargets = [{targets}]\n")
}

/// Writes through `x` while another map is applied, and looks for the write in `x` and on the disk of the copy.
fn is_copied(guest: &Guest, before: &str, after: &str) -> Result<()> {
    guest.blank()?;
    guest.apply(before, &[])?;
    let writer = thread::spawn(|| Disk::mapping("x")?.fill(SECTOR, 8, 0x5a));
    thread::sleep(Duration::from_millis(500));
    // What copies goes on by itself, so the state is not compared.
    apply_ends(after, &["--allow", "format,remap"], 0)?;
    writer.join().ok().context("the writer panicked")??;
    ensure!(!guest.state("x")?.0.suspended);
    ensure!(Disk::mapping("x")?.read(SECTOR, 8)? == [0x5a; 4096], "x lacks the write");
    let copy = Disk::open("/dev/ram1")?;
    comes("the write in the copy", || Ok(copy.read(SECTOR, 8)? == [0x5a; 4096]))?;
    drop(copy);
    apply_ends(NOTHING, &["--allow", "loss,remap"], 0)?;
    Ok(())
}

fn below(guest: &Guest, targets: &str) -> Result<()> {
    let before = [SLOW, &linear("x", "@d")].concat();
    is_copied(guest, &before, &[SLOW, &linear("x", "@y"), &layer(targets)].concat())
}

pub fn a_write_under_way_is_in_what_a_mirror_copies(guest: &Guest) -> Result<()> {
    below(guest, MIRROR)
}

pub fn a_write_under_way_is_in_what_a_clone_copies(guest: &Guest) -> Result<()> {
    guest.needs("clone")?;
    below(guest, CLONE)
}

pub fn a_write_under_way_is_in_what_an_array_copies(guest: &Guest) -> Result<()> {
    below(guest, ARRAY)
}

pub fn a_write_under_way_two_levels_up_is_in_the_copy(guest: &Guest) -> Result<()> {
    let before = [SLOW, &linear("z", "@d"), &linear("x", "@z")].concat();
    let after = [SLOW, &linear("z", "@y"), &linear("x", "@z"), &layer(MIRROR)].concat();
    is_copied(guest, &before, &after)
}
