//! `clone`: a copy that can be used while it is being made. Kernel source: `drivers/md/dm-clone-target.c`,
//! `drivers/md/dm-clone-metadata.c`.

mod state;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{
    Contradiction, Copy, DeviceAccess, DeviceUse, DeviceUses, Differences, Doc, Effect, FreshRow, LiveRow,
    MessageForm, Metadata, Need, OnDisk, Options, OwnIo, ParamsError, Printer, Problems, RemainingLength,
    Remedy, SizeOf, SizeTaken, State, Status, Syntax, Target, TargetKind, Traits, Unfinished, Words, le64,
    option,
};
use crate::device::Device;
use crate::units::Sectors;

/// `SUPERBLOCK_MAGIC` of `dm-clone-metadata.c`.
const MAGIC: u64 = 0x8af2_7f64;
/// The smallest region (`MIN_REGION_SIZE`): 4 KiB.
const MIN_REGION_SIZE: u64 = 8;
/// The largest region (`MAX_REGION_SIZE`): 1 GiB.
const MAX_REGION_SIZE: u64 = 2_097_152;

/// A copy that can be used while it is being made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Clone {
    /// The device that records which regions are copied.
    pub metadata: Device,
    /// The device that becomes the copy. It is overwritten.
    pub destination: Device,
    /// The device that is copied; it is only read.
    pub source: Device,
    /// How much is copied at a time: a power of two from 4 KiB to 1 GiB, fixed when the metadata is formatted.
    pub region_size: Sectors,
    /// Don't copy in the background; regions are copied when they are written. A message switches it on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_hydration: bool,
    /// Don't pass discards on to the destination.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_discard_passdown: bool,
    /// How many regions may be in copy at the same time; default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hydration_threshold: Option<u32>,
    /// How many adjacent regions are copied together; default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hydration_batch_size: Option<u32>,
}

impl Clone {
    /// `no_hydration` is compared by hand: its reason depends on the direction.
    const FEATURES: Options<Self> = Options {
        syntax: Syntax::Spaced { unknown: "a clone has no feature {}", ignore_case: true },
        all: &[option!(no_hydration), option!(no_discard_passdown).tune()],
    };

    /// The core arguments and their defaults (`DEFAULT_HYDRATION_THRESHOLD`, `DEFAULT_HYDRATION_BATCH_SIZE`). They
    /// count regions.
    const CORE: Options<Self> = Options {
        syntax: Syntax::Spaced { unknown: "a clone has no core argument {}", ignore_case: true },
        all: &[
            option!(hydration_threshold).tune().default(1),
            option!(hydration_batch_size).tune().default(1),
        ],
    };
}

/// The messages that it takes.
const MESSAGES: &[MessageForm] = &[
    MessageForm::tunes("enable_hydration", "", "copies in the background"),
    MessageForm::tunes("disable_hydration", "", "copies no more in the background"),
    MessageForm::tunes("hydration_threshold", "REGIONS", "copies at most that many regions at once"),
    MessageForm::tunes(
        "hydration_batch_size",
        "REGIONS",
        "copies that many regions that follow each other in one request",
    ),
];

impl TargetKind for Clone {
    const NAME: &'static str = "clone";
    const TRAITS: Traits =
        Traits { status: Status::Always, suspend_before_load: true, messages: MESSAGES, ..Traits::PLAIN };
    const DOC: Doc = Doc {
        summary: "A copy of a device that can be used, and written, while it is being made: what is not copied \
                  yet is read from the source.",
        since: "5.4",
        writes: "Fresh metadata at load, when the first 4 KiB of the metadata device are zero; anything else \
                 there that is not such metadata is refused. Then the destination, region by region.",
        changes: "The features and the two hydration fields are a `reload`, loaded while the device is suspended; \
                  with no_hydration a new table stops a copy that a message had started. Another device is a \
                  `remap`; another region size takes fresh metadata. When all regions are copied, replace it by \
                  `linear` on the destination.",
        example: "type = \"clone\"\nmetadata = \"/dev/disk/by-id/disk-a-part1\"\ndestination = \
                  \"/dev/disk/by-id/disk-a-part2\"\nsource = \"/dev/disk/by-id/disk-b\"\nregion_size = \"4KiB\"\n\
                  hydration_threshold = 8",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let mut clone = Self {
            metadata: words.device("the metadata device")?,
            destination: words.device("the destination")?,
            source: words.device("the source")?,
            region_size: words.sectors("the region size")?,
            ..Self::default()
        };
        Self::FEATURES.parse(&mut clone, &mut words.counted("features")?)?;
        Self::CORE.parse(&mut clone, &mut words.counted("core arguments")?)?;
        Ok(clone)
    }

