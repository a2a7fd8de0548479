//! `ebs`: smaller logical blocks than the device has. Kernel source: `drivers/md/dm-ebs-target.c`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{
    DeviceUse, DeviceUses, Differences, Doc, Effect, ParamsError, Printer, Problems, Target, TargetKind,
    Words,
};
use crate::device::Device;
use crate::units::{SECTOR, Sectors};

/// The largest emulated block in sectors: a page, which has 4 KiB on x86 and up to 64 KiB elsewhere.
const MAX_EMULATED: u64 =
    if cfg!(any(target_arch = "x86", target_arch = "x86_64")) { 4096 / SECTOR } else { 65536 / SECTOR };
/// The largest underlying block in sectors: the largest power of two in the 16 bits the kernel reads.
const MAX_UNDERLYING: u64 = 1 << 15;

/// Smaller logical blocks than the device has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ebs {
    /// The device below.
    pub device: Device,
    /// The first sector used of the device.
    #[serde(default)]
    pub offset: Sectors,
    /// The logical block that is offered: a power of two of sectors, at most a page.
    pub emulated_sectors: Sectors,
    /// The block that the device is read and written in: a power of two of sectors. Default: the logical
    /// block size of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub underlying_sectors: Option<Sectors>,
}

impl TargetKind for Ebs {
    const NAME: &'static str = "ebs";
    const DOC: Doc = Doc {
        summary: "Offers a smaller logical block size than the device has, by reading, changing and writing whole \
                  blocks.",
        since: "5.8",
        writes: "Nothing.",
        changes: "Other block sizes are a `reload`: no sector moves. Another device or offset maps the same sectors \
                  to another place (`remap`).",
        example: "type = \"ebs\"\nlength = \"1MiB\"\ndevice = \"/dev/disk/by-id/disk-4kn\"\nemulated_sectors = 1\n\
                  underlying_sectors = 8",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        Ok(Self {
            device: words.device("the device")?,
            offset: words.sectors("the offset")?,
            emulated_sectors: words.sectors("the emulated block size in sectors")?,
            underlying_sectors: if words.left() > 0 {
                Some(words.sectors("the underlying block size in sectors")?)
            } else {
                None
            },
        })
    }

    fn print(&self, out: &mut Printer) {
        out.device(&self.device).word(self.offset).word(self.emulated_sectors);
        if let Some(underlying) = self.underlying_sectors {
            out.word(underlying);
        }
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        differences.field("device", &self.device, &live.device, Effect::Remap);
        differences.field("offset", &self.offset, &live.offset, Effect::Remap);
        differences.field("emulated_sectors", &self.emulated_sectors, &live.emulated_sectors, Effect::Tune);
        differences.optional(
            "underlying_sectors",
            self.underlying_sectors.as_ref(),
            live.underlying_sectors.as_ref(),
            Effect::Tune,
        );
    }
}

impl Target for Ebs {
    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        smallvec![DeviceUse::write(&self.device, self.offset.0, length)]
    }

    /// The emulated block, whatever the device below has (`ebs_io_hints`): that is what the target is for.
    fn logical_block(&self, _: u64) -> u64 {
        self.emulated_sectors.0.max(1)
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        vec![&mut self.device]
    }

    fn check(&self, length: Option<u64>, problems: &mut Problems) {
        problems.power_of_two("emulated_sectors", self.emulated_sectors.0, 1, MAX_EMULATED);
        if let Some(underlying) = self.underlying_sectors {
            problems.power_of_two("underlying_sectors", underlying.0, 1, MAX_UNDERLYING);
        }
        // The emulated block becomes the logical block of the device, and rows must be made of whole ones.
        if let Some(length) = length.filter(|_| self.emulated_sectors.0 > 0) {
            problems.multiple("length", length, self.emulated_sectors.0, self.emulated_sectors.0, u64::MAX);
        }
    }

    fn linear_map(&self) -> Option<(&Device, u64)> {
        Some((&self.device, self.offset.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::targets::kit::{check, device, problems, round_trip, sectors};

    proptest! {
        #[test]
        fn rows_read_back(
            device in device(),
            offset in sectors(),
            emulated in 0u32..=3,
            underlying in prop::option::of(0u32..=15),
        ) {
            let ebs = Ebs {
                device,
                offset,
                emulated_sectors: Sectors(1 << emulated),
                underlying_sectors: underlying.map(|shift| Sectors(1 << shift)),
            };
            prop_assert_eq!(problems(&ebs, Some(64)), []);
            round_trip(&ebs)?;
        }
    }

    #[test]
    fn block_sizes_are_checked() {
        assert_eq!(check::<Ebs>("1:0 0 3", None).len(), 1);
        assert_eq!(check::<Ebs>("1:0 0 0", Some(8)).len(), 1);
        assert_eq!(check::<Ebs>("1:0 0 256", None).len(), 1);
        assert_eq!(check::<Ebs>("1:0 0 1 6", None)[0].field, "underlying_sectors");
        assert_eq!(check::<Ebs>("1:0 0 8", Some(12))[0].field, "length");
    }
}
