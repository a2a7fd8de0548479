//! `unstriped`: one stripe of a striped device, by itself. Kernel source: `drivers/md/dm-unstripe.c`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{
    DeviceAccess, DeviceUse, DeviceUses, Differences, Doc, Effect, NoRoom, ParamsError, Printer, Problems,
    RemainingLength, SizeOf, Target, TargetKind, Words,
};
use crate::device::Device;
use crate::units::Sectors;

/// One stripe of a striped device, by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unstriped {
    /// How many stripes the device has.
    pub stripes: u32,
    /// How much is on one stripe before the next one's turn, at most 4294967295 sectors.
    pub chunk: Sectors,
    /// Which stripe, from 0.
    pub stripe: u32,
    /// The striped device.
    pub device: Device,
    /// The sector at which its first stripe starts.
    #[serde(default)]
    pub offset: Sectors,
}

impl Unstriped {
    /// How many sectors all stripes have in a row.
    fn row(&self) -> u64 {
        u64::from(self.stripes).saturating_mul(self.chunk.0)
    }

    /// The first sector of this stripe.
    fn first(&self) -> u64 {
        u64::from(self.stripe).saturating_mul(self.chunk.0).saturating_add(self.offset.0)
    }
}

impl TargetKind for Unstriped {
    const NAME: &'static str = "unstriped";
    const MODULE: Option<&'static str> = Some("dm-unstripe");
    const DOC: Doc = Doc {
        summary: "One stripe of a striped device as a device of its own: the inverse of `striped`.",
        since: "4.16",
        writes: "Nothing.",
        changes: "Every field says where sectors are: another value maps them to another place (`remap`).",
        example: "type = \"unstriped\"\nlength = \"1MiB\"\nstripes = 2\nchunk = \"64KiB\"\nstripe = 0\ndevice = \
                  \"/dev/disk/by-id/disk-a\"",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        Ok(Self {
            stripes: words.number("the number of stripes")?,
            chunk: words.sectors("the chunk size")?,
            stripe: words.number("the stripe")?,
            device: words.device("the device")?,
            offset: words.sectors("the offset")?,
        })
    }

    fn print(&self, out: &mut Printer) {
        out.word(self.stripes).word(self.chunk).word(self.stripe).device(&self.device).word(self.offset);
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        differences.field("stripes", &self.stripes, &live.stripes, Effect::Remap);
        differences.field("chunk", &self.chunk, &live.chunk, Effect::Remap);
        differences.field("stripe", &self.stripe, &live.stripe, Effect::Remap);
        differences.field("device", &self.device, &live.device, Effect::Remap);
        differences.field("offset", &self.offset, &live.offset, Effect::Remap);
    }
}

impl Target for Unstriped {
    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        let chunks = length.div_ceil(self.chunk.0.max(1));
        let span = chunks.saturating_sub(1).saturating_mul(self.row()).saturating_add(self.chunk.0);
        // The stripes beside this one lie within the same span, and each may have its own mapping.
        smallvec![DeviceUse {
            start: self.first(),
            length: Some(if chunks == 0 { 0 } else { span }),
            ..DeviceUse::whole(&self.device, DeviceAccess::Shared)
        }]
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        vec![&mut self.device]
    }

    fn linear_map(&self) -> Option<(&Device, u64)> {
        (self.stripes == 1).then_some((&self.device, self.offset.0))
    }

    fn check(&self, length: Option<u64>, problems: &mut Problems) {
        problems.range("stripes", u64::from(self.stripes), 1, u64::from(u32::MAX));
        problems.range("chunk", self.chunk.0, 1, u64::from(u32::MAX));
        // The kernel lets the index be one too large, and reads past the stripes then.
        problems.range("stripe", u64::from(self.stripe), 0, u64::from(self.stripes.saturating_sub(1)));
        if let Some(length) = length.filter(|_| self.chunk.0 > 0) {
            problems.multiple("length", length, self.chunk.0, self.chunk.0, u64::MAX);
        }
    }

    /// As many chunks as this stripe has on the device.
    fn remaining_length(&self, size_of: SizeOf<'_>) -> RemainingLength {
        let span = match RemainingLength::from_sector(&self.device, self.first(), size_of) {
            RemainingLength::Sectors(span) => span,
            other => return other,
        };
        let whole_rows = span / self.row().max(1);
        let last = u64::from(span % self.row().max(1) >= self.chunk.0);
        match whole_rows.saturating_add(last).saturating_mul(self.chunk.0) {
            0 => RemainingLength::TooSmall(NoRoom::LessThanChunk {
                device: (&self.device).into(),
                chunk: self.chunk.0,
                stripe: self.stripe,
            }),
            length => RemainingLength::Sectors(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::targets::kit::{check, device, parse, problems, round_trip, sectors};

    proptest! {
        #[test]
        fn rows_read_back(
            (stripes, stripe) in (1u32..).prop_flat_map(|stripes| (Just(stripes), 0..stripes)),
            chunk in 1u64..=u64::from(u32::MAX),
            device in device(),
            offset in sectors(),
        ) {
            let unstriped = Unstriped { stripes, chunk: Sectors(chunk), stripe, device, offset };
            prop_assert_eq!(problems(&unstriped, None), []);
            round_trip(&unstriped)?;
        }

        #[test]
        fn the_rest_is_what_the_device_holds(stripes in 1u32..9, stripe in 0u32..8, chunk in 1u64..99, size in 0u64..9999) {
            let row = format!("{stripes} {chunk} {} 1:0 3", stripe % stripes);
            let target: Unstriped = parse(&row);
            if let RemainingLength::Sectors(length) = target.remaining_length(&|_| Some(size)) {
                let lowers = target.lower_devices(length);
                prop_assert!(lowers[0].start + lowers[0].length.unwrap_or(0) <= size);
                let longer = target.lower_devices(length + chunk);
                prop_assert!(longer[0].start + longer[0].length.unwrap_or(0) > size);
            }
        }
    }

    #[test]
    fn the_index_is_below_the_count() {
        let problems = check::<Unstriped>("2 16 2 1:0 0", None);
        assert_eq!(problems[0].field, "stripe");
        assert_eq!(problems[0].nearest, Some(1), "{}", problems[0]);
        assert_eq!(check::<Unstriped>("2 16 1 1:0 0", Some(24))[0].field, "length");
        assert!(!check::<Unstriped>("0 0 0 1:0 0", Some(24)).is_empty());
    }

    #[test]
    fn neighbours_share_the_device() {
        let target: Unstriped = parse("2 16 1 1:0 8");
        let lowers = target.lower_devices(32);
        assert_eq!(
            (lowers[0].start, lowers[0].length, lowers[0].access),
            (24, Some(48), DeviceAccess::Shared)
        );
    }
}
