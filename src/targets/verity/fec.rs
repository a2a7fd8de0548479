//! Forward error correction: parity on another device, by which wrong blocks are mended. Kernel source:
//! `verity_fec_parse_opt_args` in `drivers/md/dm-verity-fec.c`.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{FieldValue, Options, ParamsError, Syntax, Words, option};
use super::UNKNOWN;
use crate::device::Device;

/// Forward error correction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fec {
    /// The device that holds the parity.
    pub device: Device,
    /// How many blocks are covered: data, hashes, and what may stand behind them.
    pub blocks: u64,
    /// The block that the parity starts at.
    #[serde(default)]
    pub start: u64,
    /// How many bytes of parity a code word has, from 2 (default) to 24.
    #[serde(default = "two")]
    pub roots: u32,
}

fn two() -> u32 {
    2
}

impl fmt::Display for Fec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} blocks {} start {} roots {}", self.device, self.blocks, self.start, self.roots)
    }
}

impl FieldValue for Fec {}

/// The words of error correction, which come in any order.
#[derive(Default)]
pub(super) struct FecWords {
    device: Option<Device>,
    blocks: Option<u64>,
    start: Option<u64>,
    roots: Option<u32>,
}

impl FecWords {
    pub(super) const OPTIONS: Options<Self> = Options {
        syntax: Syntax::Spaced { unknown: UNKNOWN, ignore_case: true },
        all: &[
            option!(device).word("use_fec_from_device").noun("the device of the parity"),
            option!(blocks).word("fec_blocks"),
            option!(start).word("fec_start"),
            option!(roots).word("fec_roots"),
        ],
    };

    /// Takes the field apart.
    pub(super) fn of(fec: Option<&Fec>) -> Self {
        fec.map_or_else(Self::default, |fec| Self {
            device: Some(fec.device.clone()),
            blocks: Some(fec.blocks),
            start: Some(fec.start),
            roots: Some(fec.roots),
        })
    }

    /// Makes the field of the words of a row; `words` is where they ended.
    pub(super) fn finish(self, words: &Words<'_>) -> Result<Option<Fec>, ParamsError> {
        match self {
            Self { device: None, blocks: None, start: None, roots: None } => Ok(None),
            Self { device: Some(device), blocks: Some(blocks), start, roots } => {
                Ok(Some(Fec { device, blocks, start: start.unwrap_or(0), roots: roots.unwrap_or_else(two) }))
            }
            _ => Err(words.wrong("error correction needs use_fec_from_device and fec_blocks")),
        }
    }
}
