//! Logical blocks that grow under what lives, and rows that do not fit them.

use std::fs;

use anyhow::{Result, ensure};
use dmctl::kernel::{ChangeKernel, ReadKernel, Removal};

use crate::guest::{Disk, Guest, Mounted, apply_ends, program};

/// A disk of 32 MiB with blocks of 4096 bytes: a loop device. It goes with the case.
struct LargeBlocks {
    disk: Disk,
}

impl LargeBlocks {
    const IMAGE: &str = "/run/tmp/large-blocks.img";

    fn new() -> Result<Self> {
        fs::File::create(Self::IMAGE)?.set_len(32 << 20)?;
        let arguments = ["--find", "--show", "--sector-size", "4096", Self::IMAGE];
        Ok(Self { disk: Disk::open(program("losetup", &arguments)?.trim())? })
    }

    fn path(&self) -> String {
        self.disk.path.display().to_string()
    }
}

impl Drop for LargeBlocks {
    fn drop(&mut self) {
        // What a failed case left on it keeps it until it is swept.
        let _ = program("losetup", &["--detach", &self.path()]);
        let _ = fs::remove_file(Self::IMAGE);
    }
}

const SMALL: &str = r#"
    [mappings.vol]
    targets = [{ type = "linear", length = 65536, device = "/dev/ram0" }]"#;

/// The map with the large blocks behind the small ones.
fn grown(large: &LargeBlocks) -> String {
    SMALL.replace("}]", &format!("}}, {{ type = \"linear\", device = \"{}\" }}]", large.path()))
}

fn gone(guest: &Guest, keys: &[&str]) -> Result<()> {
    let absent: Vec<String> = keys.iter().map(|key| format!("mappings.{key}.state = \"absent\"")).collect();
    // A cache may hold writes, which no longer matter.
    guest.apply(&absent.join("\n"), &["--allow", "loss"])
}

fn block_size(guest: &Guest, name: &str) -> Result<u32> {
    let number = Disk::mapping(name)?.number;
    Ok(guest.kernel.block_device(number)?.map_or(0, |block| block.logical_block_size))
}

/// Makes a file system with blocks of this size on a mapping, and mounts it.
fn mounted(name: &str, block: &str, at: &str) -> Result<Mounted> {
    let node = format!("/dev/mapper/{name}");
    program("mke2fs", &["-q", "-F", "-t", "ext4", "-b", block, &node, "16M"])?;
    Mounted::of(&node, "ext4", at)
}

pub fn small_blocks_are_not_given_up(guest: &Guest) -> Result<()> {
    let large = LargeBlocks::new()?;
    guest.apply(SMALL, &[])?;
    let small = mounted("vol", "1024", "/run/tmp/small")?;
    fs::write(small.file("a"), "one")?;
    let refused = guest.refused(&grown(&large), &["--allow", "remap"], 1)?;
    let told = "mounted on /run/tmp/small, as ext with blocks of 1024 bytes";
    ensure!(refused.stderr.contains(told) || refused.stdout.contains(told), "{refused:?}");
    fs::write(small.file("b"), "two")?;
    program("sync", &[])?;
    ensure!(fs::read_to_string(small.file("b"))? == "two");
    drop(small);
    // Nothing is mounted now: a word is enough.
    guest.refused(&grown(&large), &[], 3)?;
    apply_ends(&grown(&large), &["--allow", "remap"], 0)?;
    ensure!(block_size(guest, "vol")? == 4096);
    gone(guest, &["vol"])
}

pub fn large_blocks_live_on(guest: &Guest) -> Result<()> {
    let large = LargeBlocks::new()?;
    guest.apply(SMALL, &[])?;
    let fine = mounted("vol", "4096", "/run/tmp/large")?;
    fs::write(fine.file("a"), "one")?;
    let refused = guest.refused(&grown(&large), &[], 3)?;
    let told = "logical block size 512 -> 4096";
    ensure!(refused.stderr.contains(told) || refused.stdout.contains(told), "{refused:?}");
    apply_ends(&grown(&large), &["--allow", "remap"], 0)?;
    guest.in_sync(&grown(&large))?;
    fs::write(fine.file("b"), "two")?;
    program("sync", &[])?;
    ensure!(fs::read_to_string(fine.file("a"))? == "one" && fs::read_to_string(fine.file("b"))? == "two");
    drop(fine);
    let again = Mounted::of("/dev/mapper/vol", "ext4", "/run/tmp/large")?;
    ensure!(fs::read_to_string(again.file("b"))? == "two");
    drop(again);
    gone(guest, &["vol"])
}

