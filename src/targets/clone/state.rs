//! The state of a clone: `clone_status` in `drivers/md/dm-clone-target.c`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Clone;
use crate::targets::state::{Dead, Tally};
use crate::targets::{
    FreshRow, Health, Left, MetadataMode, ParamsError, Progress, ProgressUnit, State, Unfinished, Words,
};
use crate::units::Sectors;

/// The feature that holds hydration back.
const NO_HYDRATION: &str = "no_hydration";
/// The size of a block of metadata, in sectors (`DM_CLONE_METADATA_BLOCK_SIZE`).
const METADATA_BLOCK: u64 = 8;

/// What is printed of a clone.
#[derive(Debug, Serialize)]
struct CloneState {
    metadata_block_sectors: u64,
    metadata_blocks: Tally,
    region_sectors: u64,
    /// The regions that the destination has.
    hydrated_regions: Tally,
    /// The regions that are copied now.
    hydrating_regions: u64,
    /// `no_hydration` is the state of now, whatever the table was loaded with. `no_discard_passdown` is added by the kernel
    /// where the destination can't discard.
    features: Vec<String>,
    core_args: BTreeMap<String, u64>,
    metadata_mode: MetadataMode,
}

/// Reads the state.
pub(super) fn read(words: &mut Words<'_>) -> Result<Box<dyn State>, ParamsError> {
    if let Some(dead) = Dead::take(words, Some(Unfinished::UnhydratedRegions)) {
        return Ok(dead);
    }
    let metadata_block_sectors = words.number("the size of a metadata block")?;
    let metadata_blocks = Tally::take(words, "the count of metadata blocks")?;
    let region_sectors = words.number("the size of a region")?;
    let hydrated_regions = Tally::take(words, "the count of regions")?;
    let hydrating_regions = words.number("the count of regions that are copied now")?;
    let features = words.always_counted("features")?.rest();
    let core_args = words.always_counted("core arguments")?.pairs()?;
    Ok(Box::new(CloneState {
        metadata_block_sectors,
        metadata_blocks,
        region_sectors,
        hydrated_regions,
        hydrating_regions,
        features,
        core_args,
        metadata_mode: MetadataMode::take(words)?,
    }))
}

/// Returns what is printed of one that was just made: nothing is copied.
pub(super) fn fresh(clone: &Clone, row: FreshRow<'_>) -> String {
    let metadata = (row.size_of)(&clone.metadata).unwrap_or_default() / METADATA_BLOCK;
    let regions = row.length.div_ceil(clone.region_size.0.max(1));
    let features: Vec<&str> = [
        clone.no_hydration.then_some(NO_HYDRATION),
        clone.no_discard_passdown.then_some("no_discard_passdown"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let features: Vec<String> =
        std::iter::once(features.len().to_string()).chain(features.iter().map(ToString::to_string)).collect();
    format!(
        "{METADATA_BLOCK} {}/{metadata} {} 0/{regions} 0 {} 4 hydration_threshold {} hydration_batch_size {} rw",
        metadata.min(6),
        clone.region_size.0,
        features.join(" "),
        clone.hydration_threshold.unwrap_or(1),
        clone.hydration_batch_size.unwrap_or(1),
    )
}

impl CloneState {
    fn is_held_back(&self) -> bool {
        self.features.iter().any(|feature| feature == NO_HYDRATION)
    }
}

impl State for CloneState {
    fn health(&self) -> Health {
        match self.metadata_mode {
            MetadataMode::Ro => Health::Failed,
            MetadataMode::Rw if self.hydrated_regions.rest() > 0 => Health::Busy,
            MetadataMode::Rw => Health::Ok,
        }
    }

    fn figures(&self) -> Option<String> {
        let region = Sectors(self.region_sectors).human();
        Some(format!("{} regions of {region} hydrated", self.hydrated_regions))
    }

    fn findings(&self) -> Vec<String> {
        let mode = (self.metadata_mode == MetadataMode::Ro)
            .then_some("the metadata is read-only: writes fail, and nothing more is copied");
        let held = self.left().filter(|_| self.is_held_back()).map(|_| "hydration is off");
        let done = (self.left().is_none()).then_some("all is copied: the destination can take its place");
        [mode, held, done].into_iter().flatten().map(str::to_string).collect()
    }

    fn progress(&self) -> Option<Progress> {
        let Tally { used: done, total } = self.hydrated_regions;
        (done < total).then_some(Progress { done, total, unit: ProgressUnit::Regions })
    }

    fn left(&self) -> Option<Left> {
        Left::counted(self.hydrated_regions.rest(), Unfinished::UnhydratedRegions, self.region_sectors)
    }

    fn stands(&self) -> Option<&'static str> {
        self.is_held_back().then_some("hydration is off: `dmctl message NAME enable_hydration` turns it on")
    }
}
