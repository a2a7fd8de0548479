//! Thin pools: the content of their metadata, and its changes by loads, resumes and messages.
//!
//! A pool keeps its block size, its number of data blocks, and the thin volumes that were created by message.
//! All that is in the metadata, so it outlives the mapping. Kernel source:
//! `drivers/md/dm-thin.c`.
//!
//! Rows are read by their words here: only the first five of a pool and the first two of a volume matter.

use nix::errno::Errno;

use super::mapping::Loaded;
use super::model::Model;
use super::refusal::Refusal;
use super::state::{Pool, PoolFault};
use super::thin_content::{self, metadata_blocks};
use crate::identity::DevNum;
use crate::table::RawRow;

/// The largest id of a volume (`MAX_DEV_ID`).
const MAX_ID: u32 = (1 << 24) - 1;

/// The row of a pool.
pub(super) struct PoolRow {
    metadata: DevNum,
    data: DevNum,
    block_size: u64,
    length: u64,
    ignore_discard: bool,
    read_only: bool,
}

impl PoolRow {
    fn parse(kind: &str, length: u64, params: &str) -> Option<Self> {
        if kind != "thin-pool" {
            return None;
        }
        let mut words = params.split_whitespace();
        let metadata = DevNum::parse(words.next()?)?;
        let data = DevNum::parse(words.next()?)?;
        let block_size = words.next()?.parse().ok().filter(|size| *size > 0)?;
        let features: Vec<&str> = words.collect();
        let has = |feature: &str| features.iter().any(|word| word.eq_ignore_ascii_case(feature));
        let (ignore_discard, read_only) = (has("ignore_discard"), has("read_only"));
        Some(Self { metadata, data, block_size, length, ignore_discard, read_only })
    }

    fn of(table: &Loaded) -> Option<Self> {
        table.rows.first().and_then(|row| Self::parse(&row.kind, row.length, row.params()))
    }

    /// Finds the disk and sector of its metadata, below all linear mappings.
    fn place(&self, model: &Model) -> (DevNum, u64) {
        model.below(self.metadata, 0).map_or((self.metadata, 0), |run| (run.disk, run.sector))
    }

    /// Whether the metadata of a row needs a check.
    pub(super) fn needs_check(model: &Model, row: &RawRow) -> bool {
        let row = Self::parse(&row.kind, row.length, row.params());
        let pool = row.and_then(|row| model.pools.get(&row.place(model)));
        pool.is_some_and(|pool| pool.fault == Some(PoolFault::NeedsCheck))
    }

    /// Opens its metadata, which is fresh when it is not known yet.
    fn open<'a>(&self, model: &'a mut Model) -> &'a mut Pool {
        let place = self.place(model);
        let (metadata, sector) = place;
        let fresh = thin_content::fresh(metadata, sector, self.block_size);
        model.pools.entry(place).or_insert(fresh)
    }

    /// Returns the number of whole blocks of data.
    fn blocks(&self) -> u64 {
        self.length / self.block_size
    }
}

/// Returns the pool device and the id in the row of a volume.
fn volume(row: &RawRow) -> Option<(DevNum, u32)> {
    if row.kind != "thin" {
        return None;
    }
    let mut words = row.params().split_whitespace();
    Some((DevNum::parse(words.next()?)?, words.next()?.parse().ok()?))
}

/// Checks a row of a pool or a volume as its constructor does. `params` are its parameters with devices by number.
/// Returns the parameters that the kernel will print.
pub(super) fn load(model: &Model, holder: DevNum, row: &RawRow, params: String) -> Result<String, Refusal> {
    if let Some(new) = PoolRow::parse(&row.kind, row.length, &params) {
        return load_pool(model, holder, &new, params);
    }
    let printed = RawRow::new(row.start, row.length, &row.kind, params);
    if let Some((pool, id)) = volume(&printed) {
        load_volume(model, pool, id)?;
    }
    Ok(printed.params().to_string())
}

fn load_pool(model: &Model, holder: DevNum, new: &PoolRow, params: String) -> Result<String, Refusal> {
    let refuse = |errno, log: &str| Err(Refusal::new(errno, format!("thin-pool: {log}")));
    if new.metadata == new.data {
        return refuse(Errno::EINVAL, "Error setting metadata or data device");
    }
    let live = model.mapping(holder).and_then(|mapping| mapping.live.as_ref()).and_then(PoolRow::of);
    let place = new.place(model);
    for mapping in model.mappings().filter(|mapping| mapping.number != holder) {
        for other in [&mapping.live, &mapping.inactive].into_iter().flatten().filter_map(PoolRow::of) {
            if other.place(model) == place {
                return refuse(Errno::EBUSY, "metadata device already in use by a pool");
            }
        }
    }
    let Some(live) = live else {
        let known = model.pools.get(&place);
        if known.is_some_and(|pool| pool.block_size != new.block_size) {
            return refuse(Errno::EINVAL, "Error creating metadata object");
        }
        return Ok(params);
    };
    if live.place(model) != place {
        return refuse(Errno::EINVAL, "different pool cannot replace a pool");
    }
    if live.data != new.data {
        return refuse(Errno::EBUSY, "data device already in use by a pool");
    }
    if live.ignore_discard != new.ignore_discard {
        return refuse(Errno::EINVAL, "Discard support cannot be disabled once enabled");
    }
    // Another block size is accepted, ignored, and the old one printed.
    let mut words: Vec<String> = params.split_whitespace().map(str::to_string).collect();
    if let Some(word) = words.get_mut(2) {
        *word = live.block_size.to_string();
    }
    Ok(words.join(" "))
}

