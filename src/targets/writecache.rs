//! `writecache`: writes go to a fast device first, and to their place later. Kernel source:
//! `drivers/md/dm-writecache.c`.

mod state;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::choice::choice;
use super::{
    Contradiction, Copy, DeviceAccess, DeviceUse, DeviceUses, Differences, Doc, Effect, Found, FreshRow,
    LiveRow, MessageForm, Metadata, NeededQueue, OnDisk, Options, OwnIo, ParamsError, Printer, Problems,
    QueueKind, RemainingLength, Remedy, SizeOf, SizeTaken, State, Status, Syntax, Target, TargetKind, Traits,
    Unfinished, Unit, Words, alternatives, begins_with, le32, le64, option,
};
use crate::device::Device;
use crate::units::{Bytes, SECTOR, Sectors};

/// `MEMORY_SUPERBLOCK_MAGIC`, the first 4 bytes of the metadata (`struct wc_memory_superblock`).
const MAGIC: u32 = 0x2348_9321;
/// `MEMORY_SUPERBLOCK_VERSION`, the 4 bytes behind it.
const VERSION: u32 = 1;
/// The smallest block, in bytes.
const MIN_BLOCK_SIZE: u64 = 512;
/// The largest block, in bytes: a page of memory, which is 64 KiB on some machines.
const MAX_BLOCK_SIZE: u64 = if cfg!(any(target_arch = "x86_64", target_arch = "x86", target_arch = "riscv64"))
{
    4096
} else {
    65_536
};
/// The watermarks that are taken where they are left out, in percent (`HIGH_WATERMARK`, `LOW_WATERMARK`).
const WATERMARKS: (u32, u32) = (50, 45);

/// Returns how many blocks of this size a cache of `bytes` has room for, with what is kept of each.
fn blocks_in(bytes: u64, block: u64) -> u64 {
    const SUPERBLOCK: u64 = 64;
    const ENTRY: u64 = 16;
    let fits = |count: u64| {
        let entries = count.checked_mul(ENTRY)?.checked_add(SUPERBLOCK)?.checked_next_multiple_of(block)?;
        Some(count.checked_mul(block)?.checked_add(entries)? <= bytes)
    };
    let most = bytes.saturating_sub(SUPERBLOCK) / block.saturating_add(ENTRY).max(1);
    // The entries are rounded up to whole blocks.
    if fits(most) == Some(true) { most } else { most.saturating_sub(1) }
}

/// Writes go to a fast device first, and to their place later.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Writecache {
    /// Of what kind the cache device is.
    pub mode: WritecacheMode,
    /// The device where the writes belong.
    pub origin: Device,
    /// The device that takes them first. It holds the metadata, too.
    pub cache: Device,
    /// How much is cached at a time, in bytes: a power of two from 512 to a page (4096 on most machines),
    /// fixed when the cache is formatted.
    pub block_size: Bytes,
    /// The first sector used of the cache device; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_sector: Option<Sectors>,
    /// Begin to write back when so much of the cache is used; percent, default 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high_watermark: Option<u32>,
    /// Stop to write back when no more than so much is used; percent, default 45.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_watermark: Option<u32>,
    /// How many blocks may be on their way back at the same time; default unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writeback_jobs: Option<u32>,
    /// Commit after this many blocks; default 64 on pmem, 65536 on ssd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autocommit_blocks: Option<u32>,
    /// Commit after this many milliseconds, at most an hour; default 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autocommit_time: Option<u32>,
    /// Write a block back after this many milliseconds, at most a day; default never for its age alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u32>,
    /// Write everything back and cache nothing new: the way to take a cache out of use.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cleaner: bool,
    /// Whether to write back with the FUA flag rather than with a flush; only on pmem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fua: Option<bool>,
    /// Cache only what a file system marks as metadata.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub metadata_only: bool,
    /// Don't write back for this many milliseconds after the origin was written to directly, at most 60000;
    /// only on ssd, default 3000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_writeback: Option<u32>,
}

choice! {
    /// Of what kind a cache device is.
    #[derive(Default)]
    WritecacheMode {
        /// Any block device (`s`).
        #[default]
        Ssd = "ssd",
        /// Persistent memory that can be mapped (`p`).
        Pmem = "pmem",
    }
}