    fn print(&self, out: &mut Printer) {
        out.device(&self.metadata).device(&self.destination).device(&self.source).word(self.region_size);
        let features = |out: &mut Printer| Self::FEATURES.print(self, out);
        // The kernel takes core arguments only behind a count of features, which may be 0.
        if self.hydration_threshold.or(self.hydration_batch_size).is_none() {
            out.counted(features);
            return;
        }
        out.always_counted(features).counted(|out| Self::CORE.print(self, out));
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        let why = "another metadata device knows of other copied regions, or of none";
        differences.field_with_reason("metadata", &self.metadata, &live.metadata, Effect::Remap, why);
        differences.field("destination", &self.destination, &live.destination, Effect::Remap);
        differences.field("source", &self.source, &live.source, Effect::Remap);
        differences.fixed("region_size", &self.region_size, &live.region_size, "metadata");
        let (wanted, printed) = (self.no_hydration, live.no_hydration);
        let why =
            if wanted { "the copy in the background stops" } else { "the copy in the background starts" };
        differences.field_with_reason("no_hydration", &wanted, &printed, Effect::Tune, why);
        Self::FEATURES.compare(self, live, differences);
        Self::CORE.compare(self, live, differences);
    }
}

impl Target for Clone {
    fn unfinished(&self) -> Option<Unfinished> {
        Some(Unfinished::UnhydratedRegions)
    }

