//! The state of a delay: `delay_status` in `drivers/md/dm-delay.c`.

use serde::Serialize;

use crate::targets::{Health, ParamsError, State, Words};

/// The requests that are held back now.
#[derive(Debug, Serialize)]
struct DelayState {
    reads: u64,
    writes: u64,
    /// Kernels since 4.17 tell.
    flushes: Option<u64>,
}

/// Reads the state.
pub(super) fn read(words: &mut Words<'_>) -> Result<Box<dyn State>, ParamsError> {
    let reads = words.number("the count of reads")?;
    let writes = words.number("the count of writes")?;
    let flushes = if words.left() > 0 { Some(words.number("the count of flushes")?) } else { None };
    Ok(Box::new(DelayState { reads, writes, flushes }))
}

impl State for DelayState {
    fn health(&self) -> Health {
        Health::Ok
    }

    fn figures(&self) -> Option<String> {
        let flushes = self.flushes.unwrap_or_default();
        let held = self.reads.saturating_add(self.writes).saturating_add(flushes);
        (held > 0).then(|| format!("{held} requests held back"))
    }
}
