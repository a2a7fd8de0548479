//! `era`: a device that records which blocks were written in which era. Kernel source:
//! `drivers/md/dm-era-target.c`.

mod state;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{
    Contradiction, DeviceAccess, DeviceUse, DeviceUses, Differences, Doc, Effect, FreshRow, LiveRow,
    MessageForm, Metadata, Need, OnDisk, OwnIo, ParamsError, Printer, Problems, RemainingLength, SizeOf,
    State, Status, Target, TargetKind, Traits, Words, le32,
};
use crate::device::Device;
use crate::units::Sectors;

/// `SUPERBLOCK_MAGIC` of `dm-era-target.c`.
const MAGIC: u64 = 2_126_579_579;
/// What every block is a multiple of (`MIN_BLOCK_SIZE`).
const BLOCK_STEP: u64 = 8;
/// The largest multiple that the kernel keeps: 32 bits of sectors.
const MAX_BLOCK_SIZE: u64 = (u32::MAX as u64) / BLOCK_STEP * BLOCK_STEP;

/// A device that records which blocks were written in which era.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Era {
    /// The device that holds the records.
    pub metadata: Device,
    /// The device that holds the data.
    pub origin: Device,
    /// How much one record stands for: a multiple of 4 KiB, fixed when the metadata is formatted.
    pub block_size: Sectors,
}

/// The messages that it takes.
const MESSAGES: &[MessageForm] = &[
    MessageForm::tunes("checkpoint", "", "begins a new era"),
    MessageForm::tunes(
        "take_metadata_snap",
        "",
        "holds a snapshot of the metadata, for programs that read it",
    ),
    MessageForm::tunes("drop_metadata_snap", "", "lets go of it"),
];

impl TargetKind for Era {
    const NAME: &'static str = "era";
    const TRAITS: Traits = Traits {
        status: Status::HangsSuspended,
        counts_from_device: true,
        first_only: true,
        suspend_before_load: true,
        messages: MESSAGES,
        ..Traits::PLAIN
    };
    const DOC: Doc = Doc {
        summary: "A device as it is, and a record of which blocks were written in which era: for backups and \
                  caches that must know what changed.",
        since: "3.15",
        writes: "Fresh metadata at load, when the first 4 KiB of the metadata device are zero. Anything else \
                 there that is not such metadata is refused.",
        changes: "Any new table begins a new era and is loaded while the device is suspended. Another origin or \
                  metadata device is a `remap`; another block size takes fresh metadata.",
        example: "type = \"era\"\nmetadata = \"/dev/disk/by-id/disk-a-part1\"\norigin = \
                  \"/dev/disk/by-id/disk-a-part2\"\nblock_size = \"64KiB\"",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        Ok(Self {
            metadata: words.device("the metadata device")?,
            origin: words.device("the origin")?,
            block_size: words.sectors("the block size")?,
        })
    }

    fn print(&self, out: &mut Printer) {
        out.device(&self.metadata).device(&self.origin).word(self.block_size);
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        let why = "another metadata device knows of other eras, or of none";
        differences.field_with_reason("metadata", &self.metadata, &live.metadata, Effect::Remap, why);
        differences.field("origin", &self.origin, &live.origin, Effect::Remap);
        differences.fixed("block_size", &self.block_size, &live.block_size, "metadata");
    }
}

impl Target for Era {
    fn read_state(&self, words: &mut Words<'_>, _: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        state::read(words)
    }

    fn fresh_state(&self, row: FreshRow<'_>) -> String {
        state::fresh(self, row)
    }

    fn keeps_state(&self) -> bool {
        true
    }

    fn writes_unasked(&self) -> bool {
        true
    }

    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        smallvec![
            DeviceUse::whole(&self.metadata, DeviceAccess::Write).apart().with_own_io(OwnIo::EachChange),
            DeviceUse::write(&self.origin, 0, length),
        ]
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        vec![&mut self.metadata, &mut self.origin]
    }

    fn check(&self, _: Option<u64>, problems: &mut Problems) {
        problems.multiple("block_size", self.block_size.0, BLOCK_STEP, BLOCK_STEP, MAX_BLOCK_SIZE);
        if self.metadata == self.origin {
            problems.at("metadata", "the metadata must be on another device than the origin");
        }
    }

    fn linear_map(&self) -> Option<(&Device, u64)> {
        Some((&self.origin, 0))
    }

    fn remaining_length(&self, size_of: SizeOf<'_>) -> RemainingLength {
        RemainingLength::from_sector(&self.origin, 0, size_of)
    }

    fn metadata(&self) -> Vec<Metadata<'_>> {
        vec![Metadata::persistent_data::<MAGIC>(
            &self.metadata,
            "the kernel formats new metadata, which knows of no era",
        )]
    }

    /// `open_metadata` in `drivers/md/dm-era-target.c`; `struct superblock_disk` has the offset.
    fn contradiction(&self, on_disk: &OnDisk<'_>) -> Option<Contradiction> {
        let block = Sectors(u64::from(le32(on_disk.first()?, 172)?));
        let known = Some(block).filter(|block| block.0 > 0)?;
        Contradiction::field(&self.metadata, "the metadata of era", "block_size", &known, &self.block_size)
    }

    /// The space map is in the superblock as well (`metadata_space_map_root`).
    fn needs(&self, on_disk: &OnDisk<'_>, _: Option<&dyn State>) -> Vec<Need<'_>> {
        let need = |head| Need::of_space_map(&self.metadata, head, 44, "the metadata of era");
        on_disk.first().and_then(need).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::targets::kit::{self, device};

    proptest! {
        #[test]
        fn what_is_printed_reads_back(metadata in device(), origin in device(), blocks in 1..MAX_BLOCK_SIZE / 8) {
            let era = Era { metadata, origin, block_size: Sectors(blocks * 8) };
            kit::round_trip(&era)?;
        }
    }

    #[test]
    fn what_the_kernel_refuses_is_refused() {
        kit::refused::<Era>("1:1 1:0 4", "nearest is 8");
        kit::refused::<Era>("1:1 1:0 0", "nearest is 8");
        kit::refused::<Era>("1:1 1:1 8", "another device");
    }

    #[test]
    fn what_a_change_takes() {
        let live = kit::parse::<Era>("1:1 1:0 128");
        assert_eq!(kit::effect("1:1 1:2 128", &live), Some(Effect::Remap));
        assert_eq!(kit::effect("1:1 1:0 64", &live), Some(Effect::Recreate));
    }
}