fn load_volume(model: &Model, pool: DevNum, id: u32) -> Result<(), Refusal> {
    let refuse = |errno, log: &str| Err(Refusal::new(errno, format!("thin: {log}")));
    let Some(mapping) = model.mapping(pool) else {
        return refuse(Errno::EINVAL, "Couldn't get pool mapped device");
    };
    let Some(row) = mapping.live.as_ref().and_then(PoolRow::of) else {
        return refuse(Errno::EINVAL, "Couldn't find pool object");
    };
    if mapping.suspended {
        return refuse(Errno::EINVAL, "Unable to activate thin device while pool is suspended");
    }
    if model.pools.get(&row.place(model)).is_some_and(|pool| pool.ids.contains(&id)) {
        Ok(())
    } else {
        refuse(Errno::ENODATA, "Couldn't open thin internal device")
    }
}

/// Opens the metadata of the pool in a table that was loaded.
pub(super) fn open(model: &mut Model, table: &Loaded) {
    if let Some(row) = PoolRow::of(table) {
        row.open(model);
    }
}

/// Drops what is known of the metadata of the pool in a table, because the load formats it.
pub(super) fn format(model: &mut Model, table: &Loaded) {
    if let Some(row) = PoolRow::of(table) {
        let place = row.place(model);
        model.pools.remove(&place);
    }
}

/// Gives the data device of a pool to its metadata, before the pool is resumed. It can only grow.
pub(super) fn preresume(model: &mut Model, table: &Loaded) -> Result<(), Refusal> {
    let Some(row) = PoolRow::of(table) else { return Ok(()) };
    let place = row.place(model);
    let Some(pool) = model.pools.get(&place) else { return Ok(()) };
    if row.blocks() < pool.data_blocks {
        let log = format!(
            "thin-pool: pool target ({} blocks) too small: expected {}",
            row.blocks(),
            pool.data_blocks
        );
        return Err(Refusal::new(Errno::EINVAL, log));
    }
    let metadata_blocks = metadata_blocks(model, row.metadata);
    let counted = counted(model, row.metadata, METADATA_BLOCKS);
    if counted.is_some_and(|counted| metadata_blocks < counted) {
        let expected = counted.unwrap_or_default();
        let log =
            format!("thin-pool: metadata device ({metadata_blocks} blocks) too small: expected {expected}");
        return Err(Refusal::new(Errno::EINVAL, log));
    }
    if let Some(pool) = model.pools.get_mut(&place) {
        pool.data_blocks = row.blocks();
    }
    record(model, &row, row.blocks(), metadata_blocks);
    Ok(())
}

/// Where the superblock of a pool counts its blocks of data, and those of its metadata, in bytes.
const DATA_BLOCKS: usize = 64;
const METADATA_BLOCKS: usize = 192;
const BLOCK_SIZE: usize = 336;

/// Returns a count of the superblock, where that is known and was written.
fn counted(model: &Model, metadata: DevNum, at: usize) -> Option<u64> {
    let head = model.peek(metadata, 0, 4096)?;
    let number = head.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*number)).filter(|count| *count > 0)
}

/// Writes the block size and the counts of a pool into its superblock, where that is known.
fn record(model: &mut Model, row: &PoolRow, data_blocks: u64, metadata_blocks: u64) {
    const MAGIC: &[u8] = b"\xba\x52\x9c\x01";
    let Some(mut head) = model.peek(row.metadata, 0, 4096).filter(|head| head[32..].starts_with(MAGIC))
    else {
        return;
    };
    let block_size = u32::try_from(row.block_size).unwrap_or_default();
    head[DATA_BLOCKS..][..8].copy_from_slice(&data_blocks.to_le_bytes());
    head[METADATA_BLOCKS..][..8].copy_from_slice(&metadata_blocks.to_le_bytes());
    head[BLOCK_SIZE..][..4].copy_from_slice(&block_size.to_le_bytes());
    let writes = model.writes(row.metadata, 0, &head).unwrap_or_default();
    model.write(writes);
}

