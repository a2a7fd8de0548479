//! The state of a thin volume: `thin_status` in `drivers/md/dm-thin.c`.

use serde::Serialize;

use crate::targets::state::Dead;
use crate::targets::{Health, ParamsError, State, Words};
use crate::units::Sectors;

/// What is printed of a volume.
#[derive(Debug, Serialize)]
struct ThinState {
    /// A new snapshot has those of its origin.
    mapped_sectors: u64,
    /// `None` where nothing is mapped.
    highest_mapped_sector: Option<u64>,
    #[serde(skip)]
    length: u64,
}

/// A volume whose pool is not there: the kernel prints `-`.
#[derive(Debug, Serialize)]
struct NoDevice {}

/// Reads the state of a volume of `length` sectors.
pub(super) fn read(words: &mut Words<'_>, length: u64) -> Result<Box<dyn State>, ParamsError> {
    if let Some(dead) = Dead::take(words, None) {
        return Ok(dead);
    }
    if words.peek() == Some("-") {
        words.skip();
        return Ok(Box::new(NoDevice {}));
    }
    let mapped_sectors = words.number("the count of mapped sectors")?;
    let highest_mapped_sector = words.number_or_dash("the highest mapped sector")?;
    Ok(Box::new(ThinState { mapped_sectors, highest_mapped_sector, length }))
}

impl State for ThinState {
    fn health(&self) -> Health {
        Health::Ok
    }

    fn figures(&self) -> Option<String> {
        let (mapped, length) = (Sectors(self.mapped_sectors), Sectors(self.length));
        Some(format!("{} of {} mapped", mapped.human(), length.human()))
    }
}

impl State for NoDevice {
    fn health(&self) -> Health {
        Health::Failed
    }

    fn findings(&self) -> Vec<String> {
        vec!["the pool does not have the volume open".to_string()]
    }
}
