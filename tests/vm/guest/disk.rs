//! Block devices, read and written past the page cache.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use dmctl::access::Access;
use dmctl::identity::DevNum;
use dmctl::units::SECTOR;
use nix::libc;
use nix::sys::stat::{major, minor};

/// Where direct I/O wants its memory.
pub const ALIGNMENT: usize = 4096;
/// The most sectors of one call of direct I/O.
const PIECE: usize = 2048;
const SECTOR_LENGTH: usize = 512;

/// A block device.
#[derive(Debug, Clone)]
pub struct Disk {
    pub path: PathBuf,
    pub number: DevNum,
}

impl Disk {
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let metadata = path.metadata().with_context(|| path.display().to_string())?;
        ensure!(metadata.file_type().is_block_device(), "{} is not a block device", path.display());
        let rdev = metadata.rdev();
        let number = DevNum::new(u32::try_from(major(rdev))?, u32::try_from(minor(rdev))?);
        Ok(Self { path, number })
    }

    /// The device of a mapping, by the node that dmctl made.
    pub fn mapping(name: &str) -> Result<Self> {
        Self::open(Path::new("/dev/mapper").join(name))
    }

    /// `count` sectors from `sector` on.
    pub fn read(&self, sector: u64, count: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(count * SECTOR_LENGTH);
        let file = self.direct(Access::ReadOnly)?;
        while bytes.len() < count * SECTOR_LENGTH {
            let length = (count * SECTOR_LENGTH - bytes.len()).min(PIECE * SECTOR_LENGTH);
            let mut memory = vec![0; length + ALIGNMENT];
            let piece = aligned(&mut memory, length);
            file.read_exact_at(piece, sector * SECTOR + u64::try_from(bytes.len())?)?;
            bytes.extend_from_slice(piece);
        }
        Ok(bytes)
    }

    /// Writes whole sectors from `sector` on.
    pub fn write(&self, sector: u64, bytes: &[u8]) -> Result<()> {
        let file = self.direct(Access::Writable)?;
        for (n, piece) in bytes.chunks(PIECE * SECTOR_LENGTH).enumerate() {
            let mut memory = vec![0; piece.len() + ALIGNMENT];
            let buffer = aligned(&mut memory, piece.len());
            buffer.copy_from_slice(piece);
            file.write_all_at(buffer, (sector + u64::try_from(n * PIECE)?) * SECTOR)?;
        }
        Ok(())
    }

    /// Fills `count` sectors from `sector` on with `byte`.
    pub fn fill(&self, sector: u64, count: usize, byte: u8) -> Result<()> {
        self.write(sector, &vec![byte; count * SECTOR_LENGTH])
    }

    /// Opens it for direct I/O: what is read and written goes past the page cache, in [`aligned`] memory.
    pub fn direct(&self, access: Access) -> Result<File> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(access == Access::Writable).custom_flags(libc::O_DIRECT);
        options.open(&self.path).with_context(|| self.path.display().to_string())
    }
}

/// The first `length` bytes of `memory` that direct I/O can use. `memory` must be [`ALIGNMENT`] bytes longer.
pub fn aligned(memory: &mut [u8], length: usize) -> &mut [u8] {
    let start = memory.as_ptr().align_offset(ALIGNMENT);
    &mut memory[start..start + length]
}