/// Records the pools and volumes that exist already.
pub(super) fn adopt(model: &mut Model) {
    let live = || model.mappings().filter_map(|mapping| mapping.live.as_ref());
    let pools: Vec<PoolRow> = live().filter_map(PoolRow::of).collect();
    let volumes: Vec<(DevNum, u32)> = live().flat_map(|table| table.rows.iter()).filter_map(volume).collect();
    for row in pools {
        let pool = row.open(model);
        pool.data_blocks = pool.data_blocks.max(row.blocks());
        let blocks = pool.data_blocks;
        // A device may have grown since the pool was resumed.
        let counted = counted(model, row.metadata, METADATA_BLOCKS);
        let metadata_blocks = counted.unwrap_or_else(|| metadata_blocks(model, row.metadata));
        record(model, &row, blocks, metadata_blocks);
    }
    let down: Vec<Pool> = model.pools.values().cloned().collect();
    for pool in down {
        let row = PoolRow {
            metadata: pool.metadata,
            data: pool.metadata,
            block_size: pool.block_size,
            length: 0,
            ignore_discard: false,
            read_only: false,
        };
        if pool.sector == 0 && counted(model, pool.metadata, DATA_BLOCKS).is_none() {
            // Which part of its device it has is not known.
            record(model, &row, pool.data_blocks, 0);
        }
    }
    for (device, id) in volumes {
        let row = model.mapping(device).and_then(|pool| pool.live.as_ref()).and_then(PoolRow::of);
        let Some(place) = row.map(|row| row.place(model)) else { continue };
        if let Some(pool) = model.pools.get_mut(&place) {
            pool.ids.insert(id);
        }
    }
}

/// Carries out a message to the pool `device`.
pub(super) fn message(model: &mut Model, device: DevNum, words: &[&str]) -> Result<(), Refusal> {
    let refuse = |errno, log: &str| Err(Refusal::new(errno, format!("thin-pool: {log}")));
    let row = model.mapping(device).and_then(|mapping| mapping.live.as_ref()).and_then(PoolRow::of);
    let Some((place, read_only)) = row.map(|row| (row.place(model), row.read_only)) else {
        return refuse(Errno::EINVAL, "no pool");
    };
    if read_only {
        return refuse(Errno::EOPNOTSUPP, "unable to service pool target messages in READ_ONLY or FAIL mode");
    }
    let id = |word: &str| {
        let digits = word.bytes().all(|b| b.is_ascii_digit());
        word.parse::<u32>().ok().filter(|id| digits && *id <= MAX_ID).ok_or_else(|| {
            Refusal::new(Errno::EINVAL, format!("thin-pool: Message received with invalid device id: {word}"))
        })
    };
    let open = model.mappings().any(|mapping| {
        let tables = [&mapping.live, &mapping.inactive].into_iter().flatten();
        let mut volumes = tables.flat_map(|table| table.rows.iter().filter_map(volume));
        volumes.any(|(pool, id)| pool == device && words.get(1).is_some_and(|word| word.parse() == Ok(id)))
    });
    let Some(pool) = model.pools.get_mut(&place) else { return refuse(Errno::EINVAL, "no pool") };
    if pool.fault == Some(PoolFault::NeedsCheck) {
        return refuse(Errno::EOPNOTSUPP, "unable to service pool target messages in READ_ONLY or FAIL mode");
    }
    let verb = words.first().map(|verb| verb.to_ascii_lowercase()).unwrap_or_default();
    match (verb.as_str(), &words[1..]) {
        ("create_thin", [new]) => pool.create(id(new)?),
        ("create_snap", [new, origin]) => pool.snapshot(id(new)?, id(origin)?),
        ("delete", [old]) => {
            let old = id(old)?;
            if open {
                return refuse(Errno::EBUSY, "Deletion of thin device failed.");
            }
            pool.delete(old)
        }
        ("set_transaction_id", [old, new]) => {
            let number = |word: &str| {
                let digits = word.bytes().all(|b| b.is_ascii_digit());
                word.parse::<u64>().ok().filter(|_| digits).ok_or_else(|| {
                    let log = format!("thin-pool: set_transaction_id message: Unrecognised id {word}.");
                    Refusal::new(Errno::EINVAL, log)
                })
            };
            let (from, to) = (number(old)?, number(new)?);
            if from != pool.transaction_id {
                let log = format!("Failed to change transaction id from {old} to {new}.");
                return refuse(Errno::EINVAL, &log);
            }
            pool.transaction_id = to;
            Ok(())
        }
        ("reserve_metadata_snap" | "release_metadata_snap", []) => Ok(()),
        _ => refuse(Errno::EINVAL, "Unrecognised thin pool target message received"),
    }
}