impl Writecache {
    const OPTIONS: Options<Self> = Options {
        syntax: Syntax::Spaced { unknown: "a writecache has no option {}", ignore_case: true },
        all: &[
            option!(start_sector).remap().default(0),
            option!(high_watermark).tune().range(0, 100).unit(Unit::Percent),
            option!(low_watermark).tune().range(0, 100).unit(Unit::Percent),
            option!(writeback_jobs).tune().unit(Unit::Blocks),
            option!(autocommit_blocks).tune().unit(Unit::Blocks),
            option!(autocommit_time).tune().range(0, 3_600_000).unit(Unit::Milliseconds),
            option!(max_age).tune().range(0, 86_400_000).unit(Unit::Milliseconds),
            option!(cleaner).tune(),
            alternatives!(fua: "fua" => Some(true), "nofua" => Some(false)).tune(),
            option!(metadata_only).tune(),
            option!(pause_writeback).tune().range(0, 60_000).unit(Unit::Milliseconds),
        ],
    };

    /// Wants the low watermark not to be above the high one, with the defaults of the kernel filled in.
    fn check_watermarks(&self, problems: &mut Problems) {
        let high = self.high_watermark.unwrap_or(WATERMARKS.0);
        let low = self.low_watermark.unwrap_or(WATERMARKS.1);
        if low > high {
            let field = if self.low_watermark.is_some() { "low_watermark" } else { "high_watermark" };
            problems.at(field, format!("low_watermark {low} is above high_watermark {high}"));
        }
    }
}

/// The messages that it takes.
const MESSAGES: &[MessageForm] = &[
    MessageForm::tunes("flush", "", "writes all back, and ends then"),
    MessageForm::tunes("flush_on_suspend", "", "writes all back at the next suspend"),
    MessageForm::tunes("cleaner", "", "writes all back, and takes no more blocks, until the next reload"),
    MessageForm::tunes("clear_stats", "", "counts from 0 again"),
];

impl TargetKind for Writecache {
    const NAME: &'static str = "writecache";
    const TRAITS: Traits = Traits { status: Status::Always, messages: MESSAGES, ..Traits::PLAIN };
    const DOC: Doc = Doc {
        summary: "Writes go to a fast device first, and to their place later. Reads of what is not in the cache go \
                  to the origin.",
        since: "4.18",
        writes: "The whole metadata area of the cache device at load, when its first 8 bytes are zero; anything \
                 else there that is not a writecache is refused.",
        changes: "All but the devices, mode, start sector and block size is a `reload`. Another device or start \
                  sector is a `remap`; another block size takes a fresh cache. What is not written back yet is \
                  lost when the target is taken away (`loss`): set cleaner first and wait with `dmctl wait`.",
        example: "type = \"writecache\"\nmode = \"ssd\"\norigin = \"/dev/disk/by-id/disk-a\"\ncache = \
                  \"/dev/disk/by-id/disk-b\"\nblock_size = 4096\nhigh_watermark = 60\nlow_watermark = 40",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let mode = match words.next("`s` or `p`")?.to_ascii_lowercase().as_str() {
            "s" => WritecacheMode::Ssd,
            "p" => WritecacheMode::Pmem,
            _ => return Err(words.wrong("the cache is on an SSD (`s`) or on persistent memory (`p`)")),
        };
        let mut writecache = Self {
            mode,
            origin: words.device("the origin")?,
            cache: words.device("the cache device")?,
            block_size: Bytes(words.number("the block size")?),
            ..Self::default()
        };
        Self::OPTIONS.parse(&mut writecache, &mut words.always_counted("options")?)?;
        Ok(writecache)
    }

    fn print(&self, out: &mut Printer) {
        out.word(if self.mode == WritecacheMode::Ssd { "s" } else { "p" });
        out.device(&self.origin).device(&self.cache).word(self.block_size);
        out.always_counted(|out| Self::OPTIONS.print(self, out));
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        differences.field("mode", &self.mode, &live.mode, Effect::Remap);
        differences.field("origin", &self.origin, &live.origin, Effect::Remap);
        differences.field("cache", &self.cache, &live.cache, Effect::Remap);
        differences.fixed("block_size", &self.block_size, &live.block_size, "superblock");
        Self::OPTIONS.compare(self, live, differences);
    }
}

impl Target for Writecache {
    fn unfinished(&self) -> Option<Unfinished> {
        Some(Unfinished::DirtyBlocks)
    }

