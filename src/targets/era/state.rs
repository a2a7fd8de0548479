//! The state of an era device: `era_status` in `drivers/md/dm-era-target.c`.

use serde::Serialize;

use super::Era;
use crate::targets::state::{Dead, Tally};
use crate::targets::{FreshRow, Health, ParamsError, State, Words};

/// The size of a block of metadata, in sectors (`DM_ERA_METADATA_BLOCK_SIZE`).
const METADATA_BLOCK: u64 = 8;

/// What is printed of a device.
#[derive(Debug, Serialize)]
struct EraState {
    metadata_block_sectors: u64,
    metadata_blocks: Tally,
    current_era: u64,
    /// The block of the metadata snapshot, while one is held.
    held_root_block: Option<u64>,
}

/// Reads the state.
pub(super) fn read(words: &mut Words<'_>) -> Result<Box<dyn State>, ParamsError> {
    if let Some(dead) = Dead::take(words, None) {
        return Ok(dead);
    }
    let metadata_block_sectors = words.number("the size of a metadata block")?;
    let metadata_blocks = Tally::take(words, "the count of metadata blocks")?;
    let current_era = words.number("the era")?;
    let held_root_block = words.number_or_dash("the metadata snapshot")?;
    Ok(Box::new(EraState { metadata_block_sectors, metadata_blocks, current_era, held_root_block }))
}

/// Returns what is printed of one that was just made.
pub(super) fn fresh(era: &Era, row: FreshRow<'_>) -> String {
    let metadata = (row.size_of)(&era.metadata).unwrap_or_default() / METADATA_BLOCK;
    format!("{METADATA_BLOCK} {}/{metadata} 1 -", metadata.min(9))
}

impl State for EraState {
    fn health(&self) -> Health {
        Health::Ok
    }

    fn figures(&self) -> Option<String> {
        Some(format!("era {}, metadata {} blocks", self.current_era, self.metadata_blocks))
    }

    fn findings(&self) -> Vec<String> {
        let held = self.held_root_block.map(|block| format!("a metadata snapshot is held at block {block}"));
        held.into_iter().collect()
    }
}
