//! The state of dust: `dust_status` in `drivers/md/dm-dust.c`. Which blocks are bad is told by the message `listbadblocks`.

use serde::Serialize;

use super::Dust;
use crate::targets::{Health, ParamsError, State, Words};

/// What is printed of a device.
#[derive(Debug, Serialize)]
struct DustState {
    device: String,
    fails_reads_of_bad_blocks: bool,
    quiet: bool,
}

/// Reads the state.
pub(super) fn read(words: &mut Words<'_>) -> Result<Box<dyn State>, ParamsError> {
    let device = words.next("the device")?.to_string();
    let fails_reads_of_bad_blocks = match words.next("what becomes of reads")? {
        "fail_read_on_bad_block" => true,
        "bypass" => false,
        _ => return Err(words.wrong("reads fail_read_on_bad_block or bypass")),
    };
    let quiet = match words.next("whether it is quiet")? {
        "quiet" => true,
        "verbose" => false,
        _ => return Err(words.wrong("it is quiet or verbose")),
    };
    Ok(Box::new(DustState { device, fails_reads_of_bad_blocks, quiet }))
}

/// Returns what is printed of one that was just made.
pub(super) fn fresh(dust: &Dust) -> String {
    format!("{} bypass verbose", dust.device)
}

impl State for DustState {
    fn health(&self) -> Health {
        Health::Ok
    }

    fn figures(&self) -> Option<String> {
        self.fails_reads_of_bad_blocks.then(|| "reads of bad blocks fail".to_string())
    }
}
