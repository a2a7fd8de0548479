//! The state of an integrity device: `dm_integrity_status` in `drivers/md/dm-integrity.c`.

use serde::Serialize;

use crate::targets::{Health, ParamsError, Progress, ProgressUnit, State, Words};

/// What is printed of a device.
#[derive(Debug, Serialize)]
struct IntegrityState {
    /// Failed checks since the table was loaded: reads, not places.
    mismatches: u64,
    /// The longest that the device may be.
    provided_data_sectors: u64,
    /// The next sector whose tag is computed; it stays at the end once all are. `None` without recalculation.
    recalculated_sectors: Option<u64>,
}

/// Reads the state.
pub(super) fn read(words: &mut Words<'_>) -> Result<Box<dyn State>, ParamsError> {
    let mismatches = words.number("the count of mismatches")?;
    let provided_data_sectors = words.number("the count of provided sectors")?;
    let recalculated_sectors = words.number_or_dash("the next sector of the recalculation")?;
    if recalculated_sectors.is_some_and(|done| done > provided_data_sectors) {
        return Err(words.wrong("the recalculation is past the end"));
    }
    Ok(Box::new(IntegrityState { mismatches, provided_data_sectors, recalculated_sectors }))
}

/// Returns what is printed of one of this length that was just formatted.
pub(super) fn fresh(length: u64, recalculate: bool) -> String {
    format!("0 {length} {}", if recalculate { length.to_string() } else { "-".to_string() })
}

impl State for IntegrityState {
    fn counters(&self) -> &'static [&'static str] {
        &["mismatches"]
    }

    fn health(&self) -> Health {
        if self.mismatches > 0 {
            Health::Degraded
        } else if self.progress().is_some() {
            Health::Busy
        } else {
            Health::Ok
        }
    }

    fn figures(&self) -> Option<String> {
        (self.mismatches > 0).then(|| format!("{} mismatches", self.mismatches))
    }

    fn findings(&self) -> Vec<String> {
        let mismatches = (self.mismatches > 0)
            .then(|| format!("{} reads failed their check since the table was loaded", self.mismatches));
        let recalculation = self.progress().map(|_| "tags are being recalculated".to_string());
        mismatches.into_iter().chain(recalculation).collect()
    }

    fn progress(&self) -> Option<Progress> {
        let done = self.recalculated_sectors?;
        let total = self.provided_data_sectors;
        (done < total).then_some(Progress { done, total, unit: ProgressUnit::Sectors })
    }
}
