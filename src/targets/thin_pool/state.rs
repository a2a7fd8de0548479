//! The state of a thin pool: `pool_status` in `drivers/md/dm-thin.c`.

use serde::Serialize;

use super::ThinPool;
use crate::targets::state::{Damage, Dead, NeedsCheck, Tally};
use crate::targets::{FreshRow, Health, ParamsError, State, Words};
use crate::units::Sectors;

/// The size of a block of metadata, in sectors (`THIN_METADATA_BLOCK_SIZE`).
const METADATA_BLOCK: u64 = 8;
/// The free blocks of metadata at which the kernel raises an event, at most (`calc_metadata_threshold`: a quarter, or
/// this).
const METADATA_LOW_WATER: u64 = 1024;

/// In which mode a pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum PoolMode {
    Rw,
    /// The table asked for it, or the metadata can't be written: it is full, or a commit failed.
    Ro,
    OutOfDataSpace,
}

/// What is printed of a pool.
#[derive(Debug, Serialize)]
struct PoolState {
    transaction_id: u64,
    metadata_blocks: Tally,
    data_blocks: Tally,
    /// The block of the metadata snapshot, while one is held.
    held_root_block: Option<u64>,
    mode: PoolMode,
    /// What is done, which the table need not have asked for: `ignore_discard`, `no_discard_passdown` or
    /// `discard_passdown`.
    discards: String,
    /// Whether writes that find no room fail, instead of waiting. Kernels since 3.14 tell.
    error_if_no_space: bool,
    needs_check: bool,
    /// The free blocks of metadata at which the kernel raises an event. Kernels since 4.19 tell.
    metadata_low_water_blocks: Option<u64>,
    #[serde(skip)]
    block_sectors: u64,
    #[serde(skip)]
    low_water_blocks: u64,
    #[serde(skip)]
    read_only_by_table: bool,
}

/// Reads the state.
pub(super) fn read(pool: &ThinPool, words: &mut Words<'_>) -> Result<Box<dyn State>, ParamsError> {
    if let Some(dead) = Dead::take(words, None) {
        return Ok(dead);
    }
    let transaction_id = words.number("the transaction id")?;
    let metadata_blocks = Tally::take(words, "the count of metadata blocks")?;
    let data_blocks = Tally::take(words, "the count of data blocks")?;
    let held_root_block = words.number_or_dash("the held root")?;
    let mode = match words.next("the mode")? {
        "rw" => PoolMode::Rw,
        "ro" => PoolMode::Ro,
        "out_of_data_space" => PoolMode::OutOfDataSpace,
        _ => return Err(words.wrong("the mode is rw, ro or out_of_data_space")),
    };
    let discards = words.next("what becomes of discards")?;
    if !["ignore_discard", "no_discard_passdown", "discard_passdown"].contains(&discards) {
        return Err(words.wrong("discards are ignored, passed down or not"));
    }
    let error_if_no_space = match words.peek() {
        None => pool.error_if_no_space,
        Some(_) => match words.next("what becomes of writes without room")? {
            "error_if_no_space" => true,
            "queue_if_no_space" => false,
            _ => return Err(words.wrong("writes without room wait or fail")),
        },
    };
    let needs_check = NeedsCheck::take(words)?;
    let metadata_low_water_blocks = words.number_if_any("the low water mark of the metadata")?;
    Ok(Box::new(PoolState {
        transaction_id,
        metadata_blocks,
        data_blocks,
        held_root_block,
        mode,
        discards: discards.to_string(),
        error_if_no_space,
        needs_check,
        metadata_low_water_blocks,
        block_sectors: pool.block_size.0,
        low_water_blocks: pool.low_water_mark,
        read_only_by_table: pool.read_only,
    }))
}

