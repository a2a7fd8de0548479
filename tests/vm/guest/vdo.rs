//! A device made ready for vdo, as `vdoformat` does it, for which Debian has no package. The layout is that of
//! the kernel's `drivers/md/dm-vdo/encodings.h`.

use anyhow::{Result, ensure};

use super::disk::Disk;

/// Sectors in a block.
const BLOCK: u64 = 8;
/// The index is left out: volumes with `deduplication off` do not open it.
const INDEX_START: u64 = 1;
/// Where the super block is; what the volume keeps comes after it.
const DATA_START: u64 = 2;
/// The roots of the block map, a block each.
const ROOTS: u64 = 60;
const JOURNAL: u64 = 2048;
/// The summary of slabs: four blocks for each of sixteen zones.
const SUMMARY: u64 = 64;
const SLAB: u64 = 4096;
const SLAB_JOURNAL: u64 = 224;
/// Reference counts that fit into a block.
const COUNTS: u64 = 8 * 504;

/// Identifies the volume in all its parts.
const NONCE: u64 = 0x0064_6d63_746c;
/// State of a volume that never ran.
const NEW: u32 = 1;

/// Little-endian numbers one after the other.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn u64s(&mut self, values: &[u64]) -> &mut Self {
        self.0.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        self
    }

    /// What each part starts with: which it is, its version, how long it is.
    fn header(&mut self, id: u32, major: u32, size: u64) -> &mut Self {
        self.u32(id).u32(major).u32(0).u64s(&[size])
    }

    /// The block, with its checksum at the end of what is in it.
    fn sealed(mut self) -> Vec<u8> {
        let sum = !super::crc32(0, &self.0);
        self.u32(sum);
        self.0.resize(4096, 0);
        self.0
    }
}

/// Formats all of `disk`, and returns its size in blocks.
pub fn format_vdo(disk: &Disk, sectors: u64, logical_blocks: u64) -> Result<u64> {
    let physical = sectors / BLOCK;
    let map = DATA_START + 1;
    let depot = map + ROOTS;
    let summary = physical - SUMMARY;
    let journal = summary - JOURNAL;
    let slabs = (journal - depot) / SLAB;
    ensure!(slabs > 0, "{sectors} sectors are too few");

    for (start, blocks) in [(map, ROOTS), (journal, JOURNAL + SUMMARY)] {
        disk.fill(start * BLOCK, usize::try_from(blocks * BLOCK)?, 0)?;
    }

    let mut geometry = Bytes(b"dmvdo001".to_vec());
    geometry.header(5, 5, 101).u32(0).u64s(&[NONCE, 1, 1, 0]);
    for (id, start) in [(0, INDEX_START), (1, DATA_START)] {
        geometry.u32(id).u64s(&[start]);
    }
    // An index of 256 MiB of memory, not sparse.
    geometry.u32(256_u32.wrapping_neg()).u32(0).u8(0);
    disk.write(0, &geometry.sealed())?;

    let mut block = Bytes::default();
    let mut parts = Bytes::default();
    parts.u32(0).u32(67).u32(0).u32(41).u32(0);
    parts.u32(NEW).u64s(&[0, 0, logical_blocks, physical, SLAB, JOURNAL, SLAB_JOURNAL, NONCE]);
    let partitions =
        [(0, map, ROOTS), (1, depot, journal - depot), (2, journal, JOURNAL), (3, summary, SUMMARY)];
    parts.header(1, 3, 117).u64s(&[journal, journal]).u8(4);
    for (id, start, blocks) in partitions {
        parts.u8(id).u64s(&[start, 0, blocks]);
    }
    // The journal starts at its first number.
    parts.header(2, 7, 24).u64s(&[1, 0, 0]);
    let counts = (SLAB - SLAB_JOURNAL).div_ceil(COUNTS);
    parts.header(3, 2, 73).u64s(&[SLAB, SLAB - SLAB_JOURNAL - counts, counts, SLAB_JOURNAL, 168, 208, 222]);
    parts.u64s(&[depot, depot + slabs * SLAB]).u8(1);
    parts.header(4, 2, 32).u64s(&[1, 0, map, ROOTS]);
    block.header(0, 12, u64::try_from(parts.0.len())? + 4);
    block.0.append(&mut parts.0);
    disk.write(DATA_START * BLOCK, &block.sealed())?;
    Ok(physical)
}
