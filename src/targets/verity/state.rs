//! The state of a verity device: `verity_status` in `drivers/md/dm-verity-target.c`.

use serde::Serialize;

use super::{OnCorruption, Verity};
use crate::targets::{Health, ParamsError, State, Words};

/// What was found since the table was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Found {
    /// `V`: no block that was read had a wrong hash.
    Valid,
    /// `C`: one had.
    Corrupted,
}

/// What is printed of a device.
#[derive(Debug, Serialize)]
struct VerityState {
    found: Found,
    #[serde(skip)]
    passes_corruption: bool,
}

/// Reads the state. Kernels after 6.12 print how many blocks were corrected behind it.
pub(super) fn read(verity: &Verity, words: &mut Words<'_>) -> Result<Box<dyn State>, ParamsError> {
    let found = match words.next("whether all hashes were right")? {
        "V" => Found::Valid,
        "C" => Found::Corrupted,
        _ => return Err(words.wrong("here only V or C stands")),
    };
    let passes_corruption = verity.on_corruption == Some(OnCorruption::Ignore);
    Ok(Box::new(VerityState { found, passes_corruption }))
}

impl State for VerityState {
    fn health(&self) -> Health {
        match (self.found, self.passes_corruption) {
            (Found::Valid, _) => Health::Ok,
            (Found::Corrupted, true) => Health::Degraded,
            (Found::Corrupted, false) => Health::Failed,
        }
    }

    fn findings(&self) -> Vec<String> {
        let reads = if self.passes_corruption { "such reads pass" } else { "such reads fail" };
        match self.found {
            Found::Valid => Vec::new(),
            Found::Corrupted => {
                vec![format!("a block with a wrong hash was read since the table was loaded; {reads}")]
            }
        }
    }
}