pub fn small_blocks_above_count(guest: &Guest) -> Result<()> {
    let large = LargeBlocks::new()?;
    guest.apply(SMALL, &[])?;
    let number = Disk::mapping("vol")?.number;
    let foreign = guest.device("foreign", &format!("0 40960 linear {number} 0"))?;
    let small = mounted("foreign", "1024", "/run/tmp/small")?;
    let refused = guest.refused(&grown(&large), &["--allow", "remap"], 1)?;
    let told = "foreign is mounted on /run/tmp/small";
    ensure!(refused.stderr.contains(told) || refused.stdout.contains(told), "{refused:?}");
    drop(small);
    apply_ends(&grown(&large), &["--allow", "remap"], 0)?;
    // The kernel gives it the larger blocks with its next table, and not before.
    ensure!(block_size(guest, "foreign")? == 512);
    guest.kernel.remove(&foreign, Removal::Now)?;
    gone(guest, &["vol"])
}

pub fn swap_is_used_by_the_page(guest: &Guest) -> Result<()> {
    let large = LargeBlocks::new()?;
    guest.apply(SMALL, &[])?;
    program("mkswap", &["/dev/mapper/vol"])?;
    program("swapon", &["/dev/mapper/vol"])?;
    let refused = guest.refused(&grown(&large), &[], 3);
    let grown = apply_ends(&grown(&large), &["--allow", "remap"], 0);
    program("swapoff", &["/dev/mapper/vol"])?;
    refused?;
    grown?;
    gone(guest, &["vol"])
}

pub fn a_target_with_large_blocks_is_told(guest: &Guest) -> Result<()> {
    let cached = r#"
        [mappings.vol]
        targets = [{ type = "writecache", length = 65536, mode = "ssd", origin = "/dev/ram0", cache = "/dev/ram1", block_size = 4096 }]"#;
    guest.blank()?;
    guest.apply(SMALL, &[])?;
    let small = mounted("vol", "1024", "/run/tmp/small")?;
    guest.refused(cached, &["--allow", "format"], 1)?;
    drop(small);
    let refused = guest.refused(cached, &[], 3)?;
    let told = "logical block size 512 -> 4096";
    ensure!(refused.stderr.contains(told) || refused.stdout.contains(told), "{refused:?}");
    apply_ends(cached, &["--allow", "format"], 0)?;
    ensure!(block_size(guest, "vol")? == 4096);
    gone(guest, &["vol"])
}

pub fn rows_that_the_kernel_refuses_are_conflicts(guest: &Guest) -> Result<()> {
    let large = LargeBlocks::new()?;
    let path = large.path();
    let crypt = |offset: u64| {
        format!(
            "{{ type = \"crypt\", length = 800, params = \"cipher_null-ecb - 0 /dev/ram0 {offset} 1 sector_size:4096\" }}"
        )
    };
    let linear = |device: &str, length: u64, offset: u64| {
        format!("{{ type = \"linear\", length = {length}, device = \"{device}\", offset = {offset} }}")
    };
    let map = |rows: &[String]| format!("[mappings.a]\ntargets = [{}]\n", rows.join(", "));
    let upper = |row: String| format!("[mappings.b]\ntargets = [{row}]\n");
    for wrong in [
        map(&[crypt(7)]),
        map(&[crypt(0)]) + &upper(linear("@a", 64, 63)),
        map(&[linear(&path, 800, 0), linear("/dev/ram1", 63, 0)]),
        map(&[linear("/dev/ram1", 63, 0), linear(&path, 800, 0)]),
        map(&[linear(&path, 64, 4)]),
    ] {
        guest.refused(&wrong, &[], 1)?;
    }
    let across = map(&[linear("/dev/ram1", 63, 0), linear("/dev/ram1", 65, 128), linear(&path, 800, 0)]);
    for right in [across, map(&[crypt(8)]) + &upper(linear("@a", 64, 64))] {
        guest.apply(&right, &[])?;
        guest.in_sync(&right)?;
        let keys: &[&str] = if right.contains("mappings.b") { &["a", "b"] } else { &["a"] };
        gone(guest, keys)?;
    }
    Ok(())
}
