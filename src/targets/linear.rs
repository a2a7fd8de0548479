//! `linear`: a run of sectors of one device. Kernel source: `drivers/md/dm-linear.c`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{
    DeviceUse, DeviceUses, Differences, Doc, Effect, ParamsError, Printer, Target, TargetKind, Traits, Words,
};
use crate::device::Device;
use crate::units::Sectors;

/// A run of sectors of one device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Linear {
    /// The device that holds the sectors.
    pub device: Device,
    /// The first sector used of the device.
    #[serde(default)]
    pub offset: Sectors,
}

impl TargetKind for Linear {
    const NAME: &'static str = "linear";
    const TRAITS: Traits = Traits { passes_tags: true, passes_memory: true, ..Traits::EARLY };
    const MODULE: Option<&'static str> = Some("dm-mod");
    const DOC: Doc = Doc {
        summary: "A run of sectors of one device. Several in one table concatenate devices.",
        since: "2.6",
        writes: "Nothing.",
        changes: "Another device or offset maps the same sectors to another place (`remap`); a longer row is a `reload`.",
        example: "type = \"linear\"\nlength = \"512KiB\"\ndevice = \"/dev/disk/by-id/disk-a\"\noffset = 2048",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        Ok(Self { device: words.device("the device")?, offset: words.sectors("the offset")? })
    }

    fn print(&self, out: &mut Printer) {
        out.device(&self.device).word(self.offset);
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        differences.field("device", &self.device, &live.device, Effect::Remap);
        differences.field("offset", &self.offset, &live.offset, Effect::Remap);
    }
}

impl Target for Linear {
    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        smallvec![DeviceUse::write(&self.device, self.offset.0, length)]
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        vec![&mut self.device]
    }

    fn linear_map(&self) -> Option<(&Device, u64)> {
        Some((&self.device, self.offset.0))
    }
}