/// Returns what is printed of one that was just made.
pub(super) fn fresh(pool: &ThinPool, row: FreshRow<'_>) -> String {
    let metadata = (row.size_of)(&pool.metadata).unwrap_or_default() / METADATA_BLOCK;
    let data = row.length / pool.block_size.0.max(1);
    let low = METADATA_LOW_WATER.min(metadata / 4);
    let mode = if pool.read_only { "ro" } else { "rw" };
    let discards = match (pool.ignore_discard, pool.no_discard_passdown) {
        (true, _) => "ignore_discard",
        (false, true) => "no_discard_passdown",
        (false, false) => "discard_passdown",
    };
    let space = if pool.error_if_no_space { "error_if_no_space" } else { "queue_if_no_space" };
    // Seen on metadata of 512 blocks; that of 64 begins with 15.
    let used = metadata.min(if metadata < 512 { 15 } else { 60 });
    format!("0 {used}/{metadata} 0/{data} - {mode} {discards} {space} - {low} ")
}

impl PoolState {
    /// Whether the metadata has no room left, which makes a pool read-only.
    fn metadata_is_full(&self) -> bool {
        self.metadata_blocks.rest() == 0
    }

    fn metadata_is_low(&self) -> bool {
        let quarter = METADATA_LOW_WATER.min(self.metadata_blocks.total / 4);
        self.metadata_blocks.rest() <= self.metadata_low_water_blocks.unwrap_or_default().max(quarter)
    }

    fn data_is_low(&self) -> bool {
        self.low_water_blocks > 0 && self.data_blocks.rest() <= self.low_water_blocks
    }

    fn data_is_full(&self) -> bool {
        self.mode == PoolMode::OutOfDataSpace || (self.data_blocks.total > 0 && self.data_blocks.rest() == 0)
    }
}

impl State for PoolState {
    fn health(&self) -> Health {
        match self.mode {
            PoolMode::OutOfDataSpace => Health::Failed,
            PoolMode::Ro if !self.read_only_by_table || self.needs_check || self.metadata_is_full() => {
                Health::Failed
            }
            PoolMode::Rw | PoolMode::Ro if self.needs_check => Health::Failed,
            PoolMode::Rw | PoolMode::Ro
                if self.data_is_full() || self.data_is_low() || self.metadata_is_low() =>
            {
                Health::Degraded
            }
            PoolMode::Rw | PoolMode::Ro => Health::Ok,
        }
    }

    fn damage(&self) -> Option<Damage> {
        if self.needs_check {
            Some(Damage::NeedsCheck)
        } else {
            (self.mode == PoolMode::Ro && !self.read_only_by_table).then_some(Damage::ReadOnly)
        }
    }

    fn figures(&self) -> Option<String> {
        let block = Sectors(self.block_sectors).human();
        Some(format!("data {} blocks of {block}, metadata {}", self.data_blocks, self.metadata_blocks))
    }

    fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        if self.mode == PoolMode::OutOfDataSpace {
            let writes = if self.error_if_no_space { "fail" } else { "wait" };
            findings.push(format!("out of data space, writes to new blocks {writes}"));
        }
        if self.needs_check {
            findings.push(
                "the metadata needs a check: `thin_check --clear-needs-check-flag` or `thin_repair` while the pool is down"
                    .to_string(),
            );
        }
        if self.mode == PoolMode::Ro && !self.read_only_by_table {
            let why = if self.metadata_is_full() {
                "out of metadata space"
            } else {
                "the metadata can't be written"
            };
            findings.push(format!("read-only, {why}: writes to new and to shared blocks fail"));
        }
        let free = |tally: Tally| format!("{} of {} blocks are free", tally.rest(), tally.total);
        if self.mode != PoolMode::OutOfDataSpace && (self.data_is_low() || self.data_is_full()) {
            let mark = self.low_water_blocks;
            findings.push(format!("data space is low: {}, low_water_mark is {mark}", free(self.data_blocks)));
        }
        if self.metadata_is_low() && !self.metadata_is_full() {
            findings.push(format!("metadata space is low: {}", free(self.metadata_blocks)));
        }
        if let Some(block) = self.held_root_block {
            findings.push(format!("a metadata snapshot is held at block {block}"));
        }
        findings
    }
}