    fn copies(&self, _: Option<&dyn State>) -> Vec<Copy<'_>> {
        vec![Copy { device: &self.destination, sector: 0 }]
    }

    fn remedy(&self, _: Option<&dyn State>) -> Remedy {
        if self.no_hydration { Remedy::Order("take no_hydration out, apply") } else { Remedy::Wait }
    }

    fn read_state(&self, words: &mut Words<'_>, _: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        state::read(words)
    }

    fn fresh_state(&self, row: FreshRow<'_>) -> String {
        state::fresh(self, row)
    }

    fn keeps_state(&self) -> bool {
        true
    }

    fn copies_unasked(&self) -> bool {
        true
    }

    fn writes_unasked(&self) -> bool {
        true
    }

    /// The constructor refuses devices that are shorter than the row (`parse_dest_dev` and `parse_source_dev` in
    /// `drivers/md/dm-clone-target.c`).
    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        smallvec![
            DeviceUse::whole(&self.metadata, DeviceAccess::Write).apart().with_own_io(OwnIo::Flushed),
            DeviceUse::write(&self.destination, 0, length).taking_size(SizeTaken::Checked),
            DeviceUse {
                access: DeviceAccess::Read,
                ..DeviceUse::write(&self.source, 0, length).taking_size(SizeTaken::Checked)
            },
        ]
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        vec![&mut self.metadata, &mut self.destination, &mut self.source]
    }

    fn check(&self, _: Option<u64>, problems: &mut Problems) {
        problems.power_of_two("region_size", self.region_size.0, MIN_REGION_SIZE, MAX_REGION_SIZE);
        if self.source == self.destination {
            problems.at("destination", "the destination must be another device than the source");
        }
        if self.metadata == self.source || self.metadata == self.destination {
            problems.at("metadata", "the metadata must be on a device of its own");
        }
    }

    fn resized(&self, length: u64, live_length: u64, differences: &mut Differences) {
        differences.fixed("length", &Sectors(length), &Sectors(live_length), "metadata");
    }

    fn remaining_length(&self, size_of: SizeOf<'_>) -> RemainingLength {
        RemainingLength::from_sector(&self.source, 0, size_of)
    }

    /// `clone_map` reads a region from the source until that is copied.
    fn fresh_map(&self) -> Option<(&Device, u64)> {
        Some((&self.source, 0))
    }

    fn metadata(&self) -> Vec<Metadata<'_>> {
        vec![Metadata::persistent_data::<MAGIC>(
            &self.metadata,
            "the kernel formats new metadata and copies the source over the destination",
        )]
    }

    /// `__open_metadata` in `drivers/md/dm-clone-metadata.c`; `struct superblock_disk` has the offsets.
    fn contradiction(&self, on_disk: &OnDisk<'_>) -> Option<Contradiction> {
        const METADATA: &str = "the metadata of the clone";
        let head = on_disk.first()?;
        let region = Sectors(le64(head, 172)?);
        let length = Sectors(le64(head, 180)?);
        if region.0 == 0 {
            return None;
        }
        let length = (length, Sectors(on_disk.length));
        let regions =
            Contradiction::field(&self.metadata, METADATA, "region_size", &region, &self.region_size);
        regions.or_else(|| Contradiction::field(&self.metadata, METADATA, "length", &length.0, &length.1))
    }

    /// The space map is in the superblock as well (`metadata_space_map_root`).
    fn needs(&self, on_disk: &OnDisk<'_>, _: Option<&dyn State>) -> Vec<Need<'_>> {
        let need = |head| Need::of_space_map(&self.metadata, head, 44, "the metadata of the clone");
        on_disk.first().and_then(need).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::targets::kit::{self, device};

    fn clones() -> impl Strategy<Value = Clone> {
        let devices = (device(), device(), device());
        let values = (prop::option::of(any::<u32>()), prop::option::of(any::<u32>()));
        (devices, 3u32..=21, any::<bool>(), any::<bool>(), values).prop_map(
            |(devices, power, no_hydration, no_discard_passdown, (threshold, batch))| Clone {
                metadata: devices.0,
                destination: devices.1,
                source: devices.2,
                region_size: Sectors(1 << power),
                no_hydration,
                no_discard_passdown,
                hydration_threshold: threshold,
                hydration_batch_size: batch,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(clone in clones()) {
            kit::round_trip(&clone)?;
        }
    }

    #[test]
    fn what_the_kernel_refuses_is_refused() {
        let equal = |one, two| kit::compare::<Clone>(one, two).is_equal();
        assert!(equal("1:1 1:2 1:0 8 1 no_hydration", "1:1 1:2 1:0 08 1 NO_HYDRATION"));
        assert!(equal("1:1 1:2 1:0 8", "1:1 1:2 1:0 8 0 2 hydration_threshold 1"));
        kit::refused::<Clone>("1:1 1:2 1:0 12", "nearest is 16");
        kit::refused::<Clone>("1:1 1:2 1:0 4", "nearest is 8");
        kit::refused::<Clone>("1:1 1:2 1:0 8 1 no_hydrate", "no feature");
        kit::refused::<Clone>("1:1 1:2 1:0 8 0 1 hydration_threshold", "the row ends");
        kit::refused::<Clone>("1:1 1:2 1:2 8", "another device");
    }

    #[test]
    fn what_a_change_takes() {
        let live = kit::parse::<Clone>("1:1 1:2 1:0 8");
        assert_eq!(kit::effect("1:1 1:2 1:0 8 1 no_hydration", &live), Some(Effect::Tune));
        assert_eq!(kit::effect("1:1 1:2 1:3 8", &live), Some(Effect::Remap));
        assert_eq!(kit::effect("1:1 1:2 1:0 16", &live), Some(Effect::Recreate));
        assert_eq!(kit::resized(&live, 2048, 1024), Some(Effect::Recreate));
    }
}
