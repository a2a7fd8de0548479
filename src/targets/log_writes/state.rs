//! The state of a log of writes: `log_writes_status` in `drivers/md/dm-log-writes.c`.

use serde::Serialize;

use crate::targets::{Health, ParamsError, State, Words};
use crate::units::Sectors;

/// What is printed of a device.
#[derive(Debug, Serialize)]
struct LogWritesState {
    /// A write is counted by the flush that carries it.
    entries: u64,
    log_sectors: u64,
    /// Whether the log is not written any more: its device failed, or is full.
    logging_disabled: bool,
}

/// Reads the state.
pub(super) fn read(words: &mut Words<'_>) -> Result<Box<dyn State>, ParamsError> {
    let entries = words.number("the count of entries")?;
    let log_sectors = words.number("the count of sectors of the log")?;
    let logging_disabled = match words.peek() {
        None => false,
        Some(_) => match words.next("whether the log is written")? {
            "logging_disabled" => true,
            _ => return Err(words.wrong("here only `logging_disabled` stands")),
        },
    };
    Ok(Box::new(LogWritesState { entries, log_sectors, logging_disabled }))
}

impl State for LogWritesState {
    fn counters(&self) -> &'static [&'static str] {
        &["entries"]
    }

    fn health(&self) -> Health {
        if self.logging_disabled { Health::Degraded } else { Health::Ok }
    }

    fn figures(&self) -> Option<String> {
        Some(format!("{} entries, {} of the log", self.entries, Sectors(self.log_sectors).human()))
    }

    fn findings(&self) -> Vec<String> {
        let stopped = self
            .logging_disabled
            .then(|| "the log device failed or is full: writes go on, and the log lacks them".to_string());
        stopped.into_iter().collect()
    }
}
