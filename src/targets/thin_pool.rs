//! `thin-pool`: blocks of a data device, handed out to thin volumes as they are written. Kernel source:
//! `drivers/md/dm-thin.c`, `drivers/md/dm-thin-metadata.c`.

mod state;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::failed::Failed;
use super::state::Damage;
use super::{
    Block, Contradiction, DeviceAccess, DeviceUse, DeviceUses, Differences, Doc, Effect, FreshRow,
    Incomparable, LiveRow, MessageForm, Metadata, Mode, NoRoom, OnDisk, Options, OwnIo, ParamsError, Printer,
    Problems, RemainingLength, Repair, SizeOf, SizeTaken, State, Status, Syntax, Target, TargetKind, Traits,
    Unit, VolumeList, Words, in_whole_blocks, le32, le64, option,
};
use crate::device::Device;
use crate::policy::Class;
use crate::thin_metadata::{MAGIC, NEEDS_CHECK, at};
use crate::units::Sectors;

/// The smallest block, and what every block is a multiple of (`DATA_DEV_BLOCK_SIZE_MIN_SECTORS`): 64 KiB.
const BLOCK_STEP: u64 = 128;
/// The largest block (`DATA_DEV_BLOCK_SIZE_MAX_SECTORS`): 1 GiB.
const MAX_BLOCK_SIZE: u64 = 2_097_152;
/// How many optional words the kernel takes, though it knows five.
const MAX_FEATURES: usize = 4;

/// Returns the blocks of 4 KiB that a pool uses of a metadata device of this size (`get_metadata_dev_size_in_blocks` and
/// `THIN_METADATA_MAX_SECTORS`).
fn metadata_blocks(sectors: u64) -> u64 {
    const MOST: u64 = 255 * ((1 << 14) - 64) * 8;
    sectors.min(MOST) / 8
}

/// Blocks of a data device, handed out to thin volumes as they are written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ThinPool {
    /// The device that records which volume holds which block. At most about 16 GiB of it are used.
    pub metadata: Device,
    /// The device whose blocks are handed out.
    pub data: Device,
    /// How much is handed out at a time: a multiple of 64 KiB up to 1 GiB, fixed when the pool is formatted.
    pub block_size: Sectors,
    /// An event is raised when fewer free blocks than this are left; in blocks, default 0.
    #[serde(default)]
    pub low_water_mark: u64,
    /// Hand out blocks without zeroing them first: faster, and a volume may read what another one wrote.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_block_zeroing: bool,
    /// Drop discards of the volumes. Can't be switched on for a live pool.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore_discard: bool,
    /// Free blocks on discard, but don't pass the discard on to the data device.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_discard_passdown: bool,
    /// Don't allow any change to the pool's metadata.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Fail writes when no block is left, rather than hold them back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub error_if_no_space: bool,
    /// Whether the kernel printed a failure in place of all this.
    #[serde(skip_deserializing, skip_serializing_if = "Failed::is_not")]
    #[schemars(skip)]
    pub failed: Failed,
}

impl ThinPool {
    const FEATURES: Options<Self> = Options {
        syntax: Syntax::Spaced { unknown: "a pool has no feature {}", ignore_case: true },
        all: &[
            option!(skip_block_zeroing).tune(),
            option!(ignore_discard).recreate().reason("the kernel refuses to switch this on a live pool"),
            option!(no_discard_passdown).tune(),
            option!(read_only).tune(),
            option!(error_if_no_space).tune(),
        ],
    };

    /// Stands for a pool of which the kernel tells nothing; its devices are never looked at.
    fn unknown(failed: Failed) -> Self {
        Self { block_size: Sectors(BLOCK_STEP), failed, ..Self::default() }
    }
}

/// The messages that it takes.
const MESSAGES: &[MessageForm] = &[
    MessageForm::tunes("create_thin", "ID", "makes an empty volume"),
    MessageForm::tunes(
        "create_snap",
        "ID ORIGIN",
        "makes a snapshot of a volume, which must be suspended where it is in use",
    )
    .copying(),
    MessageForm::of("delete", "ID", "deletes a volume", Class::Loss),
    MessageForm::tunes("set_transaction_id", "IS WANTED", "raises the transaction id, where it is as said"),
    MessageForm::tunes(
        "reserve_metadata_snap",
        "",
        "holds a snapshot of the metadata, for programs that read it",
    ),
    MessageForm::tunes("release_metadata_snap", "", "lets go of it"),
];

