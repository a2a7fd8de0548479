//! The state of a cache: `cache_status` in `drivers/md/dm-cache-target.c`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Cache;
use crate::targets::state::{Damage, Dead, NeedsCheck, Tally};
use crate::targets::{FreshRow, Health, Left, MetadataMode, ParamsError, State, Unfinished, Words};
use crate::units::Sectors;

/// The policy that writes everything back and caches nothing new.
const CLEANER: &str = "cleaner";
/// The size of a block of metadata, in sectors (`DM_CACHE_METADATA_BLOCK_SIZE`).
const METADATA_BLOCK: u64 = 8;

/// What is printed of a cache, by its counts: how many words each part has.
#[derive(Debug, Serialize)]
struct CacheState {
    metadata_block_sectors: u64,
    metadata_blocks: Tally,
    block_sectors: u64,
    /// The blocks of the cache device that hold one of the origin.
    resident_blocks: Tally,
    // The counters wrap at 32 bits.
    read_hits: u64,
    read_misses: u64,
    write_hits: u64,
    write_misses: u64,
    demotions: u64,
    promotions: u64,
    /// The blocks of the cache device that the origin does not have.
    dirty_blocks: u64,
    /// `no_discard_passdown` is added by the kernel where the origin can't discard.
    features: Vec<String>,
    core_args: BTreeMap<String, u64>,
    policy: String,
    policy_args: BTreeMap<String, u64>,
    metadata_mode: MetadataMode,
    needs_check: bool,
}

/// Reads the state.
pub(super) fn read(words: &mut Words<'_>) -> Result<Box<dyn State>, ParamsError> {
    if let Some(dead) = Dead::take(words, Some(Unfinished::DirtyBlocks)) {
        return Ok(dead);
    }
    let metadata_block_sectors = words.number("the size of a metadata block")?;
    let metadata_blocks = Tally::take(words, "the count of metadata blocks")?;
    let block_sectors = words.number("the size of a block")?;
    let resident_blocks = Tally::take(words, "the count of blocks")?;
    Ok(Box::new(CacheState {
        metadata_block_sectors,
        metadata_blocks,
        block_sectors,
        resident_blocks,
        read_hits: words.number("the count of read hits")?,
        read_misses: words.number("the count of read misses")?,
        write_hits: words.number("the count of write hits")?,
        write_misses: words.number("the count of write misses")?,
        demotions: words.number("the count of demotions")?,
        promotions: words.number("the count of promotions")?,
        dirty_blocks: dirty(words, resident_blocks)?,
        features: words.always_counted("features")?.rest(),
        core_args: words.always_counted("core arguments")?.pairs()?,
        policy: words.next("the policy")?.to_string(),
        policy_args: words.always_counted("policy arguments")?.pairs()?,
        metadata_mode: MetadataMode::take(words)?,
        needs_check: NeedsCheck::take(words)?,
    }))
}

/// Takes the count of dirty blocks: only those that hold one of the origin can be.
fn dirty(words: &mut Words<'_>, resident: Tally) -> Result<u64, ParamsError> {
    let dirty = words.number("the count of dirty blocks")?;
    if dirty > resident.used {
        return Err(words.wrong(format!("{dirty} of {} blocks are dirty", resident.used)));
    }
    Ok(dirty)
}

/// Returns what is printed of one that was just made: nothing is in it.
pub(super) fn fresh(cache: &Cache, row: FreshRow<'_>) -> String {
    let size = |device| (row.size_of)(device).unwrap_or_default();
    let metadata = size(&cache.metadata) / METADATA_BLOCK;
    let blocks = size(&cache.cache) / cache.block_size.0.max(1);
    let features: Vec<&str> = [
        cache.metadata2.then_some("metadata2"),
        Some(cache.mode.unwrap_or_default().word()),
        cache.no_discard_passdown.then_some("no_discard_passdown"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let policy = if cache.policy == "default" { "smq" } else { &cache.policy };
    format!(
        "{METADATA_BLOCK} {}/{metadata} {} 0/{blocks} 0 0 0 0 0 0 0 {} {} 2 migration_threshold 2048 {policy} 0 rw - ",
        metadata.min(7),
        cache.block_size.0,
        features.len(),
        features.join(" "),
    )
}

impl State for CacheState {
    /// A cache whose fast device has more blocks than at its load is not resumed before its table is loaded again
    /// (`can_resize` in `drivers/md/dm-cache-target.c`).
    fn outgrown_by(&self, size: u64) -> Option<u64> {
        let blocks = size.checked_div(self.block_sectors)?;
        let counted = self.resident_blocks.total;
        (blocks > counted).then_some(counted.checked_mul(self.block_sectors)?)
    }

    fn in_use(&self) -> Option<u64> {
        self.resident_blocks.total.checked_mul(self.block_sectors)
    }

    fn counters(&self) -> &'static [&'static str] {
        &["read_hits", "read_misses", "write_hits", "write_misses", "demotions", "promotions"]
    }

    fn damage(&self) -> Option<Damage> {
        self.needs_check.then_some(Damage::NeedsCheck)
    }

    fn health(&self) -> Health {
        if self.metadata_mode == MetadataMode::Ro || self.needs_check {
            Health::Degraded
        } else if self.policy == CLEANER && self.dirty_blocks > 0 {
            Health::Busy
        } else {
            Health::Ok
        }
    }

    fn figures(&self) -> Option<String> {
        let block = Sectors(self.block_sectors).human();
        let metadata = self.metadata_blocks;
        Some(format!(
            "{} blocks of {block} in use, {} dirty, metadata {metadata} blocks",
            self.resident_blocks, self.dirty_blocks
        ))
    }

    fn findings(&self) -> Vec<String> {
        let mode = (self.metadata_mode == MetadataMode::Ro)
            .then(|| "the metadata is read-only: no more blocks are taken into the cache".to_string());
        let check = self.needs_check.then(|| {
            "the metadata needs a check: the cache can't be loaded again before `cache_check` and `cache_repair`"
                .to_string()
        });
        let dirty = self.left().map(|left| left.to_string());
        mode.into_iter().chain(check).chain(dirty).collect()
    }

    fn left(&self) -> Option<Left> {
        Left::counted(self.dirty_blocks, Unfinished::DirtyBlocks, self.block_sectors)
    }
}
