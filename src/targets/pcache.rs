//! `pcache`: a write-back cache in persistent memory. Kernel source: `drivers/md/dm-pcache/`.
//!
//! The kernel reads the option `data_crc` and prints it as `crc`, so what it prints can't be loaded back.

mod state;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::choice::choice;
use super::{
    Choice, Copy, DeviceAccess, DeviceUse, DeviceUses, Differences, Doc, Effect, Found, LiveRow, MessageForm,
    Metadata, Options, ParamsError, Printer, RemainingLength, SizeOf, State, Status, Syntax, Target,
    TargetKind, Traits, Unfinished, Words, alternatives,
};
use crate::device::Device;
use crate::units::Sectors;

/// Where the superblock is, in bytes.
const SUPERBLOCK: u64 = 4096;
/// What it carries at its byte 8, little-endian (`PCACHE_MAGIC`).
const MAGIC: [u8; 8] = 0x65B0_5EFA_96C5_96EF_u64.to_le_bytes();

/// A write-back cache in persistent memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pcache {
    /// The persistent memory that caches, of at least 512 MiB; it must be capable of DAX.
    pub cache_device: Device,
    /// The device that is cached.
    pub backing_device: Device,
    /// What happens to a write. Default: `writeback`, the only mode there is.
    #[serde(default)]
    pub cache_mode: CacheMode,
    /// Whether cached data carries a checksum. Default: false.
    #[serde(default)]
    pub data_crc: bool,
}

choice! {
    /// What happens to a write.
    #[derive(Default)]
    CacheMode {
        /// It stays in the cache at first and goes to the backing device later.
        #[default]
        Writeback = "writeback",
    }
}

impl Pcache {
    /// The kernel tells these words apart by case.
    const OPTIONS: Options<Self> = Options {
        syntax: Syntax::Spaced { unknown: "{} is not an option of pcache", ignore_case: false },
        all: &[
            alternatives!(cache_mode: CacheMode { Writeback })
                .behind(Choice {
                    word: "cache_mode",
                    alias: None,
                    noun: "the cache mode",
                    wrong: "the cache mode must be writeback, the only one there is",
                })
                .recreate(),
            alternatives!(data_crc: "true" => true, "false" => false)
                .behind(Choice {
                    word: "data_crc",
                    alias: Some("crc"),
                    noun: "true or false",
                    wrong: "data_crc must be true or false",
                })
                .recreate(),
        ],
    };
}

/// Judges the head of the superblock.
fn look(bytes: &[u8]) -> Found {
    match bytes.get(8..16) {
        Some(magic) if magic == MAGIC => Found::Right,
        Some(magic) if magic.iter().all(|byte| *byte == 0) => Found::Blank,
        _ => Found::Other,
    }
}

/// The messages that it takes.
const MESSAGES: &[MessageForm] =
    &[MessageForm::tunes("gc_percent", "PERCENT", "begins to write back when the cache is that full")];

impl TargetKind for Pcache {
    const NAME: &'static str = "pcache";
    const TRAITS: Traits =
        Traits { status: Status::Always, singleton: true, messages: MESSAGES, ..Traits::PLAIN };
    const DOC: Doc = Doc {
        summary: "A write-back cache in persistent memory (DAX), in front of a slower device.",
        since: "6.18",
        writes: "A superblock and empty cache metadata when the magic number of the cache device is zero (`format`).",
        changes: "The kernel refuses to reload it: every change, of its length too, removes the device and creates it \
                  again (`remap`).",
        example: "type = \"pcache\"\nlength = \"1GiB\"\ncache_device = \"/dev/pmem0\"\nbacking_device = \
                  \"/dev/disk/by-id/disk-a\"\ndata_crc = true",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let mut pcache = Self {
            cache_device: words.device("the cache device")?,
            backing_device: words.device("the backing device")?,
            ..Self::default()
        };
        Self::OPTIONS.parse(&mut pcache, &mut words.counted("options")?)?;
        Ok(pcache)
    }

    fn print(&self, out: &mut Printer) {
        out.device(&self.cache_device).device(&self.backing_device);
        out.counted(|out| Self::OPTIONS.print(self, out));
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        differences.field("cache_device", &self.cache_device, &live.cache_device, Effect::Recreate);
        differences.field("backing_device", &self.backing_device, &live.backing_device, Effect::Recreate);
        Self::OPTIONS.compare(self, live, differences);
    }
}

impl Target for Pcache {
    fn unfinished(&self) -> Option<Unfinished> {
        Some(Unfinished::DirtyBlocks)
    }

    fn copies(&self, _: Option<&dyn State>) -> Vec<Copy<'_>> {
        vec![Copy { device: &self.backing_device, sector: 0 }]
    }

    fn read_state(&self, words: &mut Words<'_>, _: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        state::read(words)
    }

    fn keeps_state(&self) -> bool {
        true
    }

    fn writes_unasked(&self) -> bool {
        true
    }

    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        smallvec![
            DeviceUse::whole(&self.cache_device, DeviceAccess::Write),
            DeviceUse::write(&self.backing_device, 0, length),
        ]
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        vec![&mut self.cache_device, &mut self.backing_device]
    }

    /// No table is loaded over a live one, whatever its length.
    fn resized(&self, length: u64, live_length: u64, differences: &mut Differences) {
        differences.field("length", &Sectors(length), &Sectors(live_length), Effect::Recreate);
    }

    fn remaining_length(&self, size_of: SizeOf<'_>) -> RemainingLength {
        RemainingLength::from_sector(&self.backing_device, 0, size_of)
    }

    fn metadata(&self) -> Vec<Metadata<'_>> {
        vec![Metadata {
            device: &self.cache_device,
            offset: SUPERBLOCK,
            length: 16,
            look,
            is_copy: false,
            otherwise: "the kernel writes a new superblock and an empty cache",
        }]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::targets::kit::{compare, device, parse, print, resized, round_trip, try_parse};

    proptest! {
        #[test]
        fn rows_read_back(cache_device in device(), backing_device in device(), data_crc in any::<bool>()) {
            round_trip(&Pcache { cache_device, backing_device, cache_mode: CacheMode::Writeback, data_crc })?;
        }
    }

    #[test]
    fn what_is_printed_is_not_what_is_loaded() {
        let loaded = "259:0 8:0 4 cache_mode writeback data_crc true";
        let printed = "259:0 8:0 4 cache_mode writeback crc true";
        assert!(compare::<Pcache>(loaded, printed).is_equal());
        assert_eq!(print(&parse::<Pcache>(printed)), loaded);
        assert!(compare::<Pcache>("259:0 8:0", "259:0 8:0 4 cache_mode writeback crc false").is_equal());
        assert_eq!(compare::<Pcache>("259:0 8:0", printed).effect(), Some(Effect::Recreate));
        let pcache = parse::<Pcache>(loaded);
        assert_eq!(resized(&pcache, 16, 8), Some(Effect::Recreate));
        assert_eq!(resized(&pcache, 8, 8), None);
        for bad in ["259:0", "259:0 8:0 2 cache_mode writethrough", "259:0 8:0 1 data_crc", "259:0 8:0 1 x"] {
            assert!(try_parse::<Pcache>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_superblock_is_known_by_its_magic() {
        let mut head = [0u8; 16];
        assert_eq!(look(&head), Found::Blank);
        head[8..].copy_from_slice(&MAGIC);
        assert_eq!(look(&head), Found::Right);
        head[8] ^= 1;
        assert_eq!(look(&head), Found::Other);
        assert_eq!(look(&[]), Found::Other);
    }
}
