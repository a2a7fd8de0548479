//! `striped`: chunks dealt out over several devices in turn. Kernel source: `drivers/md/dm-stripe.c`.

mod state;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Below, DeviceUse, DeviceUses, Differences, Doc, Effect, FreshRow, LiveRow, ParamsError, Printer,
    Problems, State, Status, Target, TargetKind, Traits, Words,
};
use crate::device::Device;
use crate::units::Sectors;

/// Chunks dealt out over several devices in turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Striped {
    /// How much goes to one device before the next one's turn.
    pub chunk: Sectors,
    /// The devices, in order.
    pub stripes: Vec<Stripe>,
}

/// One of the devices that are striped over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stripe {
    /// The device.
    pub device: Device,
    /// The first sector used of it.
    #[serde(default)]
    pub offset: Sectors,
}

impl TargetKind for Striped {
    const NAME: &'static str = "striped";
    const TRAITS: Traits =
        Traits { passes_tags: true, passes_memory: true, status: Status::AfterEvent, ..Traits::EARLY };
    const MODULE: Option<&'static str> = Some("dm-mod");
    const DOC: Doc = Doc {
        summary: "Chunks dealt out over several devices in turn (RAID 0).",
        since: "2.6",
        writes: "Nothing.",
        changes: "Chunk, order, devices and offsets are the layout of the data: changing one scrambles what is \
                  there (`remap`). A longer row moves nothing (`reload`).",
        example: "type = \"striped\"\nlength = \"1MiB\"\nchunk = \"32KiB\"\nstripes = [\n  { device = \
                  \"/dev/disk/by-id/disk-a\" },\n  { device = \"/dev/disk/by-id/disk-b\", offset = 2048 },\n]",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let count: u32 = words.number("the number of stripes")?;
        let chunk = words.sectors("the chunk size")?;
        // A count that the words cannot back is refused before anything is set aside for it.
        if usize::try_from(count).ok().and_then(|count| count.checked_mul(2)) != Some(words.left()) {
            return Err(words.wrong(format!(
                "{count} stripes take {} words of device and offset, {} follow",
                u64::from(count) * 2,
                words.left()
            )));
        }
        let mut stripes = Vec::new();
        while words.left() > 0 {
            stripes.push(Stripe {
                device: words.device("the device of a stripe")?,
                offset: words.sectors("the offset of a stripe")?,
            });
        }
        Ok(Self { chunk, stripes })
    }

    fn print(&self, out: &mut Printer) {
        out.word(self.stripes.len()).word(self.chunk);
        for stripe in &self.stripes {
            out.device(&stripe.device).word(stripe.offset);
        }
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        differences.field("chunk", &self.chunk, &live.chunk, Effect::Remap);
        differences.field("stripes", &self.stripes.len(), &live.stripes.len(), Effect::Remap);
        for (index, (wanted, live)) in self.stripes.iter().zip(&live.stripes).enumerate() {
            let field = |name| format!("stripes[{index}].{name}");
            differences.field(&field("device"), &wanted.device, &live.device, Effect::Remap);
            differences.field(&field("offset"), &wanted.offset, &live.offset, Effect::Remap);
        }
    }
}

impl Target for Striped {
    fn read_state(&self, words: &mut Words<'_>, _: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        state::read(words)
    }

    fn fresh_state(&self, _: FreshRow<'_>) -> String {
        state::fresh(self)
    }

    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        let each = length / (self.stripes.len() as u64).max(1);
        self.stripes.iter().map(|stripe| DeviceUse::write(&stripe.device, stripe.offset.0, each)).collect()
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        self.stripes.iter_mut().map(|stripe| &mut stripe.device).collect()
    }

    /// One stripe is the device itself, whatever the chunk is.
    fn linear_map(&self) -> Option<(&Device, u64)> {
        let [only] = self.stripes.as_slice() else { return None };
        Some((&only.device, only.offset.0))
    }

    fn below(&self, sector: u64) -> Below<'_> {
        let stripes: Vec<_> = self.stripes.iter().map(|stripe| (&stripe.device, stripe.offset.0)).collect();
        Below::striped(&stripes, self.chunk.0, sector)
    }

    fn check(&self, length: Option<u64>, problems: &mut Problems) {
        let count = self.stripes.len() as u64;
        if count == 0 {
            problems.at("stripes", "a stripe needs at least one device");
        }
        problems.range("chunk", self.chunk.0, 1, u64::from(u32::MAX));
        let Some(length) = length else { return };
        let row = count.saturating_mul(self.chunk.0);
        if row > 0 && length % row != 0 {
            let nearest = (length / row * row).max(row);
            let chunk = self.chunk;
            let message = format!(
                "length must be a multiple of stripes x chunk ({count} x {chunk} = {row} sectors), {length} is not"
            );
            problems.at("length", message).help(format!("the nearest below is {nearest}"));
        }
    }
}