impl TargetKind for ThinPool {
    const NAME: &'static str = "thin-pool";
    const TRAITS: Traits = Traits {
        status: Status::Always,
        singleton: true,
        immutable: true,
        mode: Mode::Writable,
        messages: MESSAGES,
        ..Traits::PLAIN
    };
    const DOC: Doc = Doc {
        summary: "A pool of blocks for thin volumes: each volume takes blocks as it is written.",
        since: "3.2",
        writes: "Fresh metadata at load, when the first 4 KiB of the metadata device are zero. Anything else there \
                 that is not a pool is refused.",
        changes: "The low water mark and the features are a `reload`, all but ignore_discard; a longer row grows \
                  the pool, for good. Another block size, data or metadata device takes a new device; a pool \
                  can't shrink.",
        example: "type = \"thin-pool\"\nmetadata = \"/dev/disk/by-id/disk-a-part1\"\ndata = \
                  \"/dev/disk/by-id/disk-a-part2\"\nblock_size = \"64KiB\"\nlow_water_mark = 1024\n\
                  error_if_no_space = true",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let failed = Failed::parse(words);
        if failed.is() {
            return Ok(Self::unknown(failed));
        }
        let mut pool = Self {
            metadata: words.device("the metadata device")?,
            data: words.device("the data device")?,
            block_size: words.sectors("the block size")?,
            low_water_mark: words.number("the low water mark")?,
            ..Self::default()
        };
        let mut features = words.counted("features")?;
        if features.left() > MAX_FEATURES {
            return Err(words.wrong(format!("the kernel takes at most {MAX_FEATURES} features of a pool")));
        }
        Self::FEATURES.parse(&mut pool, &mut features)?;
        Ok(pool)
    }

    fn print(&self, out: &mut Printer) {
        if self.failed.is() {
            out.word("Fail");
            return;
        }
        out.device(&self.metadata).device(&self.data).word(self.block_size).word(self.low_water_mark);
        out.always_counted(|out| Self::FEATURES.print(self, out));
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        if live.failed.is() {
            return differences.unknown(Incomparable::Unreadable(Failed::WHY));
        }
        differences.field_with_reason(
            "metadata",
            &self.metadata,
            &live.metadata,
            Effect::Recreate,
            "the kernel refuses another metadata device for a live pool",
        );
        differences.field_with_reason(
            "data",
            &self.data,
            &live.data,
            Effect::Recreate,
            "the kernel refuses another data device for a live pool",
        );
        differences.field_with_reason(
            "block_size",
            &self.block_size,
            &live.block_size,
            Effect::Recreate,
            "the kernel would accept it and ignore it",
        );
        let [wanted, printed] = [self, live].map(|pool| Unit::Blocks.of(pool.low_water_mark));
        differences.field("low_water_mark", &wanted, &printed, Effect::Tune);
        Self::FEATURES.compare(self, live, differences);
    }
}

impl Target for ThinPool {
    fn read_state(&self, words: &mut Words<'_>, _: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        state::read(self, words)
    }

    fn fresh_state(&self, row: FreshRow<'_>) -> String {
        state::fresh(self, row)
    }

    fn may_need_repair(&self) -> bool {
        true
    }

    /// A pool that needs a check, or has failed, stays in its mode whatever is loaded (`set_pool_mode` in
    /// `drivers/md/dm-thin.c`); without room for metadata it can't record more data blocks, and then needs a check
    /// (`maybe_resize_data_dev`).
    fn repair(&self, damage: Damage, grows: bool) -> Option<Repair> {
        (damage != Damage::ReadOnly || grows).then_some(Repair::of_pool(damage))
    }

    fn keeps_state(&self) -> bool {
        true
    }

    fn writes_unasked(&self) -> bool {
        !self.read_only
    }

