//! The state of a writecache: `writecache_status` in `drivers/md/dm-writecache.c`.

use serde::Serialize;

use super::Writecache;
use crate::targets::{Health, Left, ParamsError, State, Unfinished, Words};
use crate::units::{SECTOR, Sectors};

/// Reads the state.
pub(super) fn read(writecache: &Writecache, words: &mut Words<'_>) -> Result<Box<dyn State>, ParamsError> {
    Ok(Box::new(WritecacheState::take(words, writecache.block_size.0 / SECTOR)?))
}

/// Returns what is printed of one of this many blocks that was just formatted.
pub(super) fn fresh(blocks: u64) -> String {
    format!("0 {blocks} {blocks} 0 0 0 0 0 0 0 0 0 0 0")
}

/// What `writecache_status` prints: error, counts of blocks, and the counters that newer kernels have.
#[derive(Debug, Serialize)]
struct WritecacheState {
    /// Whether a write to the cache device or to the origin failed since the table was loaded: the kernel prints 0 or 1.
    error: bool,
    total_blocks: u64,
    free_blocks: u64,
    blocks_under_writeback: u64,
    /// Requests since the table was loaded; kernels before 5.15 don't count them.
    #[serde(skip_serializing_if = "Option::is_none")]
    counters: Option<Counters>,
    #[serde(skip)]
    block_sectors: u64,
}

/// Requests since the table was loaded, or since the message `clear_stats`.
#[derive(Debug, Serialize)]
struct Counters {
    reads: u64,
    read_hits: u64,
    writes: u64,
    write_hits_uncommitted: u64,
    write_hits_committed: u64,
    writes_around: u64,
    writes_allocated: u64,
    writes_blocked_on_freelist: u64,
    flushes: u64,
    discards: u64,
}

impl WritecacheState {
    fn take(words: &mut Words<'_>, block_sectors: u64) -> Result<Self, ParamsError> {
        let error: u64 = words.number("the error")?;
        let total_blocks = words.number("the count of blocks")?;
        let free_blocks = words.number("the count of free blocks")?;
        if free_blocks > total_blocks {
            return Err(words.wrong(format!("{free_blocks} of {total_blocks} blocks are free")));
        }
        let blocks_under_writeback = words.number("the count of blocks under writeback")?;
        let counters = if words.left() > 0 { Some(Counters::take(words)?) } else { None };
        Ok(Self {
            error: error != 0,
            total_blocks,
            free_blocks,
            blocks_under_writeback,
            counters,
            block_sectors,
        })
    }

    fn dirty(&self) -> u64 {
        self.total_blocks - self.free_blocks
    }
}

impl Counters {
    fn take(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        Ok(Self {
            reads: words.number("the count of reads")?,
            read_hits: words.number("the count of read hits")?,
            writes: words.number("the count of writes")?,
            write_hits_uncommitted: words.number("the count of write hits on uncommitted blocks")?,
            write_hits_committed: words.number("the count of write hits on committed blocks")?,
            writes_around: words.number("the count of writes around")?,
            writes_allocated: words.number("the count of writes that took a block")?,
            writes_blocked_on_freelist: words.number("the count of writes that waited for a block")?,
            flushes: words.number("the count of flushes")?,
            discards: words.number("the count of discards")?,
        })
    }
}

impl State for WritecacheState {
    fn counters(&self) -> &'static [&'static str] {
        &[
            "counters_reads",
            "counters_read_hits",
            "counters_writes",
            "counters_write_hits_uncommitted",
            "counters_write_hits_committed",
            "counters_writes_around",
            "counters_writes_allocated",
            "counters_writes_blocked_on_freelist",
            "counters_flushes",
            "counters_discards",
        ]
    }

    fn health(&self) -> Health {
        match (self.error, self.blocks_under_writeback) {
            (true, _) => Health::Failed,
            (false, 0) => Health::Ok,
            (false, _) => Health::Busy,
        }
    }

    fn figures(&self) -> Option<String> {
        let block = Sectors(self.block_sectors).human();
        Some(format!("{}/{} blocks of {block} dirty", self.dirty(), self.total_blocks))
    }

    fn findings(&self) -> Vec<String> {
        let error = self.error.then(|| {
            "a write to the cache device or to the origin failed: writes fail until the table is loaded again"
                .to_string()
        });
        let dirty = self.left().map(|left| left.to_string());
        error.into_iter().chain(dirty).collect()
    }

    fn left(&self) -> Option<Left> {
        Left::counted(self.dirty(), Unfinished::DirtyBlocks, self.block_sectors)
    }
}
