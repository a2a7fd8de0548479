//! `dust`: bad blocks that come and go by message. Kernel source: `drivers/md/dm-dust.c`.

mod state;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{
    DeviceUse, DeviceUses, Differences, Doc, Effect, FreshRow, Hazards, LiveRow, MessageForm, ParamsError,
    Printer, Problems, State, Status, Target, TargetKind, Traits, Words,
};
use crate::device::Device;
use crate::units::{Bytes, SECTOR, Sectors};

/// The largest block: 1 GiB.
const MAX_BLOCK_SIZE: u64 = 1 << 30;

/// A device on which blocks can be declared bad.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dust {
    /// The device below.
    pub device: Device,
    /// The first sector used of the device.
    #[serde(default)]
    pub offset: Sectors,
    /// The block that messages count in, in bytes: a power of two from 512 bytes to 1 GiB.
    pub block_size: Bytes,
}

/// The messages that it takes.
const MESSAGES: &[MessageForm] = &[
    MessageForm::tunes(
        "addbadblock",
        "BLOCK [WRITES]",
        "makes a block bad; that many writes to it fail first",
    ),
    MessageForm::tunes("removebadblock", "BLOCK", "makes a block good"),
    MessageForm::tunes("queryblock", "BLOCK", "tells whether a block is bad"),
    MessageForm::tunes("countbadblocks", "", "tells how many blocks are bad"),
    MessageForm::tunes("listbadblocks", "", "lists the bad blocks"),
    MessageForm::tunes("clearbadblocks", "", "makes all blocks good"),
    MessageForm::tunes("enable", "", "lets reads of bad blocks fail"),
    MessageForm::tunes("disable", "", "lets reads of bad blocks through"),
    MessageForm::tunes("quiet", "", "logs each bad block that is met, or no more: it toggles"),
];

impl TargetKind for Dust {
    const NAME: &'static str = "dust";
    const TRAITS: Traits = Traits { status: Status::Always, messages: MESSAGES, ..Traits::PLAIN };
    const DOC: Doc = Doc {
        summary: "A disk with bad blocks: the message `addbadblock N` makes reads of a block fail until it is \
                  written, `enable` and `disable` turn the behaviour on and off. It starts turned off.",
        since: "5.3",
        writes: "Nothing.",
        changes: "The list of bad blocks and whether it is enabled are not in the table: every reload forgets them, \
                  and `messages` are sent again. Another device or offset maps the same sectors to another place \
                  (`remap`).",
        example: "type = \"dust\"\nlength = \"1MiB\"\ndevice = \"/dev/disk/by-id/disk-a\"\nblock_size = 512\n\
                  messages = [\"addbadblock 60\", \"enable\"]",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        Ok(Self {
            device: words.device("the device")?,
            offset: words.sectors("the offset")?,
            block_size: Bytes(words.number("the block size in bytes")?),
        })
    }

    fn print(&self, out: &mut Printer) {
        out.device(&self.device).word(self.offset).word(self.block_size);
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        differences.field("device", &self.device, &live.device, Effect::Remap);
        differences.field("offset", &self.offset, &live.offset, Effect::Remap);
        differences.field("block_size", &self.block_size, &live.block_size, Effect::Tune);
    }
}

impl Target for Dust {
    fn read_state(&self, words: &mut Words<'_>, _: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        state::read(words)
    }

    fn fresh_state(&self, _: FreshRow<'_>) -> String {
        state::fresh(self)
    }

    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        smallvec![DeviceUse::write(&self.device, self.offset.0, length)]
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        vec![&mut self.device]
    }

    fn check(&self, length: Option<u64>, problems: &mut Problems) {
        problems.power_of_two("block_size", self.block_size.0, SECTOR, MAX_BLOCK_SIZE);
        if let Some(length) = length.filter(|length| self.block_size.0 / SECTOR > *length) {
            problems.at(
                "block_size",
                format!(
                    "block_size must not be larger than the row: {} bytes are more than {length} sectors",
                    self.block_size
                ),
            );
        }
    }

    fn hazards(&self) -> Hazards {
        let hidden = "its bad blocks, and whether it fails reads of them, were told by messages, which a table does not show";
        Hazards { hidden_state: Some(hidden), ..Hazards::default() }
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
        fn rows_read_back(device in device(), offset in sectors(), shift in 9u32..=30) {
            let dust = Dust { device, offset, block_size: Bytes(1 << shift) };
            prop_assert_eq!(problems(&dust, None), []);
            round_trip(&dust)?;
        }
    }

    #[test]
    fn the_block_size_is_checked() {
        for (row, nearest) in [("1:0 0 256", 512), ("1:0 0 1000", 1024), ("1:0 0 2147483648", 1_073_741_824)]
        {
            let problems = check::<Dust>(row, None);
            assert_eq!(problems[0].nearest, Some(nearest), "{}", problems[0]);
        }
        assert!(check::<Dust>("1:0 0 4096", Some(8)).is_empty());
        assert_eq!(check::<Dust>("1:0 0 4096", Some(7)).len(), 1);
    }
}
