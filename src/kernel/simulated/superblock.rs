//! The fields of superblocks that a kernel holds a table to. Where they are: see `contradiction` of each target.

use crate::table::RawRow;

/// The chunk size of a snapshot whose table leaves it to the kernel, in sectors (`DM_CHUNK_SIZE_DEFAULT_SECTORS`).
const DEFAULT_CHUNK: u64 = 32;

/// A number in a superblock.
#[derive(Clone)]
pub(super) struct Field {
    /// Its offset in bytes.
    pub at: usize,
    /// Its bytes, little-endian.
    pub bytes: Vec<u8>,
}

fn short(at: usize, number: u64) -> Field {
    Field { at, bytes: number.to_le_bytes()[..2].to_vec() }
}

fn word(at: usize, number: u64) -> Field {
    Field { at, bytes: number.to_le_bytes()[..4].to_vec() }
}

fn long(at: usize, number: u64) -> Field {
    Field { at, bytes: number.to_le_bytes().to_vec() }
}

/// Returns the fields that the kernel writes into the fresh superblock number `index` of a row. `room` is the size of
/// the device behind the start of the metadata, in sectors.
pub(super) fn fields(row: &RawRow, index: usize, room: u64) -> Vec<Field> {
    let words: Vec<&str> = row.params().split_whitespace().collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
    match row.kind.as_str() {
        "thin-pool" => vec![word(336, number(2))],
        "cache" => [vec![word(232, number(3))], space_map(64, room)].concat(),
        "era" => [vec![word(172, number(2))], space_map(44, room)].concat(),
        "clone" => [vec![long(172, number(3)), long(180, row.length)], space_map(44, room)].concat(),
        "snapshot" | "snapshot-merge" => {
            vec![word(12, Some(number(3)).filter(|chunk| *chunk > 0).unwrap_or(DEFAULT_CHUNK))]
        }
        "writecache" => {
            let block = number(3);
            vec![word(8, block), long(16, cached_blocks(room.saturating_mul(512), block))]
        }
        "integrity" => integrity(&words),
        "raid" => raid(&words, index),
        _ => Vec::new(),
    }
}

/// The blocks of 4 KiB that fresh metadata takes, all at the beginning of its device.
const FRESH_BLOCKS: u64 = 6;

/// The space map of metadata: the blocks of the device, and those in use (`struct disk_sm_root`).
fn space_map(at: usize, room: u64) -> Vec<Field> {
    let blocks = room / 8;
    vec![long(at, blocks), long(at + 8, blocks.min(FRESH_BLOCKS))]
}

/// Returns where the superblock of such metadata has the number of blocks in use.
pub(super) fn blocks_in_use(kind: &str) -> Option<usize> {
    match kind {
        "cache" => Some(72),
        "era" | "clone" => Some(52),
        _ => None,
    }
}

/// Counts the blocks of a writecache: 64 bytes of superblock, 16 for each block, then the blocks.
fn cached_blocks(bytes: u64, block: u64) -> u64 {
    let most = bytes.saturating_sub(64) / (block + 16).max(1);
    let used = |count: u64| (64 + count * 16).next_multiple_of(block.max(1)) + count * block;
    if used(most) > bytes { most.saturating_sub(1) } else { most }
}

fn integrity(words: &[&str]) -> Vec<Field> {
    let option = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix(':'));
    let given = words.get(2).and_then(|word| word.parse().ok());
    let digest = || match option("internal_hash")?.split(':').next()? {
        "crc32" | "crc32c" => Some(4),
        "xxhash64" => Some(8),
        "sha1" | "hmac(sha1)" => Some(20),
        "sha256" | "hmac(sha256)" => Some(32),
        "sha512" | "hmac(sha512)" => Some(64),
        _ => None,
    };
    let block = option("block_size").and_then(|size| size.parse::<u64>().ok()).unwrap_or(512);
    let (mac, inline) = (option("journal_mac").is_some(), words.get(3) == Some(&"I"));
    vec![
        short(10, given.or_else(digest).unwrap_or_default()),
        word(24, u64::from(mac) | u64::from(inline) << 5),
        Field { at: 28, bytes: vec![u8::try_from((block / 512).max(1).ilog2()).unwrap_or_default()] },
    ]
}

fn raid(words: &[&str], index: usize) -> Vec<Field> {
    let options = words.get(1).and_then(|count| count.parse::<usize>().ok()).unwrap_or_default();
    let count = words.get(2 + options).and_then(|count| count.parse::<u64>().ok()).unwrap_or_default();
    let pairs = words.get(3 + options..).unwrap_or_default().chunks(2);
    let with_metadata = pairs.enumerate().filter(|(_, pair)| pair.first() != Some(&"-"));
    let place = with_metadata.map(|(place, _)| place).nth(index).unwrap_or_default() as u64;
    let level = words.first().map_or(0, |level| match level.get(..5) {
        Some("raid1") if level.starts_with("raid10") => 10,
        Some("raid1") => 1,
        Some("raid4" | "raid5") => 5,
        Some("raid6") => 6,
        _ => 0,
    });
    let chunk = words.get(2).and_then(|chunk| chunk.parse().ok()).unwrap_or_default();
    vec![word(8, count), word(12, place), word(48, level), word(56, if level == 1 { 0 } else { chunk })]
}
