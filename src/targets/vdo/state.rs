//! The state of a vdo volume: `vdo_status` in `drivers/md/dm-vdo/dm-vdo-target.c`.

use serde::Serialize;

use super::{BLOCK, Vdo};
use crate::targets::state::Tally;
use crate::targets::{FreshRow, Health, ParamsError, State, Words};

/// In which mode a volume is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    Normal,
    Recovering,
    ReadOnly,
}

/// What is printed of a volume.
#[derive(Debug, Serialize)]
struct VdoState {
    device: String,
    mode: Mode,
    is_recovering: bool,
    /// The state of the deduplication index: closed, closing, error, offline, online, opening, suspended or unknown.
    index: String,
    /// Whether blocks are compressed: online or offline.
    compression: String,
    /// Blocks of 4 KiB, those of the volume itself included.
    physical_blocks: Tally,
}

/// The states of an index (`index_state_to_string` in `drivers/md/dm-vdo/dedupe.c`).
const INDEX: [&str; 8] =
    ["closed", "closing", "error", "offline", "online", "opening", "suspended", "unknown"];

/// Reads the state.
pub(super) fn read(words: &mut Words<'_>) -> Result<Box<dyn State>, ParamsError> {
    let device = words.next("the device")?.to_string();
    let mode = match words.next("the mode")? {
        "normal" => Mode::Normal,
        "recovering" => Mode::Recovering,
        "read-only" => Mode::ReadOnly,
        _ => return Err(words.wrong("the mode is normal, recovering or read-only")),
    };
    let is_recovering = match words.next("whether it recovers")? {
        "recovering" => true,
        "-" => false,
        _ => return Err(words.wrong("here only `recovering` or `-` stands")),
    };
    let index = words.next("the state of the index")?.to_string();
    if !INDEX.contains(&index.as_str()) {
        return Err(words.wrong("the state of the index is not known"));
    }
    let compression = words.next("the state of compression")?.to_string();
    if !["online", "offline"].contains(&compression.as_str()) {
        return Err(words.wrong("compression is online or offline"));
    }
    let used = words.number("the count of used blocks")?;
    let total = words.number("the count of blocks")?;
    if used > total {
        return Err(words.wrong(format!("{used} of {total} blocks are used")));
    }
    let physical_blocks = Tally { used, total };
    Ok(Box::new(VdoState { device, mode, is_recovering, index, compression, physical_blocks }))
}

/// Returns what is printed of a volume that was just made.
pub(super) fn fresh(vdo: &Vdo, row: FreshRow<'_>) -> String {
    let total = vdo.storage_blocks.unwrap_or_else(|| (row.size_of)(&vdo.device).unwrap_or_default() / BLOCK);
    let used = total.min(4771);
    let is_on = |option: &str, default: &str| {
        vdo.options.get(option).map_or(default.to_string(), ToString::to_string) == "on"
    };
    let index = if is_on("deduplication", "on") { "online" } else { "closed" };
    let compression = if is_on("compression", "off") { "online" } else { "offline" };
    format!("{} normal - {index} {compression} {used} {total}", vdo.device)
}

impl VdoState {
    fn is_full(&self) -> bool {
        self.physical_blocks.rest() == 0 && self.physical_blocks.total > 0
    }
}

impl State for VdoState {
    fn health(&self) -> Health {
        if self.mode == Mode::ReadOnly || self.is_full() {
            Health::Failed
        } else if self.index == "error" {
            Health::Degraded
        } else if self.index == "unknown" {
            Health::Unknown
        } else if self.mode == Mode::Recovering || self.is_recovering {
            Health::Busy
        } else {
            Health::Ok
        }
    }

    fn figures(&self) -> Option<String> {
        Some(format!(
            "{} blocks of 4 KiB in use, index {}, compression {}",
            self.physical_blocks, self.index, self.compression
        ))
    }

    fn findings(&self) -> Vec<String> {
        let findings = [
            (self.mode == Mode::ReadOnly).then_some("read-only: a write to the device below failed"),
            self.is_full().then_some("full: writes fail"),
            (self.index == "error")
                .then_some("the index failed: new blocks are not deduplicated, the data is right"),
            (self.mode == Mode::Recovering || self.is_recovering).then_some("recovering"),
        ];
        findings.into_iter().flatten().map(str::to_string).collect()
    }
}