    /// Metadata grows with its device when the pool is resumed (`maybe_resize_metadata_dev` in
    /// `drivers/md/dm-thin.c`); data grows with the row.
    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        if self.failed.is() {
            return DeviceUses::new();
        }
        smallvec![
            DeviceUse::whole(&self.metadata, DeviceAccess::Write)
                .apart()
                .taking_size(SizeTaken::AtResume)
                .with_own_io(OwnIo::EachChange),
            DeviceUse::write(&self.data, 0, length),
        ]
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        if self.failed.is() { Vec::new() } else { vec![&mut self.metadata, &mut self.data] }
    }

    fn check(&self, _: Option<u64>, problems: &mut Problems) {
        if self.failed.is() {
            problems.at("", Failed::WHY);
        }
        problems.multiple("block_size", self.block_size.0, BLOCK_STEP, BLOCK_STEP, MAX_BLOCK_SIZE);
        if self.metadata == self.data {
            problems.at("metadata", "a pool needs two devices, one for metadata and another for data");
        }
        if Self::FEATURES.count(self) > MAX_FEATURES {
            let message = "the kernel takes at most four of the five features";
            let help = "leave out no_discard_passdown, which means nothing where discards are ignored";
            problems.at("ignore_discard", message).help(help);
        }
    }

    fn resized(&self, length: u64, live_length: u64, differences: &mut Differences) {
        let (length, live_length) = (Sectors(length), Sectors(live_length));
        if length < live_length {
            let why = "a pool can't shrink: the kernel takes the shorter table and then fails to resume it";
            differences.field_with_reason("length", &length, &live_length, Effect::Recreate, why);
        } else {
            differences.field("length", &length, &live_length, Effect::Tune);
        }
    }

    fn remaining_length(&self, size_of: SizeOf<'_>) -> RemainingLength {
        let block = self.block_size.0;
        RemainingLength::of_size(&self.data, size_of, |size| {
            in_whole_blocks(size, block).ok_or_else(|| NoRoom::LessThanBlock {
                device: (&self.data).into(),
                size,
                block: Block::Sectors(block),
            })
        })
    }

    fn metadata(&self) -> Vec<Metadata<'_>> {
        vec![Metadata::persistent_data::<MAGIC>(&self.metadata, "the kernel formats a new, empty pool")]
    }

    /// `__open_or_format_metadata` in `drivers/md/dm-thin-metadata.c` (`EPERM`), `pool_message` in `dm-thin.c` (`EOPNOTSUPP`).
    fn keeps_metadata(&self) -> bool {
        self.read_only
    }

    fn volume_list(&self) -> Option<VolumeList<'_>> {
        Some(if self.failed.is() { VolumeList::Untold } else { VolumeList::On(&self.metadata) })
    }

    /// A pool that must be checked, or only reads, does not grow (`maybe_resize_metadata_dev`).
    fn outgrown(&self, on_disk: &OnDisk<'_>) -> Option<(&Device, u64)> {
        let head = on_disk.first()?;
        let counted = le64(head, at::METADATA_BLOCKS).filter(|counted| *counted > 0)?;
        let needs_check = le32(head, at::FLAGS)? & NEEDS_CHECK != 0;
        let there = metadata_blocks((on_disk.size_of)(&self.metadata)?);
        (there > counted && !needs_check && !self.read_only)
            .then_some((&self.metadata, counted.checked_mul(8)?))
    }

    /// The block size is checked at load (`__open_metadata` in `drivers/md/dm-thin-metadata.c`), both sizes at resume
    /// (`maybe_resize_data_dev` and `maybe_resize_metadata_dev` in `dm-thin.c`).
    fn contradiction(&self, on_disk: &OnDisk<'_>) -> Option<Contradiction> {
        const METADATA: &str = "the pool's metadata";
        let head = on_disk.first()?;
        let block = Sectors(u64::from(le32(head, at::BLOCK_SIZE)?));
        // Metadata without a block size was never written by a kernel.
        if block.0 == 0 {
            return None;
        }
        let fixed = Contradiction::field(&self.metadata, METADATA, "block_size", &block, &self.block_size);
        let counted = le64(head, at::DATA_BLOCKS)?;
        let blocks = |sectors: u64| sectors / block.0;
        let there = blocks(on_disk.length);
        let fewer = || {
            let is_all = (on_disk.size_of)(&self.data).map(blocks) == Some(there);
            (there < counted).then_some(Contradiction::TooSmall {
                metadata: METADATA,
                counted,
                unit: "blocks",
                room: if is_all { "the data device" } else { "this table" },
                there,
                remedy: "give it its size back or make a new pool on other metadata",
            })
        };
        let counted = le64(head, at::METADATA_BLOCKS)?;
        let smaller = || {
            let there = metadata_blocks((on_disk.size_of)(&self.metadata)?);
            (there < counted).then_some(Contradiction::TooSmall {
                metadata: METADATA,
                counted,
                unit: "blocks of its own",
                room: "the metadata device",
                there,
                remedy: "give it its size back",
            })
        };
        fixed.or_else(fewer).or_else(smaller)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::targets::Target;
    use crate::targets::frame::ErasedTarget;
    use crate::targets::kit::{self, device};

    fn pools() -> impl Strategy<Value = ThinPool> {
        (device(), device(), 1u64..=16384, 0..1u64 << 63, prop::array::uniform5(any::<bool>())).prop_map(
            |(metadata, data, blocks, low_water_mark, [skip, ignore, passdown, read_only, error])| ThinPool {
                metadata,
                data,
                block_size: Sectors(blocks * BLOCK_STEP),
                low_water_mark,
                skip_block_zeroing: skip,
                ignore_discard: ignore,
                no_discard_passdown: passdown && !(skip && ignore && read_only && error),
                read_only,
                error_if_no_space: error,
                failed: Failed::default(),
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(pool in pools()) {
            kit::round_trip(&pool)?;
        }
    }

    #[test]
    fn what_the_kernel_refuses_is_refused() {
        kit::refused::<ThinPool>("1:1 1:0 100 0", "nearest is 128");
        kit::refused::<ThinPool>("1:1 1:1 128 0", "two devices");
        kit::refused::<ThinPool>("1:1 1:0 128 0 1 skip_zeroing", "no feature");
        kit::refused::<ThinPool>(
            "1:1 1:0 128 0 5 skip_block_zeroing ignore_discard no_discard_passdown read_only error_if_no_space",
            "at most 4",
        );
    }

    #[test]
    fn what_a_live_pool_takes() {
        let live = kit::parse::<ThinPool>("1:1 1:0 128 0 0 ");
        assert_eq!(kit::effect("1:1 1:0 128 9 1 read_only", &live), Some(Effect::Tune));
        for row in ["1:1 1:0 256 0", "1:1 1:0 128 0 1 ignore_discard", "1:1 1:2 128 0", "1:2 1:0 128 0"] {
            assert_eq!(kit::effect(row, &live), Some(Effect::Recreate), "{row}");
        }
    }

    #[test]
    fn a_pool_grows_and_never_shrinks() {
        let pool = kit::parse::<ThinPool>("1:1 1:0 128 0");
        assert_eq!(kit::resized(&pool, 2048, 1024), Some(Effect::Tune));
        assert_eq!(kit::resized(&pool, 1024, 2048), Some(Effect::Recreate));
    }

    #[test]
    fn a_failed_pool_is_unknown() {
        let live = kit::parse::<ThinPool>("Fail");
        assert_eq!(kit::print(&live), "Fail");
        assert!(kit::differences(&kit::parse("1:1 1:0 128 0"), &live).unknown.is_some());
        assert!(live.fields().is_empty());
        assert!(
            toml::from_str::<ThinPool>("metadata = '1:1'\ndata = '1:0'\nblock_size = 128\nfailed = true")
                .is_err()
        );
    }

    #[test]
    fn the_length_follows_from_the_data_device() {
        let pool = kit::parse::<ThinPool>("1:1 1:0 128 0");
        assert_eq!(pool.remaining_length(&|_| Some(1000)), RemainingLength::Sectors(896));
        assert!(matches!(pool.remaining_length(&|_| Some(100)), RemainingLength::TooSmall(_)));
        assert_eq!(pool.remaining_length(&|_| None), RemainingLength::Unknown);
    }
}
