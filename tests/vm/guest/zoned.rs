//! Zoned disks, and the same made ready for dm-zoned, as `dmzadm` does it, for which Debian has no package. The
//! layout is that of the kernel's `drivers/md/dm-zoned-metadata.c`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::disk::Disk;
use super::program::program;

/// Sectors in a block.
const BLOCK: u64 = 8;
/// Sectors in a zone of 4 MiB.
const ZONE: u64 = 8192;
/// The zones of a disk; the first few take writes anywhere.
const ZONES: u64 = 32;
const ANYWHERE: u64 = 8;
/// Zones kept for cleaning up others.
const RESERVED: u64 = 4;
/// Sets of metadata, a zone each.
const SETS: u64 = 2;
/// Zones that hold data.
pub const CHUNKS: u64 = ZONES - SETS - RESERVED;
/// The size of the mapping, in sectors.
pub const SECTORS: u64 = CHUNKS * ZONE;

/// A disk of the kernel's that has zones and keeps what is written to it, until this is dropped.
pub struct ZonedDisk {
    pub disk: Disk,
    settings: PathBuf,
}

impl ZonedDisk {
    /// `name` is one that no other disk has: the node is named like it.
    pub fn new(name: &str) -> Result<Self> {
        let root = Path::new("/sys/kernel/config");
        if !root.join("nullb").is_dir() {
            program("/run/modprobe", &["null_blk", "nr_devices=0"])?;
            program("busybox", &["mount", "-t", "configfs", "none", "/sys/kernel/config"])?;
        }
        let settings = root.join("nullb").join(name);
        fs::create_dir(&settings)?;
        let megabytes = ZONES * ZONE / 2048;
        for (setting, value) in [
            ("size", megabytes),
            ("zone_size", ZONE / 2048),
            ("zone_nr_conv", ANYWHERE),
            ("blocksize", 4096),
            ("memory_backed", 1),
            ("zoned", 1),
            ("power", 1),
        ] {
            fs::write(settings.join(setting), value.to_string())?;
        }
        Ok(Self { disk: Disk::open(Path::new("/dev").join(name))?, settings })
    }

    /// Writes the metadata: no chunk has a zone yet.
    pub fn format(&self) -> Result<()> {
        for set in 0..SETS {
            // The super block, the table of chunks, and a bitmap for each zone.
            let mut blocks = vec![super_block(set)?, vec![0xff; 4096]];
            blocks.resize(blocks.len() + usize::try_from(ZONES)?, vec![0; 4096]);
            self.disk.write(set * ZONE, &blocks.concat())?;
        }
        Ok(())
    }
}

impl Drop for ZonedDisk {
    fn drop(&mut self) {
        // It goes with the guest if it does not go now.
        let _ = fs::write(self.settings.join("power"), "0");
        let _ = fs::remove_dir(&self.settings);
    }
}

fn super_block(set: u64) -> Result<Vec<u8>> {
    const VERSION: u32 = 2;
    const GENERATION: u64 = 1;
    let mut block = Vec::with_capacity(4096);
    block.extend(u32::from_be_bytes(*b"DZBD").to_le_bytes());
    block.extend(VERSION.to_le_bytes());
    block.extend(GENERATION.to_le_bytes());
    block.extend((set * ZONE / BLOCK).to_le_bytes());
    for count in [2 + ZONES, RESERVED, CHUNKS, 1, ZONES] {
        block.extend(u32::try_from(count)?.to_le_bytes());
    }
    let sum = block.len();
    block.extend([0; 4]);
    // A label, and what identifies the mapping and its device.
    block.extend([0; 32]);
    block.extend([1; 16]);
    block.extend([2; 16]);
    block.resize(4096, 0);
    let crc = super::crc32(u32::try_from(GENERATION)?, &block);
    block[sum..sum + 4].copy_from_slice(&crc.to_le_bytes());
    Ok(block)
}