    fn copies(&self, _: Option<&dyn State>) -> Vec<Copy<'_>> {
        vec![Copy { device: &self.origin, sector: 0 }]
    }

    fn remedy(&self, _: Option<&dyn State>) -> Remedy {
        if self.cleaner { Remedy::Wait } else { Remedy::Order("set cleaner = true, apply") }
    }

    fn read_state(&self, words: &mut Words<'_>, _: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        state::read(self, words)
    }

    fn fresh_state(&self, row: FreshRow<'_>) -> String {
        let size = (row.size_of)(&self.cache).unwrap_or_default();
        let size = size.saturating_sub(self.start_sector.unwrap_or_default().0);
        state::fresh(blocks_in(Sectors(size).bytes(), self.block_size.0))
    }

    /// `persistent_memory_claim`; without support for such memory the kernel refuses the mode at once (`writecache_ctr`).
    fn needs_queue(&self) -> Option<NeededQueue<'_>> {
        let is_memory = self.mode == WritecacheMode::Pmem;
        is_memory.then(|| NeededQueue { devices: vec![&self.cache], kind: QueueKind::Memory })
    }

    fn keepers(&self) -> Vec<&Device> {
        vec![&self.cache]
    }

    fn keeps_state(&self) -> bool {
        true
    }

    fn writes_unasked(&self) -> bool {
        true
    }

    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        let start = self.start_sector.unwrap_or_default().0;
        let unit = self.block_size.0 / SECTOR;
        smallvec![
            DeviceUse::write(&self.origin, 0, length).in_units(unit),
            DeviceUse { start, ..DeviceUse::whole(&self.cache, DeviceAccess::Write) }
                .apart()
                .taking_size(SizeTaken::Checked)
                .in_units(unit)
                .with_own_io(OwnIo::Flushed),
        ]
    }

    /// `writecache_io_hints`.
    fn logical_block(&self, lower: u64) -> u64 {
        lower.max(self.block_size.0 / SECTOR)
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        vec![&mut self.origin, &mut self.cache]
    }

    fn check(&self, _: Option<u64>, problems: &mut Problems) {
        problems.power_of_two("block_size", self.block_size.0, MIN_BLOCK_SIZE, MAX_BLOCK_SIZE);
        Self::OPTIONS.check(self, problems);
        self.check_watermarks(problems);
        if self.fua.is_some() && self.mode == WritecacheMode::Ssd {
            problems.at("fua", "fua is only for mode = \"pmem\"").help("leave it out");
        }
        if self.pause_writeback.is_some() && self.mode == WritecacheMode::Pmem {
            problems.at("pause_writeback", "pause_writeback is only for mode = \"ssd\"").help("leave it out");
        }
        if self.origin == self.cache {
            problems.at("cache", "the cache must be another device than the origin");
        }
    }

    /// `writecache_map` looks in the cache first.
    fn fresh_map(&self) -> Option<(&Device, u64)> {
        Some((&self.origin, 0))
    }

    fn remaining_length(&self, size_of: SizeOf<'_>) -> RemainingLength {
        RemainingLength::from_sector(&self.origin, 0, size_of)
    }

    fn metadata(&self) -> Vec<Metadata<'_>> {
        vec![Metadata {
            device: &self.cache,
            offset: self.start_sector.unwrap_or_default().bytes(),
            length: 512,
            look: |bytes| {
                let version = bytes.get(4..).unwrap_or_default();
                if begins_with(bytes, 0) && begins_with(version, 0) {
                    Found::Blank
                } else if begins_with(bytes, MAGIC) && begins_with(version, VERSION) {
                    Found::Right
                } else {
                    Found::Other
                }
            },
            is_copy: false,
            otherwise: "the kernel formats an empty cache",
        }]
    }

    /// `writecache_ctr` in `drivers/md/dm-writecache.c`; `struct wc_memory_superblock` has the offsets. Behind the
    /// superblock of 64 bytes there are 16 for each block, and then the blocks.
    fn contradiction(&self, on_disk: &OnDisk<'_>) -> Option<Contradiction> {
        const SUPERBLOCK: &str = "the superblock of the writecache";
        let head = on_disk.first()?;
        let block = Bytes(u64::from(le32(head, 8)?));
        if block.0 == 0 {
            return None;
        }
        let fixed = Contradiction::field(&self.cache, SUPERBLOCK, "block_size", &block, &self.block_size);
        fixed.or_else(|| {
            let counted = le64(head, 16)?;
            let size =
                (on_disk.size_of)(&self.cache)?.checked_sub(self.start_sector.unwrap_or_default().0)?;
            let there = blocks_in(Sectors(size).bytes(), block.0);
            (there < counted).then_some(Contradiction::TooSmall {
                metadata: SUPERBLOCK,
                counted,
                unit: "blocks",
                room: "the cache device",
                there,
                remedy: "give it its size back",
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::targets::kit::{self, device};

    fn number(most: u32) -> impl Strategy<Value = Option<u32>> {
        prop::option::of(1..=most)
    }

    fn writecaches() -> impl Strategy<Value = Writecache> {
        let numbers = (number(50), number(u32::MAX), number(u32::MAX), number(3_600_000), number(86_400_000));
        let modes = (any::<bool>(), prop::option::of(any::<bool>()), number(60_000));
        let start = prop::option::of(0u64..1 << 50);
        (device(), device(), 9u32..=12, start, numbers, modes, any::<bool>(), any::<bool>()).prop_map(
            |(origin, cache, power, start, numbers, (pmem, fua, pause), cleaner, metadata_only)| Writecache {
                mode: if pmem { WritecacheMode::Pmem } else { WritecacheMode::Ssd },
                origin,
                cache,
                block_size: Bytes(1 << power),
                start_sector: start.map(Sectors),
                high_watermark: numbers.0.map(|low| low + 50),
                low_watermark: numbers.0,
                writeback_jobs: numbers.1,
                autocommit_blocks: numbers.2,
                autocommit_time: numbers.3,
                max_age: numbers.4,
                cleaner,
                fua: fua.filter(|_| pmem),
                metadata_only,
                pause_writeback: pause.filter(|_| !pmem),
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(writecache in writecaches()) {
            kit::round_trip(&writecache)?;
            let problems = kit::problems(&writecache, Some(8192));
            prop_assert!(writecache.origin == writecache.cache || problems.is_empty(), "{:?}", problems);
        }
    }

    #[test]
    fn what_the_kernel_refuses_is_refused() {
        let all = "autocommit_blocks 10 pause_writeback 7 metadata_only start_sector 0 fua";
        kit::refused::<Writecache>(&format!("s 1:0 1:1 4096 8 {all}"), "only for mode = \"pmem\"");
        kit::refused::<Writecache>("p 1:0 1:1 4096 2 pause_writeback 7", "only for mode = \"ssd\"");
        kit::refused::<Writecache>("s 1:0 1:1 1000 0", "nearest is 1024");
        kit::refused::<Writecache>("s 1:0 1:1 4096 2 high_watermark 101", "nearest is 100");
        kit::refused::<Writecache>("s 1:0 1:1 4096 4 high_watermark 10 low_watermark 20", "is above");
        // What is left out is 50 and 45.
        kit::refused::<Writecache>("s 1:0 1:1 4096 2 high_watermark 44", "is above");
        kit::refused::<Writecache>("s 1:0 1:1 4096 2 low_watermark 51", "is above");
        kit::refused::<Writecache>("s 1:0 1:1 4096", "is missing");
        kit::refused::<Writecache>("x 1:0 1:1 4096 0", "persistent memory");
        kit::refused::<Writecache>("s 1:0 1:1 4096 1 max_age", "the row ends");
        kit::refused::<Writecache>("s 1:0 1:1 4096 1 dirty", "no option");
    }

    #[test]
    fn what_a_change_takes() {
        let live = kit::parse::<Writecache>("s 1:0 1:1 4096 0");
        assert_eq!(kit::effect("s 1:0 1:1 4096 1 cleaner", &live), Some(Effect::Tune));
        assert_eq!(kit::effect("s 1:0 1:2 4096 0", &live), Some(Effect::Remap));
        assert_eq!(kit::effect("s 1:0 1:1 512 0", &live), Some(Effect::Recreate));
    }

    #[test]
    fn the_superblock_is_told_from_garbage() {
        let writecache = kit::parse::<Writecache>("s 1:0 1:1 4096 2 start_sector 8");
        let metadata = &writecache.metadata()[0];
        assert_eq!(metadata.offset, 4096);
        assert_eq!((metadata.look)(&[0; 512]), Found::Blank);
        assert_eq!((metadata.look)(&[0x21, 0x93, 0x48, 0x23, 1, 0, 0, 0]), Found::Right);
        assert_eq!((metadata.look)(&[9; 512]), Found::Other);
    }
}
